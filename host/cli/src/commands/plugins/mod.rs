//! `snaphook plugins …`. Only `check` runs code of a plugin, and that in a child process.

mod check;
mod exercise;
mod inspect;
mod kwargs;
mod list;
mod lock;
mod new;
mod scratch;
mod valgrind;

use std::path::{Path, PathBuf};

use snaphook_config::{Config, ConfigError};

use crate::args::LoadArguments;
use crate::load;

pub(super) use check::check;
pub(super) use exercise::exercise;
pub(super) use inspect::inspect;
pub(super) use list::list;
pub(super) use lock::lock;
pub(super) use new::new;

/// The config whose plugin folders are searched, too.
fn config(path: Option<&Path>, config_path: &[PathBuf]) -> Result<Option<Config>, ConfigError> {
    let arguments = LoadArguments::with_config_path(config_path.to_vec());
    path.map(|path| load(path, &arguments)).transpose()
}
