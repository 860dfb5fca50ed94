//! `snaphook config …`. `print`, `explain` and `diff`, here, know nothing of what the values mean.

mod check;
mod schedule;
mod schema;

pub(super) use check::check_config;
pub(super) use schedule::schedule;
pub(super) use schema::schema;

use snaphook_config::{Config, nearest};

use crate::args::{
    ConfigDiffArguments, ConfigExplainArguments, ConfigFormat, ConfigPrintArguments,
};
use crate::loading::resolver;
use crate::{CliError, Exit, load_with_warnings, output};

pub(super) fn print(arguments: &ConfigPrintArguments) -> Result<Exit, CliError> {
    let config = load_with_warnings(&arguments.config, &arguments.load)?;
    let text = match arguments.format {
        ConfigFormat::Json => config.to_json_pretty(),
        ConfigFormat::Py => config.to_python(),
        ConfigFormat::Yaml => config.to_yaml(),
        ConfigFormat::Toml => config.to_toml(),
    };
    output::print(&format!("{}\n", text.trim_end()))?;
    Ok(Exit::Done)
}

pub(super) fn explain(arguments: &ConfigExplainArguments) -> Result<Exit, CliError> {
    let resolver = resolver(&arguments.load);
    let explanation = resolver.explain(&arguments.config, &arguments.key)?;
    if explanation.steps.is_empty() {
        let config = resolver.load(&arguments.config)?;
        let hint = similar_key(&config, &arguments.key);
        return Err(CliError::Key { key: arguments.key.clone(), hint });
    }
    output::print(&explanation.to_string())?;
    Ok(Exit::Done)
}

/// In brackets: the key beside the first missing one that is most like it; empty without one.
fn similar_key(config: &Config, key: &str) -> String {
    let ends = key.match_indices('.').map(|(at, _)| at).chain([key.len()]);
    let is_missing = |end: &usize| config.get(&key[..*end]).is_none();
    let Some(missing) = ends.into_iter().find(is_missing).map(|end| &key[..end]) else {
        return String::new();
    };
    let (above, name) = missing.rsplit_once('.').unwrap_or(("", missing));
    let holder = if above.is_empty() { Some(config.value()) } else { config.get(above) };
    let known = holder.and_then(|value| value.as_object()).into_iter().flatten();
    let Some(near) = nearest(name, known.map(|(name, _)| name.as_str())) else {
        return String::new();
    };
    let dot = if above.is_empty() { "" } else { "." };
    format!(" (did you mean {above}{dot}{near}?)")
}

pub(super) fn diff(arguments: &ConfigDiffArguments) -> Result<Exit, CliError> {
    let load = arguments.load_arguments();
    let before = load_with_warnings(&arguments.before, &load)?;
    let after = load_with_warnings(&arguments.after, &load)?;
    let changes = snaphook_config::diff(&before, &after);
    let text: String = changes.iter().map(|change| format!("{change}\n")).collect();
    output::print(&text)?;
    Ok(Exit::Done)
}
