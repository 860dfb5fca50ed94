//! Loads a config as the command line says. Knows nothing of its contents.

use std::path::Path;

use snaphook_config::{Config, ConfigError, LoadOptions};

use crate::args::LoadArguments;
use crate::report;

/// The config with the changes of the command line.
///
/// Errors: as [`snaphook_config::load`].
pub fn load(path: &Path, arguments: &LoadArguments) -> Result<Config, ConfigError> {
    let options = LoadOptions {
        overrides: arguments.overrides(),
        search_paths: arguments.config_path.clone(),
    };
    snaphook_config::load(path, &options)
}

/// As [`load`]; what looks wrong but is none is told on stderr.
///
/// Errors: as [`snaphook_config::load`].
pub fn load_with_warnings(path: &Path, arguments: &LoadArguments) -> Result<Config, ConfigError> {
    let config = load(path, arguments)?;
    config.warnings().iter().for_each(|warning| report::print_warning(warning));
    Ok(config)
}
