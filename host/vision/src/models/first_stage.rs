//! The first stage of a detector of two: anchors, or places without anchors.
//!
//! Source: MMDetection `models/detectors/two_stage.py`.

use serde_json::Value as Json;
use snaphook_components::{Catalog, ComponentError, Problem, ProblemKind, Role, type_name};
use snaphook_runner::{Losses, Scope, StepContext};

use super::anchor_head::{Proposals, RpnHead};
use super::detector::HeadInput;
use super::fcos_head::FcosHead;
use super::retina_net::{maps_problem, strides_problem};
use crate::boxes::Corners;
use crate::init_cfg::Starts;

/// What proposes regions.
#[derive(Debug)]
pub(crate) enum FirstStage {
    /// `RPNHead`.
    Anchors(RpnHead),
    /// `FCOSHead`.
    Places(FcosHead),
}

impl FirstStage {
    /// `train_cfg` comes with its own path.
    pub(super) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        train_cfg: Option<(&Json, &str)>,
        starts: &mut Starts,
    ) -> Result<FirstStage, ComponentError> {
        match type_name(Role::Head, value, path)? {
            "RPNHead" => {
                RpnHead::build(value, path, scope, train_cfg, starts).map(FirstStage::Anchors)
            }
            "FCOSHead" => {
                // Whatever it says: regions are of one class.
                let mut own = value.clone();
                own["num_classes"] = 1.into();
                FcosHead::build(&own, path, scope, starts).map(FirstStage::Places)
            }
            "YOLOXHead" | "RetinaHead" => {
                let message = "expected RPNHead or FCOSHead, which can be a first stage";
                let path = format!("{path}.type");
                Err(Problem::new(path, ProblemKind::Value, message).into())
            }
            _ => Err(Catalog::built_in().unknown(Role::Head, value, path).into()),
        }
    }

    /// Errors: another number of maps than there are; `path` is that of the head.
    pub(super) fn check_levels(&self, path: String, levels: usize) -> Result<(), ComponentError> {
        match self {
            FirstStage::Anchors(head) if head.levels() != levels => {
                Err(strides_problem(path, levels, head.levels()))
            }
            FirstStage::Places(head) if head.levels() != levels => {
                Err(maps_problem(format!("{path}.strides"), levels, head.levels()))
            }
            _ => Ok(()),
        }
    }

    /// The losses, and the proposals of each picture, best first.
    pub(super) fn loss_and_propose(
        &mut self,
        input: &HeadInput<'_>,
        context: &StepContext,
        keep: &Proposals,
    ) -> (Losses, Vec<Vec<Corners>>) {
        match self {
            FirstStage::Anchors(head) => head.loss_and_propose(
                input.features,
                input.targets,
                input.shapes,
                (context, input.mode),
                keep,
            ),
            FirstStage::Places(head) => {
                let (losses, outputs) = head.losses(input.features, input.targets, input.mode);
                let named = losses.0.into_iter().map(|(name, loss)| (format!("rpn_{name}"), loss));
                let found = head.proposals(&outputs, input.shapes, &keep.as_dense());
                (Losses(named.collect()), corners(found))
            }
        }
    }

    /// The names of its losses.
    pub(super) fn loss_names(&self) -> Vec<String> {
        match self {
            FirstStage::Anchors(_) => ["loss_rpn_cls", "loss_rpn_bbox"].map(str::to_owned).into(),
            FirstStage::Places(_) => {
                FcosHead::LOSSES.iter().map(|name| format!("rpn_{name}")).collect()
            }
        }
    }

    /// The proposals of each picture, best first.
    pub(super) fn propose(&mut self, input: &HeadInput<'_>, keep: &Proposals) -> Vec<Vec<Corners>> {
        match self {
            FirstStage::Anchors(head) => {
                head.propose(input.features, input.shapes, input.mode, keep)
            }
            FirstStage::Places(head) => {
                let outputs = tch::no_grad(|| head.look(input.features, input.mode));
                corners(head.proposals(&outputs, input.shapes, &keep.as_dense()))
            }
        }
    }

    /// Its `type`.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            FirstStage::Anchors(_) => "RPNHead",
            FirstStage::Places(_) => "FCOSHead",
        }
    }

    /// Sets what start values of layers alone do not say.
    pub(super) fn finish_start_values(&self) {
        if let FirstStage::Places(head) = self {
            head.set_scales();
        }
    }

    #[cfg(test)]
    pub(super) fn found_targets(&mut self, input: &HeadInput<'_>) -> crate::golden::FoundTargets {
        match self {
            FirstStage::Anchors(head) => head.found_targets(input),
            FirstStage::Places(head) => head.found_targets(input, "rpn"),
        }
    }
}

fn corners(found: Vec<Vec<snaphook_data::Detection>>) -> Vec<Vec<Corners>> {
    let of_picture = |found: Vec<snaphook_data::Detection>| -> Vec<Corners> {
        found.into_iter().map(|found| found.bbox).collect()
    };
    found.into_iter().map(of_picture).collect()
}
