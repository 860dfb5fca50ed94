//! Puts saved weights into a model and tells what did not fit.
//! Knows nothing of files.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use tch::{Tensor, no_grad};

use super::CheckpointError;
use crate::state::ModelState;

/// Names that are shown of a long list.
const SHOWN: usize = 8;

/// What did not fit when weights were loaded; everything else was.
#[must_use = "weights that do not fit were left out"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors of the model that the checkpoint does not have.
    pub missing: Vec<String>,
    /// Tensors of the checkpoint that the model does not have.
    pub unexpected: Vec<String>,
    /// Tensors of another shape: name, expected and found.
    pub mismatched: Vec<String>,
}

impl LoadReport {
    /// Whether everything fitted.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }

    /// Whether a part of the model got no weights.
    pub fn lacks_weights(&self) -> bool {
        !self.missing.is_empty() || !self.mismatched.is_empty()
    }

    /// What did not fit, one sentence each; none if everything did.
    pub fn lines(&self) -> Vec<String> {
        let lists = [
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("of another shape", &self.mismatched),
        ];
        let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
        lists.map(|(what, names)| format!("{} {what}: {}", names.len(), few(names))).collect()
    }

    /// Refuses a checkpoint that did not fit in everything.
    pub fn require_whole(&self, path: &Path) -> Result<(), CheckpointError> {
        if self.is_whole() {
            return Ok(());
        }
        Err(CheckpointError::OtherModel { path: path.to_owned(), problems: self.lines() })
    }
}

/// Copies saved tensors into those of the model with the same name and shape.
///
/// A leading `module.` of saved names is ignored, and so is a missing `num_batches_tracked`, as in MMEngine.
///
/// Errors: nothing fits at all, which is another model's checkpoint for sure.
pub fn load_into(
    tensors: &[(String, Tensor)],
    state: &ModelState,
    path: &Path,
) -> Result<LoadReport, CheckpointError> {
    let saved: HashMap<&str, &Tensor> =
        tensors.iter().map(|(name, tensor)| (plain(name), tensor)).collect();
    let mut report = LoadReport::default();
    let mut loaded = 0;
    for entry in state.entries() {
        match saved.get(entry.name.as_str()) {
            None if entry.name.ends_with("num_batches_tracked") => {}
            None => report.missing.push(entry.name.clone()),
            Some(tensor) if tensor.size() != entry.tensor.size() => {
                let (expected, found) = (entry.tensor.size(), tensor.size());
                report
                    .mismatched
                    .push(format!("{} (expected {expected:?}, found {found:?})", entry.name));
            }
            Some(tensor) => {
                no_grad(|| entry.tensor.detach().copy_(tensor));
                loaded += 1;
            }
        }
    }
    let known: HashSet<&str> = state.entries().iter().map(|entry| entry.name.as_str()).collect();
    let unexpected =
        tensors.iter().map(|(name, _)| plain(name)).filter(|name| !known.contains(name));
    report.unexpected = unexpected.map(str::to_owned).collect();
    if loaded == 0 && !state.entries().is_empty() {
        return Err(CheckpointError::OtherModel {
            path: path.to_owned(),
            problems: report.lines(),
        });
    }
    Ok(report)
}

fn plain(name: &str) -> &str {
    name.strip_prefix("module.").unwrap_or(name)
}

fn few(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}
