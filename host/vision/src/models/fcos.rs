//! The detector FCOS.
//!
//! Source: arXiv 1904.01355; MMDetection `models/detectors/fcos.py`.

use serde_json::{Value as Json, json};
use snaphook_components::{read, vision as declared};
use snaphook_data::Detection;
use snaphook_runner::{BoxError, Losses, ModuleInfo, StepContext};
use tch::Device;

use super::dense_test::DenseTest;
use super::detector::{DetectionHead, Detector, HeadInput, Parts};
use super::fcos_head::FcosHead;
use super::retina_net::maps_problem;
use crate::{BuildError, ModelError};

/// The whole detector.
pub(crate) type Fcos = Detector<FcosDetection>;

/// The head with what is kept of its boxes.
#[derive(Debug)]
pub(crate) struct FcosDetection {
    head: FcosHead,
    test: DenseTest,
}

/// Builds FCOS from its dict.
pub(crate) fn build_fcos(value: &Json, path: &str, device: Device) -> Result<Fcos, BuildError> {
    let declared: declared::Fcos = read(value, path)?;
    let parts = Parts {
        type_name: "FCOS",
        data_preprocessor: declared.data_preprocessor.as_ref(),
        backbone: &declared.backbone,
        neck: declared.neck.as_ref(),
        init_cfg: declared.init_cfg.as_ref(),
    };
    Detector::build(&parts, path, device, |scope, starts, levels| {
        let head_path = format!("{path}.bbox_head");
        let scope = scope.child("bbox_head");
        let head = FcosHead::build(&declared.bbox_head, &head_path, &scope, starts)?;
        if head.levels() != levels {
            return Err(maps_problem(format!("{head_path}.strides"), levels, head.levels()));
        }
        let test = declared.test_cfg.as_ref();
        let test = test.map(|value| DenseTest::read(value, &format!("{path}.test_cfg")));
        Ok(FcosDetection { head, test: test.transpose()?.unwrap_or_default() })
    })
}

impl DetectionHead for FcosDetection {
    fn loss(&mut self, input: &HeadInput<'_>, _: &StepContext) -> Losses {
        self.head.losses(input.features, input.targets, input.mode).0
    }

    fn loss_names(&self) -> Vec<String> {
        FcosHead::LOSSES.map(str::to_owned).into()
    }

    fn predict(&mut self, input: &HeadInput<'_>) -> Vec<Vec<Detection>> {
        self.head.boxes(input, &self.test)
    }

    fn num_classes(&self) -> i64 {
        self.head.num_classes
    }

    fn modules(&self) -> Vec<ModuleInfo> {
        vec![ModuleInfo {
            name: "bbox_head".into(),
            type_name: "FCOSHead".into(),
            attributes: json!({"num_classes": self.head.num_classes}),
        }]
    }

    fn set_attribute(&mut self, module: &str, name: &str, _: &Json) -> Result<(), BoxError> {
        Err(ModelError::no_attribute(module, name, "none").into())
    }

    fn finish_start_values(&self) {
        self.head.set_scales();
    }

    #[cfg(test)]
    fn found_targets(&mut self, input: &HeadInput<'_>) -> Vec<crate::golden::FoundTargets> {
        vec![self.head.found_targets(input, "bbox")]
    }
}
