//! Loads a config as the command line says. Knows nothing of its contents.

use std::path::Path;

use snaphook_config::{Config, ConfigError, LoadOptions, Resolver};

use crate::args::LoadArguments;
use crate::report;

/// The config with the changes of the command line.
///
/// Errors: as [`snaphook_config::load`].
pub fn load(path: &Path, arguments: &LoadArguments) -> Result<Config, ConfigError> {
    resolver(arguments).load(path)
}

/// Loads configs under the rules of the command line.
pub fn resolver(arguments: &LoadArguments) -> Resolver {
    let options = LoadOptions {
        overrides: arguments.overrides(),
        search_paths: arguments.config_path.clone(),
    };
    Resolver::new(options).roots(arguments.config_root.clone()).propagate(arguments.propagate)
}

/// As [`load`]; what looks wrong but is none is told on stderr.
///
/// Errors: as [`snaphook_config::load`].
pub fn load_with_warnings(path: &Path, arguments: &LoadArguments) -> Result<Config, ConfigError> {
    let config = load(path, arguments)?;
    config.warnings().iter().for_each(|warning| report::print_warning(warning));
    Ok(config)
}
