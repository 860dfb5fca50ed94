//! What a detector needs of its head. Knows nothing of single heads.

use std::fmt::Debug;

use serde_json::Value as Json;
use snaphook_data::Detection;
use snaphook_runner::{BoxError, Losses, ModuleInfo, StepContext};
use tch::Tensor;

use crate::nn::Mode;
use crate::preprocess::PictureShape;
use crate::sim_ota::Targets;

/// What comes into a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadInput<'a> {
    /// Maps, fine to coarse. Shapes: [N, C, H, W] each.
    pub(crate) features: &'a [Tensor],
    /// Boxes to be found, for each picture; none for predictions.
    pub(crate) targets: &'a [Targets],
    /// Sizes of the pictures.
    pub(crate) shapes: &'a [PictureShape],
    /// What the pass is for.
    pub(crate) mode: Mode,
}

/// Everything of a detector that comes after its neck.
pub(crate) trait DetectionHead: Debug {
    /// The losses of a batch by name.
    fn loss(&mut self, input: &HeadInput<'_>, context: &StepContext) -> Losses;
    /// The names that its losses can have, and numbers that are shown with them.
    fn loss_names(&self) -> Vec<String>;
    /// The boxes of each picture, in its original's pixels, best first.
    fn predict(&mut self, input: &HeadInput<'_>) -> Vec<Vec<Detection>>;
    /// Classes that it tells apart.
    fn num_classes(&self) -> i64;
    /// Its parts with their attributes.
    fn modules(&self) -> Vec<ModuleInfo>;
    /// Sets an attribute of one of its parts.
    ///
    /// Errors: no such attribute, or a value of the wrong type.
    fn set_attribute(&mut self, module: &str, name: &str, value: &Json) -> Result<(), BoxError>;
    /// What is to be found, for tests.
    #[cfg(test)]
    fn found_targets(&mut self, input: &HeadInput<'_>) -> Vec<crate::golden::FoundTargets>;
    /// Whether what it finds are classes of whole pictures.
    fn is_of_whole_pictures(&self) -> bool {
        false
    }
    /// Sets what start values of layers alone do not say.
    fn finish_start_values(&self) {}
}
