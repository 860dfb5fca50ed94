//! `snaphook plugins check`: loads and exercises each plugin in a child process, tells what came of it, and remembers
//! those that crash or hang. No code of a plugin runs in this process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value as Json, json};
use snaphook_loader::{
    CheckEnd, CheckLimits, CheckReport, CheckStep, Plugin, RememberedFailures, SearchPath,
    StepVerdict, check_in_child, end_by_signal, end_checks_on_signals,
};

use super::config;
use super::scratch::Scratch;
use super::valgrind;
use crate::args::{Format, PluginArguments, PluginsCheckArguments};
use crate::output::{plain, table};
use crate::plugins::Plugins;
use crate::{CliError, Exit, output, report};

/// What is known of one file in the end.
struct Checked {
    path: PathBuf,
    plugin: Option<Plugin>,
    finding: Finding,
    memory: Memory,
}

/// What became of what was found.
enum Memory {
    /// No run loads the file.
    Remembered,
    /// It is nothing that a run is kept from; or it is no news.
    NotMeant,
    /// It depends on arguments that not every run has.
    OnlyTheseArguments,
    /// It could not be written down.
    Failed,
}

enum Finding {
    /// It was not run: it is no plugin for this host, or it is remembered.
    NotRun(String),
    Ran(CheckReport),
}

impl Checked {
    fn is_sound(&self) -> bool {
        matches!(&self.finding, Finding::Ran(report) if report.is_sound())
    }

    /// The signal that this process was to end by, meanwhile.
    fn stopped_by(&self) -> Option<i32> {
        match &self.finding {
            Finding::Ran(CheckReport { end: CheckEnd::Stopped { signal }, .. }) => Some(*signal),
            _ => None,
        }
    }
}

pub(in crate::commands) fn check(arguments: &PluginsCheckArguments) -> Result<Exit, CliError> {
    if arguments.valgrind {
        valgrind::find()?;
    }
    let mut failures = SearchPath::builder().build().failures().map(RememberedFailures::read);
    let failed =
        |error: std::io::Error| CliError::Plugin(format!("signals cannot be caught: {error}"));
    end_checks_on_signals().map_err(failed)?;
    let (mut all, mut stopped_by) = (Vec::new(), None);
    let is_sweep = arguments.files.is_empty();
    let files = if is_sweep { found(arguments)? } else { arguments.files.clone() };
    for path in &files {
        let checked = check_file(path, arguments, failures.as_mut())?;
        if arguments.format == Format::Text {
            let is_short = is_sweep && checked.is_sound();
            output::print(&if is_short { line(&checked) } else { text(&checked) })?;
        }
        stopped_by = checked.stopped_by();
        all.push(checked);
        if stopped_by.is_some() {
            break;
        }
    }
    if arguments.format == Format::Json {
        let checked: Vec<Json> = all.iter().map(as_json).collect();
        output::print(&format!("{:#}\n", json!({ "checked": checked })))?;
    } else if is_sweep {
        output::print(&sum(&all))?;
    }
    if let Some(signal) = stopped_by {
        end_by_signal(signal);
    }
    Ok(if all.iter().all(Checked::is_sound) { Exit::Done } else { Exit::Input })
}

/// Every plugin of the folders that are searched, and what looks like one and is refused.
fn found(arguments: &PluginsCheckArguments) -> Result<Vec<PathBuf>, CliError> {
    let config = config(arguments.config.as_deref(), &arguments.config_path)?;
    let folders = PluginArguments { folders: arguments.folders.clone(), locked: false };
    let catalog = Plugins::find(&folders, config.as_ref())?.catalog;
    let plugins = catalog.plugins().map(|plugin| plugin.path.clone());
    let mut files: Vec<PathBuf> = plugins.collect();
    files.extend(catalog.refused().iter().map(|refused| refused.path.clone()));
    Ok(files)
}

/// A sound plugin in a line.
fn line(checked: &Checked) -> String {
    format!("{}: sound\n", title(checked))
}

fn sum(all: &[Checked]) -> String {
    let sound = all.iter().filter(|checked| checked.is_sound()).count();
    match all.len() {
        0 => "No plugins found (snaphook plugins list shows the folders that are searched)\n"
            .to_owned(),
        count => format!("{count} checked: {sound} sound, {} not\n", count - sound),
    }
}

fn check_file(
    path: &Path,
    arguments: &PluginsCheckArguments,
    failures: Option<&mut RememberedFailures>,
) -> Result<Checked, CliError> {
    let not_run = |plugin, reason| Checked {
        path: path.to_path_buf(),
        plugin,
        finding: Finding::NotRun(reason),
        memory: Memory::NotMeant,
    };
    let plugin = match Plugin::read(path) {
        Ok(plugin) => plugin,
        Err(reason) => return Ok(not_run(None, reason)),
    };
    let remembered = failures.as_ref().filter(|_| !arguments.retry);
    let reason = plugin.obstacle().or_else(|| remembered?.reason(&plugin));
    if let Some(reason) = reason {
        return Ok(not_run(Some(plugin), reason));
    }
    let mut report = run(path, arguments)?;
    if arguments.valgrind && report.end == CheckEnd::Finished {
        valgrind::watch(path, arguments, &mut report)?;
    }
    let memory = keep(&plugin, &report, arguments, failures);
    let (path, plugin, finding) = (path.to_path_buf(), Some(plugin), Finding::Ran(report));
    Ok(Checked { path, plugin, finding, memory })
}

/// Remembers what no run should meet, and forgets what is not so any more.
fn keep(
    plugin: &Plugin,
    report: &CheckReport,
    arguments: &PluginsCheckArguments,
    failures: Option<&mut RememberedFailures>,
) -> Memory {
    let reason = report.worth_remembering();
    if reason.is_some() && arguments.exercise.kwargs.is_some() {
        return Memory::OnlyTheseArguments;
    }
    let Some(failures) = failures else {
        return if reason.is_some() { Memory::Failed } else { Memory::NotMeant };
    };
    let kept = match &reason {
        Some(reason) => failures.remember(plugin, reason).map(|()| Memory::Remembered),
        // Only what was tried as before, and to its end, is known to be better.
        None if report.end == CheckEnd::Finished && arguments.exercise.kwargs.is_none() => {
            failures.forget(plugin).map(|()| Memory::NotMeant)
        }
        None => Ok(Memory::NotMeant),
    };
    kept.unwrap_or_else(|error| {
        let folder = failures.folder().display();
        report::print_warning(&format!("{folder}: what was found cannot be remembered: {error}"));
        Memory::Failed
    })
}

/// Runs the child in a folder of its own, so that what a hook writes is gone afterwards.
fn run(path: &Path, arguments: &PluginsCheckArguments) -> Result<CheckReport, CliError> {
    let failed = |error: std::io::Error| not_started(path, &error);
    let folder = Scratch::new().map_err(failed)?;
    let mut child = Command::new(std::env::current_exe().map_err(failed)?);
    add_exercise(&mut child, path, arguments).map_err(failed)?;
    child.args(arguments.exercise.conformance.then_some("--conformance"));
    child.current_dir(folder.path());
    let deadline = Duration::from_secs_f64(arguments.deadline_s);
    let limits = CheckLimits { deadline, memory_mib: arguments.exercise.memory_mib };
    check_in_child(child, limits).map_err(failed)
}

/// Adds `plugins exercise FILE …` to the program.
pub(super) fn add_exercise(
    child: &mut Command,
    path: &Path,
    arguments: &PluginsCheckArguments,
) -> std::io::Result<()> {
    child.args(["plugins", "exercise"]).arg(path.canonicalize()?);
    child.arg("--memory-mib").arg(arguments.exercise.memory_mib.to_string());
    if let Some(kwargs) = &arguments.exercise.kwargs {
        child.arg("--kwargs").arg(kwargs.to_string());
    }
    Ok(())
}

pub(super) fn not_started(path: &Path, error: &std::io::Error) -> CliError {
    let path = path.display();
    CliError::Plugin(format!("plugin {path}: the child that tries it cannot be started: {error}"))
}

fn title(checked: &Checked) -> String {
    let path = checked.path.display();
    plain(&match &checked.plugin {
        Some(plugin) => {
            let info = &plugin.manifest.plugin;
            format!("plugin {} {} ({path})", info.name, info.version)
        }
        None => path.to_string(),
    })
}

fn text(checked: &Checked) -> String {
    let mut text = format!("{}\n", title(checked));
    match &checked.finding {
        Finding::NotRun(reason) => text += &format!("  not run: {}\n", plain(reason)),
        Finding::Ran(report) => {
            let row = |step: &CheckStep| {
                [plain(&step.at), word(step.verdict).to_owned(), plain(&step.text)]
            };
            text += &table(&report.steps.iter().map(row).collect::<Vec<_>>(), "  ");
            text += &format!("  {}\n", plain(&result(report, &checked.memory)));
            let has_said = !report.is_sound() && !report.said.trim().is_empty();
            if has_said {
                text += "  it said:\n";
                let lines = report.said.trim().lines();
                lines.for_each(|line| text += &format!("    {}\n", plain(line)));
            }
        }
    }
    text
}

fn word(verdict: StepVerdict) -> &'static str {
    match verdict {
        StepVerdict::Fine => "fine",
        StepVerdict::Remark => "note",
        StepVerdict::Wrong => "WRONG",
    }
}

fn result(report: &CheckReport, memory: &Memory) -> String {
    let wrong = report.steps.iter().filter(|step| step.verdict == StepVerdict::Wrong).count();
    match (&report.end, report.worth_remembering()) {
        (_, Some(reason)) => format!("it {reason}; {}", consequence(memory)),
        (CheckEnd::Stopped { signal }, _) => {
            format!("not finished: signal {signal} ended the check")
        }
        (CheckEnd::Inconclusive { at, how }, _) => format!(
            "inconclusive: {how} ended it at {at}, sent by somebody or by a system without memory (check it again)"
        ),
        (CheckEnd::Finished, None) => match wrong {
            0 => "sound".to_owned(),
            1 => "1 thing is wrong with it".to_owned(),
            many => format!("{many} things are wrong with it"),
        },
        _ => "not tried: the child ended before it began".to_owned(),
    }
}

fn consequence(memory: &Memory) -> &'static str {
    match memory {
        Memory::Remembered => {
            "remembered, so no run loads this file until it changes (or until a check with --retry finds it sound)"
        }
        Memory::OnlyTheseArguments => {
            "not remembered, since other arguments than those of --kwargs may do"
        }
        Memory::Failed | Memory::NotMeant => "not remembered, so runs still load this file",
    }
}

fn as_json(checked: &Checked) -> Json {
    let info = checked.plugin.as_ref().map(|plugin| &plugin.manifest.plugin);
    let mut json = json!({
        "path": checked.path, "name": info.map(|info| &info.name),
        "version": info.map(|info| &info.version), "is_sound": checked.is_sound(),
    });
    match &checked.finding {
        Finding::NotRun(reason) => json["not_run"] = json!(reason),
        Finding::Ran(report) => {
            json["steps"] = json!(report.steps);
            json["end"] = match &report.end {
                CheckEnd::Finished => json!({ "kind": "finished" }),
                CheckEnd::Crashed { at, how } => json!({ "kind": "crashed", "at": at, "how": how }),
                CheckEnd::Inconclusive { at, how } => {
                    json!({ "kind": "inconclusive", "at": at, "how": how })
                }
                CheckEnd::Stopped { signal } => json!({ "kind": "stopped", "signal": signal }),
                CheckEnd::Hung { at, after } => {
                    json!({ "kind": "hung", "at": at, "after_s": after.as_secs_f64() })
                }
            };
            json["is_remembered"] = json!(matches!(checked.memory, Memory::Remembered));
            json["said"] = json!(report.said);
        }
    }
    json
}
