//! A model of the user's own, as a file.

use std::path::PathBuf;

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, Role};

/// A detector that was written in Python and exported as TorchScript: its losses and predictions are its own.
#[derive(Kwargs)]
pub struct ScriptModel {
    /// The file that `torch.jit.save` wrote.
    #[kwarg]
    pub file: PathBuf,
    /// Number of classes.
    #[kwarg(min = 1)]
    pub num_classes: i64,
    /// Stacks pictures into a batch.
    #[kwarg(component = "data_preprocessor")]
    pub data_preprocessor: Option<Json>,
}

impl Component for ScriptModel {
    const ROLE: Role = Role::Model;
    const NAMES: &'static [&'static str] = &["ScriptModel"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![Declared::of::<ScriptModel>()]
}
