//! The detector YOLOX.
//!
//! Source: arXiv 2107.08430; MMDetection `models/detectors/yolox.py`.

use serde_json::{Value as Json, json};
use snaphook_components::{ComponentError, Problem, ProblemKind, read, vision as declared};
use snaphook_data::Detection;
use snaphook_runner::{BoxError, Losses, ModuleInfo, StepContext};
use tch::Device;

use super::YoloxHead;
use super::detector::{DetectionHead, Detector, HeadInput, Parts};
use crate::{BuildError, ModelError};

/// The whole detector.
pub(crate) type Yolox = Detector<YoloxHead>;

/// Builds YOLOX from its dict.
pub(crate) fn build_yolox(value: &Json, path: &str, device: Device) -> Result<Yolox, BuildError> {
    let declared: declared::Yolox = read(value, path)?;
    let parts = Parts {
        type_name: "YOLOX",
        data_preprocessor: declared.data_preprocessor.as_ref(),
        backbone: &declared.backbone,
        neck: Some(&declared.neck),
        init_cfg: declared.init_cfg.as_ref(),
    };
    Detector::build(&parts, path, device, |scope, starts, levels| {
        let head = YoloxHead::build(&declared, path, &scope.child("bbox_head"), starts)?;
        if levels == head.levels() {
            return Ok(head);
        }
        let found = head.levels();
        let message =
            format!("expected as many strides as the neck has levels, {levels}, found {found}");
        let path = format!("{path}.bbox_head.strides");
        Err(ComponentError::from(Problem::new(path, ProblemKind::Value, message)))
    })
}

impl DetectionHead for YoloxHead {
    fn loss(&mut self, input: &HeadInput<'_>, _: &StepContext) -> Losses {
        let outputs = self.forward(input.features, input.mode);
        self.losses(&outputs, input.targets, input.mode)
    }

    fn loss_names(&self) -> Vec<String> {
        // The last is there once `use_l1` is set, in the last epochs of a training.
        ["loss_cls", "loss_bbox", "loss_obj", "loss_l1"].map(str::to_owned).into()
    }

    fn predict(&mut self, input: &HeadInput<'_>) -> Vec<Vec<Detection>> {
        let outputs = self.forward(input.features, input.mode);
        let scales: Vec<_> = input.shapes.iter().map(|shape| shape.scale.into()).collect();
        self.boxes(&outputs, &scales)
    }

    fn num_classes(&self) -> i64 {
        self.num_classes
    }

    fn modules(&self) -> Vec<ModuleInfo> {
        vec![ModuleInfo {
            name: "bbox_head".into(),
            type_name: "YOLOXHead".into(),
            attributes: json!({"num_classes": self.num_classes, "use_l1": self.use_l1}),
        }]
    }

    fn set_attribute(&mut self, module: &str, name: &str, value: &Json) -> Result<(), BoxError> {
        if name != "use_l1" {
            return Err(ModelError::no_attribute(module, name, "use_l1").into());
        }
        self.use_l1 = value.as_bool().ok_or_else(|| ModelError::AttributeType {
            module: module.to_owned(),
            name: name.to_owned(),
            expected: "true or false",
            found: value.to_string(),
        })?;
        Ok(())
    }

    fn finish_start_values(&self) {
        self.set_prior_biases();
    }

    #[cfg(test)]
    fn found_targets(&mut self, input: &HeadInput<'_>) -> Vec<crate::golden::FoundTargets> {
        let outputs = self.forward(input.features, input.mode);
        vec![self.found_targets(&outputs, input.targets)]
    }
}
