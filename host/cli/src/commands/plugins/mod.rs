//! `snaphook plugins list` and `snaphook plugins inspect`. No code of a plugin is run.

mod inspect;
mod kwargs;
mod list;

use std::path::{Path, PathBuf};

use snaphook_config::{Config, ConfigError};

use crate::args::LoadArguments;
use crate::load;

pub(super) use inspect::inspect;
pub(super) use list::list;

/// The config whose plugin folders are searched, too.
fn config(path: Option<&Path>, config_path: &[PathBuf]) -> Result<Option<Config>, ConfigError> {
    let arguments = LoadArguments::with_config_path(config_path.to_vec());
    path.map(|path| load(path, &arguments)).transpose()
}
