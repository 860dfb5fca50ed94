//! The detector RetinaNet.
//!
//! Source: arXiv 1708.02002; MMDetection `models/detectors/retinanet.py`.

use serde_json::Value as Json;
use snaphook_components::{ComponentError, Problem, ProblemKind, read, vision as declared};
use tch::Device;

use super::anchor_head::RetinaHead;
use super::detector::{Detector, Parts};
use crate::BuildError;

/// The whole detector.
pub(crate) type RetinaNet = Detector<RetinaHead>;

/// Builds RetinaNet from its dict.
pub(crate) fn build_retina_net(
    value: &Json,
    path: &str,
    device: Device,
) -> Result<RetinaNet, BuildError> {
    let declared: declared::RetinaNet = read(value, path)?;
    let parts = Parts {
        type_name: "RetinaNet",
        data_preprocessor: declared.data_preprocessor.as_ref(),
        backbone: &declared.backbone,
        neck: declared.neck.as_ref(),
        init_cfg: declared.init_cfg.as_ref(),
    };
    Detector::build(&parts, path, device, |scope, starts, levels| {
        let head = RetinaHead::build(&declared, path, &scope.child("bbox_head"), starts)?;
        match head.levels() == levels {
            true => Ok(head),
            false => Err(strides_problem(format!("{path}.bbox_head"), levels, head.levels())),
        }
    })
}

/// Anchors for another number of maps than there are.
pub(super) fn strides_problem(head: String, expected: usize, found: usize) -> ComponentError {
    maps_problem(format!("{head}.anchor_generator.strides"), expected, found)
}

/// A list at `path` that has not one entry for each map.
pub(super) fn maps_problem(path: String, expected: usize, found: usize) -> ComponentError {
    let message = format!("expected one for each of {expected} maps, found {found}");
    Problem::new(path, ProblemKind::Value, message).into()
}
