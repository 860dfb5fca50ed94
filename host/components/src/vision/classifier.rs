//! The classifier of whole pictures.
//!
//! Source: MMPretrain 1.x (names and defaults).

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrMany, Role, Wrong};

/// Most classes that are told of a picture.
pub const MOST_CLASSES_TOLD: usize = 20;

/// A class for each picture (arXiv 1512.03385, section 4.1).
#[derive(Kwargs)]
pub struct ImageClassifier {
    /// Stacks pictures into a batch.
    #[kwarg(component = "data_preprocessor")]
    pub data_preprocessor: Option<Json>,
    /// Pictures to maps of features; the last one counts.
    #[kwarg(component = "backbone")]
    pub backbone: Json,
    /// Maps to numbers: `dict(type='GlobalAveragePooling')`.
    #[kwarg(component = "neck")]
    pub neck: Option<Json>,
    /// Numbers to classes.
    #[kwarg(component = "head")]
    pub head: Json,
    /// MMPretrain's old way to write `init_cfg=dict(type='Pretrained', checkpoint=…)`.
    #[kwarg(default = None)]
    pub pretrained: Option<String>,
    /// Mixing of batches is not known yet.
    #[kwarg(default = None, only(None))]
    pub train_cfg: Json,
    /// Start values of a whole model: `Pretrained` alone.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

impl Component for ImageClassifier {
    const ROLE: Role = Role::Model;
    const NAMES: &'static [&'static str] = &["ImageClassifier"];
}

/// The mean of each channel of a map.
#[derive(Kwargs)]
pub struct GlobalAveragePooling {
    /// Maps have two dimensions.
    #[kwarg(default = 2, only(2))]
    pub dim: i64,
}

impl Component for GlobalAveragePooling {
    const ROLE: Role = Role::Neck;
    const NAMES: &'static [&'static str] = &["GlobalAveragePooling"];
}

/// A layer of weights, and one class as the answer.
#[derive(Kwargs)]
pub struct LinearClsHead {
    /// Number of classes.
    #[kwarg(min = 1)]
    pub num_classes: i64,
    /// Numbers that come in.
    #[kwarg(min = 1)]
    pub in_channels: i64,
    /// Loss of the classes; `CrossEntropyLoss` without it.
    #[kwarg(component = "loss")]
    pub loss: Option<Json>,
    /// Which accuracies are told with `cal_acc`.
    #[kwarg(default = 1, any_of(usize, Vec<usize>), min = 1)]
    pub topk: OneOrMany<usize>,
    /// Whether accuracies are told with the losses of training.
    #[kwarg(default = false)]
    pub cal_acc: bool,
    /// Start values; normal ones of deviation 0.01 without it.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

impl Component for LinearClsHead {
    const ROLE: Role = Role::Head;
    const NAMES: &'static [&'static str] = &["LinearClsHead"];
}

/// Stacks pictures of bytes into one tensor: channel order, mean, deviation, padding.
#[derive(Kwargs)]
pub struct ClsDataPreprocessor {
    /// Mean of each channel, after the change of order: one number or three.
    #[kwarg(default = None)]
    pub mean: Option<Vec<f64>>,
    /// Deviation of each channel.
    #[kwarg(default = None)]
    pub std: Option<Vec<f64>>,
    /// Sizes are padded to multiples of it, in pixels.
    #[kwarg(default = 1, min = 1)]
    pub pad_size_divisor: usize,
    /// Value of the padding.
    #[kwarg(default = 0.0)]
    pub pad_value: f64,
    /// Whether blue and red change places.
    #[kwarg(default = false)]
    pub to_rgb: bool,
    /// Labels of several classes are not known yet.
    #[kwarg(default = false, only(false))]
    pub to_onehot: bool,
    /// Has no effect: the head knows its classes.
    #[kwarg(default = None)]
    pub num_classes: Option<i64>,
    /// Mixing of batches is not known yet.
    #[kwarg(default = None, only(None))]
    pub batch_augments: Json,
}

impl Component for ClsDataPreprocessor {
    const ROLE: Role = Role::DataPreprocessor;
    const NAMES: &'static [&'static str] = &["ClsDataPreprocessor"];

    fn check(&self) -> Result<(), Wrong> {
        super::preprocessing::check_normalisation(self.mean.as_deref(), self.std.as_deref())
    }
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<ImageClassifier>(),
        Declared::of::<GlobalAveragePooling>(),
        Declared::of::<LinearClsHead>(),
        Declared::of::<ClsDataPreprocessor>(),
    ]
}
