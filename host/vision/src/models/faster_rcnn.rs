//! The detector Faster R-CNN: a first stage proposes regions, a second one looks at each.
//!
//! Source: arXiv 1506.01497; MMDetection `models/detectors/{faster_rcnn,two_stage}.py`.

use serde_json::{Value as Json, json};
use snaphook_components::{ComponentError, Problem, ProblemKind, read, vision as declared};
use snaphook_data::Detection;
use snaphook_runner::{BoxError, Losses, ModuleInfo, Scope, StepContext};
use tch::Device;

use super::anchor_head::Proposals;
use super::detector::{DetectionHead, Detector, HeadInput, Parts};
use super::first_stage::FirstStage;
use super::roi_head::StandardRoiHead;
use crate::init_cfg::Starts;
use crate::{BuildError, ModelError};

/// The whole detector.
pub(crate) type FasterRcnn = Detector<TwoStages>;

/// Both stages.
#[derive(Debug)]
pub(crate) struct TwoStages {
    rpn: FirstStage,
    roi: StandardRoiHead,
    train_proposals: Proposals,
    test_proposals: Proposals,
}

/// Builds Faster R-CNN from its dict.
pub(crate) fn build_faster_rcnn(
    value: &Json,
    path: &str,
    device: Device,
) -> Result<FasterRcnn, BuildError> {
    let declared: declared::FasterRcnn = read(value, path)?;
    let parts = Parts {
        type_name: "FasterRCNN",
        data_preprocessor: declared.data_preprocessor.as_ref(),
        backbone: &declared.backbone,
        neck: declared.neck.as_ref(),
        init_cfg: declared.init_cfg.as_ref(),
    };
    Detector::build(&parts, path, device, |scope, starts, levels| {
        TwoStages::build(&declared, path, scope, starts, levels)
    })
}

impl TwoStages {
    fn build(
        model: &declared::FasterRcnn,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
        levels: usize,
    ) -> Result<TwoStages, ComponentError> {
        let below = |key: &str| format!("{path}.{key}");
        let train: Option<declared::FasterRcnnTrainCfg> =
            model.train_cfg.as_ref().map(|value| read(value, &below("train_cfg"))).transpose()?;
        let Some(test_cfg) = &model.test_cfg else {
            let message = "missing: FasterRCNN needs it, expected a dict with rpn and rcnn";
            return Err(Problem::new(below("test_cfg"), ProblemKind::Missing, message).into());
        };
        let test: declared::FasterRcnnTestCfg = read(test_cfg, &below("test_cfg"))?;
        let test_proposals = Proposals::read(&test.rpn, &below("test_cfg.rpn"))?;
        let train_proposals = train.as_ref().and_then(|train| train.rpn_proposal.as_ref());
        let train_proposals = train_proposals
            .map(|value| Proposals::read(value, &below("train_cfg.rpn_proposal")))
            .transpose()?;
        let (rpn_path, rcnn_path) = (below("train_cfg.rpn"), below("train_cfg.rcnn"));
        let rpn_train = train.as_ref().map(|train| (&train.rpn, rpn_path.as_str()));
        let rcnn_train = train.as_ref().map(|train| (&train.rcnn, rcnn_path.as_str()));
        let test_path = below("test_cfg.rcnn");
        let (rpn_scope, roi_scope) = (scope.child("rpn_head"), scope.child("roi_head"));
        let rpn =
            FirstStage::build(&model.rpn_head, &below("rpn_head"), &rpn_scope, rpn_train, starts)?;
        let settings = (rcnn_train, Some((&test.rcnn, test_path.as_str())));
        let roi = StandardRoiHead::build(
            &model.roi_head,
            &below("roi_head"),
            &roi_scope,
            settings,
            starts,
        )?;
        rpn.check_levels(below("rpn_head"), levels)?;
        if roi.levels() > levels {
            let found = roi.levels();
            let message = format!("expected at most {levels}, one for each map, found {found}");
            let path = below("roi_head.bbox_roi_extractor.featmap_strides");
            return Err(Problem::new(path, ProblemKind::Value, message).into());
        }
        let train_proposals = train_proposals.unwrap_or(test_proposals);
        Ok(TwoStages { rpn, roi, train_proposals, test_proposals })
    }
}

impl DetectionHead for TwoStages {
    fn loss(&mut self, input: &HeadInput<'_>, context: &StepContext) -> Losses {
        let (mut losses, proposals) =
            self.rpn.loss_and_propose(input, context, &self.train_proposals);
        losses.0.extend(self.roi.loss(input, proposals, context).0);
        losses
    }

    fn loss_names(&self) -> Vec<String> {
        let first = self.rpn.loss_names();
        first.into_iter().chain(["loss_cls", "acc", "loss_bbox"].map(str::to_owned)).collect()
    }

    fn predict(&mut self, input: &HeadInput<'_>) -> Vec<Vec<Detection>> {
        let proposals = self.rpn.propose(input, &self.test_proposals);
        self.roi.predict(input, &proposals)
    }

    fn num_classes(&self) -> i64 {
        self.roi.num_classes()
    }

    fn modules(&self) -> Vec<ModuleInfo> {
        let module = |name: &str, type_name: &str, attributes| ModuleInfo {
            name: name.into(),
            type_name: type_name.into(),
            attributes,
        };
        let classes = json!({"num_classes": self.roi.num_classes()});
        vec![
            module("rpn_head", self.rpn.type_name(), json!({"num_classes": 1})),
            module("roi_head", "StandardRoIHead", json!({})),
            module("roi_head.bbox_head", self.roi.box_head_type(), classes),
        ]
    }

    fn set_attribute(&mut self, module: &str, name: &str, _: &Json) -> Result<(), BoxError> {
        Err(ModelError::no_attribute(module, name, "none").into())
    }

    fn finish_start_values(&self) {
        self.rpn.finish_start_values();
    }

    #[cfg(test)]
    fn found_targets(&mut self, input: &HeadInput<'_>) -> Vec<crate::golden::FoundTargets> {
        let rpn = self.rpn.found_targets(input);
        let proposals = self.rpn.propose(input, &self.train_proposals);
        vec![rpn, self.roi.found_targets(input, proposals)]
    }
}
