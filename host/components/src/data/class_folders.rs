//! Data sets with a class for each picture, and their metric.
//!
//! Source: MMPretrain 1.x `datasets/{custom,imagenet}.py`, `evaluation/metrics/single_label.py` (names and defaults).

use snaphook_plugin_api::{Json, Kwargs};

use super::AnnotationFields;
use crate::vision::MOST_CLASSES_TOLD;
use crate::{Component, Declared, OneOrMany, Role, Wrong};

/// A data set of whole pictures: its own arguments, and those that all have.
macro_rules! classified {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Kwargs)]
        pub struct $name {
            /// Folder that the other paths are below.
            #[kwarg(default = "")]
            pub data_root: String,
            /// Folder of pictures, below `data_root`; also as `dict(img_path=…)`.
            #[kwarg(default = None, any_of(String, Json), settings = "ClassPrefix")]
            pub data_prefix: Option<Json>,
            /// A list below `data_root`, each line a picture and its label; without it folders are classes.
            #[kwarg(default = "")]
            pub ann_file: String,
            /// Pictures without classes are for `predict`.
            #[kwarg(default = true, only(true))]
            pub with_label: bool,
            /// Endings of files that are pictures; `.jpg`, `.jpeg`, `.png`, `.bmp` and `.tif` without it.
            #[kwarg(default = None)]
            pub extensions: Option<Vec<String>>,
            /// Names of the classes; those of the folders without it.
            #[kwarg(settings = "Metainfo")]
            pub metainfo: Option<Json>,
            /// MMPretrain's short way to write `metainfo=dict(classes=…)`.
            #[kwarg(default = None)]
            pub classes: Option<Vec<String>>,
            /// Whether it is for validation or test.
            #[kwarg(default = false)]
            pub test_mode: bool,
            /// Transforms, in their order.
            #[kwarg(default = [], component = "transform")]
            pub pipeline: Vec<Json>,
            /// The first n pictures, the last -n, or a list of positions.
            #[kwarg(default = None, any_of(i64, Vec<i64>))]
            pub indices: Option<OneOrMany<i64>>,
            /// Decoded pictures kept in memory, in MiB: 256 without it, 0 for validation and test.
            #[kwarg(default = None)]
            pub image_cache_mib: Option<usize>,
            /// Where files come from.
            #[kwarg(settings = "FileClient")]
            pub backend_args: Option<Json>,
            /// Has no effect: files are listed when the run starts.
            #[kwarg(default = false)]
            pub lazy_init: bool,
            /// Has no effect: records are shared by all threads.
            #[kwarg(default = true)]
            pub serialize_data: bool,
            /// Has no effect: another sample is drawn until one is usable.
            #[kwarg(default = 1000)]
            pub max_refetch: i64,
            $($own)*
        }
    };
}

/// The folder of pictures.
fn prefix(value: Option<&Json>) -> String {
    let own = value.and_then(|value| value.as_str().or_else(|| value["img_path"].as_str()));
    own.unwrap_or_default().to_owned()
}

macro_rules! fields {
    ($own:ident, $prefix:expr) => {
        AnnotationFields {
            data_prefix: Some(serde_json::json!({"img": $prefix})),
            metainfo: $own
                .classes
                .map(|classes| serde_json::json!({"classes": classes}))
                .or($own.metainfo),
            data_root: $own.data_root,
            ann_file: $own.ann_file,
            filter_cfg: None,
            test_mode: $own.test_mode,
            pipeline: $own.pipeline,
            indices: $own.indices,
            image_cache_mib: $own.image_cache_mib,
            backend_args: $own.backend_args,
        }
    };
}

classified! {
    /// Pictures with a class each: a folder for each class, or a list.
    CustomDataset {}
}

impl CustomDataset {
    /// The arguments that all data sets have.
    pub fn fields(self) -> AnnotationFields {
        let prefix = prefix(self.data_prefix.as_ref());
        fields!(self, prefix)
    }
}

impl Component for CustomDataset {
    const ROLE: Role = Role::Dataset;
    const NAMES: &'static [&'static str] = &["CustomDataset"];
}

classified! {
    /// Pictures as ImageNet has them: `train/` and `val/` with a folder for each class, lists in `meta/`.
    ImageNet {
        /// `'train'`, `'val'` or `'test'`: the folder of pictures, and `meta/train.txt` and so on as the list, if it is there.
        #[kwarg(default = "", choices("", "train", "val", "test"))]
        pub split: String,
    }
}

impl ImageNet {
    /// The arguments that all data sets have.
    pub fn fields(self) -> AnnotationFields {
        let given = prefix(self.data_prefix.as_ref());
        let prefix = if given.is_empty() { self.split } else { given };
        fields!(self, prefix)
    }

    /// The list that a split has, where it is there.
    pub fn list_of_split(&self) -> Option<String> {
        (!self.split.is_empty()).then(|| format!("meta/{}.txt", self.split))
    }
}

impl Component for ImageNet {
    const ROLE: Role = Role::Dataset;
    const NAMES: &'static [&'static str] = &["ImageNet"];
}

/// `data_prefix` of a data set of whole pictures.
#[derive(Kwargs)]
pub struct ClassPrefix {
    /// Folder of pictures.
    #[kwarg(default = "")]
    pub img_path: String,
}

impl Component for ClassPrefix {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["ClassPrefix"];
}

/// The share of pictures whose class is among the best ones of the model, in percent.
#[derive(Debug, Kwargs)]
pub struct Accuracy {
    /// Among how many of the best: a number, or a list.
    #[kwarg(default = 1, any_of(usize, Vec<usize>), min = 1)]
    pub topk: OneOrMany<usize>,
    /// Scores must exceed it: a number, or a list.
    #[kwarg(default = 0.0, any_of(f64, Vec<f64>))]
    pub thrs: OneOrMany<f64>,
    /// What the names of the numbers begin with.
    #[kwarg(default = "accuracy")]
    pub prefix: String,
    /// Has no effect: results are collected in memory.
    #[kwarg(default = "cpu")]
    pub collect_device: String,
}

impl Component for Accuracy {
    const ROLE: Role = Role::Metric;
    const NAMES: &'static [&'static str] = &["Accuracy"];

    fn check(&self) -> Result<(), Wrong> {
        let asked = self.topk.clone().into_list();
        let is_right = !asked.is_empty() && asked.iter().all(|most| *most <= MOST_CLASSES_TOLD);
        Wrong::unless(is_right, "topk", || {
            format!("expected numbers of 1 to {MOST_CLASSES_TOLD}, found {asked:?}")
        })?;
        Wrong::unless(!self.thrs.clone().into_list().is_empty(), "thrs", || {
            "expected at least one, found none".to_owned()
        })
    }
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<CustomDataset>(),
        Declared::of::<ImageNet>(),
        Declared::of::<ClassPrefix>(),
        Declared::of::<Accuracy>(),
    ]
}
