//! The roles that components have in a config. Knows nothing of the components.

use serde_json::{Map, Value as Json};

/// What a component is for; a `type` is looked up among those of its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// A whole model: `model`.
    Model,
    /// Stacks pictures into a batch: `model.data_preprocessor`.
    DataPreprocessor,
    /// Changes a whole batch: `batch_augments`.
    BatchAugment,
    /// Pictures to maps of features.
    Backbone,
    /// Maps of features to maps of features.
    Neck,
    /// Maps of features to predictions, of one stage.
    Head,
    /// The second stage of a detector: `roi_head`.
    RoiHead,
    /// Classes and boxes of one region: `roi_head.bbox_head`.
    BoxHead,
    /// Features of regions: `bbox_roi_extractor`.
    RoiExtractor,
    /// How a region's features are sampled: `roi_layer`.
    RoiLayer,
    /// What regions pass before their box head: `roi_head.shared_head`.
    SharedHead,
    /// The last layer of a box head: `cls_predictor_cfg`, `reg_predictor_cfg`.
    Predictor,
    /// Places of anchors: `anchor_generator`, `prior_generator`.
    AnchorGenerator,
    /// Boxes to numbers and back: `bbox_coder`.
    BoxCoder,
    /// A loss.
    Loss,
    /// Which prediction is to find which box.
    Assigner,
    /// Overlap of boxes: `iou_calculator`.
    IouCalculator,
    /// Chooses among assigned predictions: `sampler` of a `train_cfg`.
    BoxSampler,
    /// `nms` of a `test_cfg`.
    Suppression,
    /// `norm_cfg`.
    Normalisation,
    /// `norm_cfg` of towers, which can be one that others cannot have yet.
    TowerNormalisation,
    /// `act_cfg`.
    Activation,
    /// `conv_cfg`.
    Convolution,
    /// `init_cfg`.
    Initialisation,
    /// A data set.
    Dataset,
    /// A step of a pipeline.
    Transform,
    /// The order of samples: `sampler` of a data loader.
    DataSampler,
    /// Groups samples into batches: `batch_sampler`.
    BatchSampler,
    /// Joins samples to a batch: `collate_fn`.
    Collation,
    /// Scores predictions: an entry of `val_evaluator`.
    Metric,
    /// `optim_wrapper`.
    OptimWrapper,
    /// `optim_wrapper.optimizer`.
    Optimizer,
    /// An entry of `param_scheduler`.
    ParamScheduler,
    /// A hook, built in or of a plugin.
    Hook,
    /// `train_cfg`.
    TrainLoop,
    /// `val_cfg`.
    ValLoop,
    /// `test_cfg`.
    TestLoop,
    /// `visualizer`.
    Visualizer,
    /// An entry of `vis_backends`.
    VisualizerBackend,
    /// `log_processor`.
    LogProcessor,
    /// A dict without a `type`, such as `filter_cfg`; found by name.
    Settings,
}

/// Each role with its name in schemas and in words.
const NAMES: [(Role, &str, &str); 41] = [
    (Role::Model, "model", "model"),
    (Role::DataPreprocessor, "data_preprocessor", "data preprocessor"),
    (Role::BatchAugment, "batch_augment", "batch augmentation"),
    (Role::Backbone, "backbone", "backbone"),
    (Role::Neck, "neck", "neck"),
    (Role::Head, "head", "head"),
    (Role::RoiHead, "roi_head", "RoI head"),
    (Role::BoxHead, "box_head", "box head"),
    (Role::RoiExtractor, "roi_extractor", "RoI extractor"),
    (Role::RoiLayer, "roi_layer", "RoI layer"),
    (Role::SharedHead, "shared_head", "shared head"),
    (Role::Predictor, "predictor", "predictor"),
    (Role::AnchorGenerator, "anchor_generator", "anchor generator"),
    (Role::BoxCoder, "box_coder", "box coder"),
    (Role::Loss, "loss", "loss"),
    (Role::Assigner, "assigner", "assigner"),
    (Role::IouCalculator, "iou_calculator", "overlap of boxes"),
    (Role::BoxSampler, "box_sampler", "sampler of boxes"),
    (Role::Suppression, "suppression", "suppression"),
    (Role::Normalisation, "normalisation", "normalisation"),
    (Role::TowerNormalisation, "tower_normalisation", "normalisation"),
    (Role::Activation, "activation", "activation"),
    (Role::Convolution, "convolution", "convolution"),
    (Role::Initialisation, "initialisation", "initialisation"),
    (Role::Dataset, "dataset", "data set"),
    (Role::Transform, "transform", "transform"),
    (Role::DataSampler, "data_sampler", "sampler"),
    (Role::BatchSampler, "batch_sampler", "batch sampler"),
    (Role::Collation, "collation", "collate function"),
    (Role::Metric, "metric", "metric"),
    (Role::OptimWrapper, "optim_wrapper", "optimizer wrapper"),
    (Role::Optimizer, "optimizer", "optimizer"),
    (Role::ParamScheduler, "param_scheduler", "scheduler"),
    (Role::Hook, "hook", "hook"),
    (Role::TrainLoop, "train_loop", "training loop"),
    (Role::ValLoop, "val_loop", "validation loop"),
    (Role::TestLoop, "test_loop", "test loop"),
    (Role::Visualizer, "visualizer", "visualizer"),
    (Role::VisualizerBackend, "visualizer_backend", "visualizer backend"),
    (Role::LogProcessor, "log_processor", "log processor"),
    (Role::Settings, "settings", "group of settings"),
];

impl Role {
    /// All roles.
    pub fn all() -> impl Iterator<Item = Role> {
        NAMES.iter().map(|(role, _, _)| *role)
    }

    /// The name in `#[kwarg(component = "…")]` and in schemas.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// The name for people: `data set`.
    pub fn words(self) -> &'static str {
        self.entry().2
    }

    /// The role of this name.
    pub fn of_name(name: &str) -> Option<Role> {
        NAMES.iter().find(|(_, known, _)| *known == name).map(|(role, _, _)| *role)
    }

    /// The `type` of this dict, which names none, where MMEngine takes one for granted.
    ///
    /// Source: `build_train_loop` in `mmengine/runner/runner.py`, where `by_epoch` chooses; here `max_iters` does, too.
    pub fn type_without_name(self, dict: &Map<String, Json>) -> Option<&'static str> {
        let by_iteration = dict.get("by_epoch") == Some(&Json::Bool(false))
            || (dict.contains_key("max_iters") && !dict.contains_key("max_epochs"));
        match self {
            Role::TrainLoop if by_iteration => Some("IterBasedTrainLoop"),
            // MMPretrain's configs name none; these words are of its preprocessor alone.
            Role::DataPreprocessor
                if ["to_rgb", "num_classes"].iter().any(|key| dict.contains_key(*key)) =>
            {
                Some("ClsDataPreprocessor")
            }
            _ => self.default_type(),
        }
    }

    /// The `type` that is taken for granted when a dict says nothing else.
    pub fn default_type(self) -> Option<&'static str> {
        match self {
            Role::OptimWrapper => Some("OptimWrapper"),
            Role::TrainLoop => Some("EpochBasedTrainLoop"),
            Role::ValLoop => Some("ValLoop"),
            Role::TestLoop => Some("TestLoop"),
            Role::Suppression => Some("nms"),
            Role::LogProcessor => Some("LogProcessor"),
            _ => None,
        }
    }

    fn entry(self) -> &'static (Role, &'static str, &'static str) {
        let found = NAMES.iter().find(|(role, _, _)| *role == self);
        found.expect("every role has a line in NAMES; a test looks at each")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_found_by_their_names() {
        for role in Role::all() {
            assert_eq!(Role::of_name(role.name()), Some(role));
            assert!(!role.words().is_empty());
        }
        // The last one of the enum: a new role belongs before it, and into NAMES.
        assert_eq!(Role::Settings as usize + 1, NAMES.len());
    }
}
