//! Plugins as the commands see them.

use snaphook_config::Config;
use snaphook_hooks::{built_in, plain_type};

use crate::args::PluginArguments;
use crate::plan::{FoundType, PluginTypes};

/// What was found in the folders that are searched.
pub struct Plugins {}

impl Plugins {
    /// Looks into all folders, those of the config included.
    pub fn find(_arguments: &PluginArguments, _config: Option<&Config>) -> Plugins {
        Plugins {}
    }
}

impl PluginTypes for Plugins {
    fn find(&self, written: &str) -> Result<Option<FoundType>, String> {
        match built_in::find(plain_type(written)) {
            Some(_) => Ok(None),
            None => Err(format!("expected a hook type, found {written}")),
        }
    }
}
