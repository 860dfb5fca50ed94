//! `snaphook config …`. `print`, `explain` and `diff`, here, know nothing of what the values mean.

mod check;
mod schema;

pub(super) use check::check_config;
pub(super) use schema::schema;

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
    let explanation = resolver(&arguments.load).explain(&arguments.config, &arguments.key)?;
    output::print(&explanation.to_string())?;
    Ok(Exit::Done)
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
