//! `snaphook doctor`: what was found on this machine, and the way out for what is missing. Starts no run.

mod libraries;
mod machine;

use std::io::stdout;

use serde_json::{Value as Json, json};

use crate::args::{DoctorArguments, Format};
use crate::plugins::Plugins;
use crate::report::{coloured, wants_colour};
use crate::{CliError, Exit, output, trainer};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ok,
    /// Not there, and fine without.
    Note,
    /// Too little, or not fit for use.
    Wrong,
    Missing,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Note => "-",
            Outcome::Wrong => "wrong",
            Outcome::Missing => "missing",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Outcome::Ok => "32",
            Outcome::Note => "2",
            Outcome::Wrong | Outcome::Missing => "1;31",
        }
    }

    fn is_good(self) -> bool {
        matches!(self, Outcome::Ok | Outcome::Note)
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    name: &'static str,
    outcome: Outcome,
    found: String,
    way_out: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, outcome: Outcome::Ok, found: found.into(), way_out: None }
    }

    fn note(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, outcome: Outcome::Note, found: found.into(), way_out: None }
    }

    fn wrong(name: &'static str, found: impl Into<String>, way_out: impl Into<String>) -> Check {
        Check { name, outcome: Outcome::Wrong, found: found.into(), way_out: Some(way_out.into()) }
    }

    fn missing(name: &'static str, found: impl Into<String>, way_out: impl Into<String>) -> Check {
        Check { outcome: Outcome::Missing, ..Check::wrong(name, found, way_out) }
    }
}

pub(super) fn doctor(arguments: &DoctorArguments) -> Result<Exit, CliError> {
    let mut checks = vec![program()];
    checks.extend(trainer_and_libraries());
    checks.extend(plugin_folders(&Plugins::find(&arguments.plugins, None)?));
    checks.extend(machine::checks());
    checks.push(Check::note("python", "not needed"));
    output::print(&match arguments.format {
        Format::Text => as_text(&checks, wants_colour(&stdout())),
        Format::Json => format!("{:#}\n", as_json(&checks)),
    })?;
    let is_whole = checks.iter().all(|check| check.outcome.is_good());
    Ok(if is_whole { Exit::Done } else { Exit::Input })
}

fn program() -> Check {
    let path = std::env::current_exe().unwrap_or_default();
    Check::ok("snaphook", format!("{} ({})", env!("CARGO_PKG_VERSION"), path.display()))
}

fn trainer_and_libraries() -> Vec<Check> {
    match trainer::find() {
        Ok(path) => {
            let mut checks = vec![Check::ok("trainer", path.display().to_string())];
            checks.extend(libraries::checks(&path));
            checks
        }
        Err(CliError::TrainerMissing { build, .. }) => {
            vec![Check::missing("trainer", "snaphook-trainer: not found", format!("`{build}`"))]
        }
        Err(error) => vec![Check::note("trainer", error.to_string())],
    }
}

/// One line for all plugins, and one for each that cannot be used.
fn plugin_folders(plugins: &Plugins) -> Vec<Check> {
    let catalog = &plugins.catalog;
    let names: Vec<_> =
        catalog.plugins().map(|plugin| plugin.manifest.plugin.name.as_str()).collect();
    let there = catalog.folders().iter().filter(|folder| folder.path.is_dir()).count();
    let mut checks = vec![match names.as_slice() {
        [] => {
            Check::note("plugins", format!("none in {there} folders (see snaphook plugins list)"))
        }
        names => Check::ok(
            "plugins",
            format!("{} in {there} folders: {}", names.len(), names.join(", ")),
        ),
    }];
    checks.extend(catalog.refused().iter().map(|refused| {
        Check::wrong("plugin", refused.path.display().to_string(), refused.reason.clone())
    }));
    checks
}

fn as_text(checks: &[Check], with_colour: bool) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let line = |check: &Check| {
        let word = format!("{:<7}", check.outcome.word());
        let word = coloured(&word, check.outcome.colour(), with_colour);
        let found = output::plain(&check.found);
        let mut text = format!("{word}  {:<width$}  {found}\n", check.name);
        if let Some(way_out) = &check.way_out {
            text += &format!(
                "{:indent$}way out: {}\n",
                "",
                output::plain(way_out),
                indent = width + 11
            );
        }
        text
    };
    checks.iter().map(line).collect()
}

fn as_json(checks: &[Check]) -> Json {
    let entry = |check: &Check| {
        let outcome = match check.outcome {
            Outcome::Note => "note",
            other => other.word(),
        };
        json!({ "name": check.name, "outcome": outcome, "found": check.found, "way_out": check.way_out })
    };
    json!({ "checks": checks.iter().map(entry).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_its_way_out() {
        let checks = [Check::ok("a", "1.0"), Check::missing("long", "not found", "build it")];
        assert_eq!(
            as_text(&checks, false),
            "ok       a     1.0\nmissing  long  not found\n               way out: build it\n"
        );
        assert_eq!(as_json(&checks)["checks"][1]["way_out"], "build it");
    }
}
