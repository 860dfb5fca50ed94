//! `snaphook plugins list` and `inspect`.
use crate::args::{PluginsInspectArguments, PluginsListArguments};
use crate::{CliError, Exit};

pub(super) fn list(_arguments: &PluginsListArguments) -> Result<Exit, CliError> {
    Ok(Exit::Done)
}

pub(super) fn inspect(_arguments: &PluginsInspectArguments) -> Result<Exit, CliError> {
    Ok(Exit::Done)
}
