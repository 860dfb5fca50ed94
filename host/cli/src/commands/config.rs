//! `snaphook config print`. Knows nothing of what the values mean.

use crate::args::{ConfigFormat, ConfigPrintArguments};
use crate::{CliError, Exit, load_with_warnings, output};

pub(super) fn print(arguments: &ConfigPrintArguments) -> Result<Exit, CliError> {
    let config = load_with_warnings(&arguments.config, &arguments.load)?;
    let text = match arguments.format {
        ConfigFormat::Json => config.to_json_pretty(),
        ConfigFormat::Py => config.to_python(),
    };
    output::print(&format!("{}\n", text.trim_end()))?;
    Ok(Exit::Done)
}
