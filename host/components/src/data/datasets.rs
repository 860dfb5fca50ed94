//! Data sets, and what their nested dicts hold.
//!
//! Source: MMDetection 3.3.0 `datasets`, MMEngine `dataset/dataset_wrapper.py` (names and defaults).

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrMany, Role, Wrong};

/// The arguments that all annotated data sets have.
pub struct AnnotationFields {
    /// Folder that the other paths are below.
    pub data_root: String,
    /// Annotation file.
    pub ann_file: String,
    /// Folders of pictures.
    pub data_prefix: Option<Json>,
    /// Classes and colours.
    pub metainfo: Option<Json>,
    /// Which pictures are left out in training.
    pub filter_cfg: Option<Json>,
    /// Whether it is for validation or test.
    pub test_mode: bool,
    /// Transforms, in their order.
    pub pipeline: Vec<Json>,
    /// The first n pictures, the last n, or these.
    pub indices: Option<OneOrMany<i64>>,
    /// Decoded pictures kept in memory, in MiB.
    pub image_cache_mib: Option<usize>,
    /// Where files come from.
    pub backend_args: Option<Json>,
}

/// A data set of annotated pictures: its own arguments, and those that all have.
macro_rules! annotated {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Kwargs)]
        pub struct $name {
            /// Annotation file, below `data_root`.
            #[kwarg]
            pub ann_file: String,
            /// Folder that the other paths are below.
            #[kwarg(default = "")]
            pub data_root: String,
            /// Folders of pictures, below `data_root`.
            #[kwarg(settings = "DataPrefix")]
            pub data_prefix: Option<Json>,
            /// Classes and colours; the data set's own without it.
            #[kwarg(settings = "Metainfo")]
            pub metainfo: Option<Json>,
            /// Which pictures are left out in training.
            #[kwarg(settings = "FilterCfg")]
            pub filter_cfg: Option<Json>,
            /// Whether it is for validation or test: nothing is left out then.
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
            /// MMCV's old name of `backend_args`.
            #[kwarg(default = None, only(None))]
            pub file_client_args: Json,
            /// Proposals are not known.
            #[kwarg(default = None, only(None, ""))]
            pub proposal_file: Json,
            /// It is about data sets with text.
            #[kwarg(default = false, only(false))]
            pub return_classes: bool,
            /// Has no effect: annotations are read when the run starts.
            #[kwarg(default = false)]
            pub lazy_init: bool,
            /// Has no effect: records are shared by all threads.
            #[kwarg(default = true)]
            pub serialize_data: bool,
            /// Has no effect: another sample is drawn until one is usable.
            #[kwarg(default = 1000)]
            pub max_refetch: i64,
            /// Has no effect: segmentations are not known yet.
            #[kwarg(default = ".png")]
            pub seg_map_suffix: String,
            /// Has no effect: it is about data sets with text.
            #[kwarg(default = None)]
            pub caption_prompt: Option<Json>,
            $($own)*
        }

        impl $name {
            /// The arguments that all such data sets have.
            pub fn fields(self) -> AnnotationFields {
                AnnotationFields {
                    data_root: self.data_root,
                    ann_file: self.ann_file,
                    data_prefix: self.data_prefix,
                    metainfo: self.metainfo,
                    filter_cfg: self.filter_cfg,
                    test_mode: self.test_mode,
                    pipeline: self.pipeline,
                    indices: self.indices,
                    image_cache_mib: self.image_cache_mib,
                    backend_args: self.backend_args,
                }
            }
        }
    };
}

annotated! {
    /// Annotations in COCO's JSON.
    CocoDataset {}
}

impl Component for CocoDataset {
    const ROLE: Role = Role::Dataset;
    const NAMES: &'static [&'static str] = &["CocoDataset"];
}

/// A data set of a list of names, with an XML file for each.
macro_rules! xml {
    ($(#[$meta:meta])* $name:ident, $type_name:literal) => {
        annotated! {
            $(#[$meta])*
            $name {
                /// Folder of pictures, below `data_prefix.sub_data_root`.
                #[kwarg(default = "JPEGImages")]
                pub img_subdir: String,
                /// Folder of XML files, below `data_prefix.sub_data_root`.
                #[kwarg(default = "Annotations")]
                pub ann_subdir: String,
            }
        }

        impl Component for $name {
            const ROLE: Role = Role::Dataset;
            const NAMES: &'static [&'static str] = &[$type_name];
        }
    };
}

xml! {
    /// Annotations in Pascal VOC's XML files.
    VocDataset, "VOCDataset"
}

xml! {
    /// Annotations in XML files as Pascal VOC has them, with classes of one's own in `metainfo`.
    XmlDataset, "XMLDataset"
}

/// `data_prefix` of a data set.
#[derive(Kwargs)]
pub struct DataPrefix {
    /// Folder of pictures.
    #[kwarg(default = "")]
    pub img: String,
    /// Folder of a VOC data set.
    #[kwarg(default = None)]
    pub sub_data_root: Option<String>,
    /// Has no effect: MMEngine's own default name.
    #[kwarg(default = "")]
    pub img_path: String,
    /// Has no effect: segmentations are not known yet.
    #[kwarg(default = "")]
    pub seg: String,
}

impl Component for DataPrefix {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["DataPrefix"];
}

/// `metainfo` of a data set.
#[derive(Kwargs)]
pub struct Metainfo {
    /// Names; a label is an index into them.
    #[kwarg(default = None, any_of(String, Vec<String>))]
    pub classes: Option<OneOrMany<String>>,
    /// Red, green, blue of each class.
    #[kwarg(default = None)]
    pub palette: Option<Vec<(u8, u8, u8)>>,
    /// Has no effect: what the data set is called.
    #[kwarg(default = None)]
    pub dataset_type: Option<String>,
    /// Has no effect: what the task is called.
    #[kwarg(default = None)]
    pub task_name: Option<String>,
}

impl Component for Metainfo {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["Metainfo"];
    const IS_OPEN: bool = true;

    fn check(&self) -> Result<(), Wrong> {
        let is_empty = matches!(&self.classes, Some(OneOrMany::Many(names)) if names.is_empty());
        Wrong::unless(!is_empty, "classes", || "expected at least one name, found none".to_owned())
    }
}

/// `filter_cfg` of a data set.
#[derive(Kwargs)]
pub struct FilterCfg {
    /// Whether pictures without any object are left out.
    #[kwarg(default = false)]
    pub filter_empty_gt: bool,
    /// Pictures with a shorter side are left out, in pixels.
    #[kwarg(default = 0)]
    pub min_size: usize,
    /// Smaller boxes are ignored, in pixels (VOC).
    #[kwarg(default = None)]
    pub bbox_min_size: Option<f32>,
}

impl Component for FilterCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["FilterCfg"];
}

/// A data set several times in a row.
#[derive(Kwargs)]
pub struct RepeatDataset {
    /// The data set.
    #[kwarg(component = "dataset")]
    pub dataset: Json,
    /// How often.
    #[kwarg(min = 1)]
    pub times: usize,
    /// Has no effect: annotations are read when the run starts.
    #[kwarg(default = false)]
    pub lazy_init: bool,
}

impl Component for RepeatDataset {
    const ROLE: Role = Role::Dataset;
    const NAMES: &'static [&'static str] = &["RepeatDataset"];
}

/// Repeats samples with rare classes.
#[derive(Kwargs)]
pub struct ClassBalancedDataset {
    /// The data set.
    #[kwarg(component = "dataset")]
    pub dataset: Json,
    /// Classes in a smaller share of the pictures are repeated; 0 to 1.
    #[kwarg(min = 0.0)]
    pub oversample_thr: f64,
    /// Has no effect: annotations are read when the run starts.
    #[kwarg(default = false)]
    pub lazy_init: bool,
}

impl Component for ClassBalancedDataset {
    const ROLE: Role = Role::Dataset;
    const NAMES: &'static [&'static str] = &["ClassBalancedDataset"];
}

/// Several data sets one after another.
#[derive(Kwargs)]
pub struct ConcatDataset {
    /// The data sets; all of the same classes.
    #[kwarg(component = "dataset")]
    pub datasets: Vec<Json>,
    /// Has no effect: annotations are read when the run starts.
    #[kwarg(default = false)]
    pub lazy_init: bool,
    /// Has no effect: classes must be the same.
    #[kwarg(default = None)]
    pub ignore_keys: Option<Json>,
}

impl Component for ConcatDataset {
    const ROLE: Role = Role::Dataset;
    const NAMES: &'static [&'static str] = &["ConcatDataset"];

    fn check(&self) -> Result<(), Wrong> {
        let message = || "expected at least one data set, found none".to_owned();
        Wrong::unless(!self.datasets.is_empty(), "datasets", message)
    }
}

/// A data set whose pipeline mixes several samples.
#[derive(Kwargs)]
pub struct MultiImageMixDataset {
    /// The data set that samples come from.
    #[kwarg(component = "dataset")]
    pub dataset: Json,
    /// Transforms, in their order.
    #[kwarg(default = [], component = "transform")]
    pub pipeline: Vec<Json>,
    /// Types of transforms that are left out.
    #[kwarg(default = None)]
    pub skip_type_keys: Option<Vec<String>>,
    /// MMDetection's old way to change sizes.
    #[kwarg(default = None, only(None))]
    pub dynamic_scale: Json,
    /// Has no effect: annotations are read when the run starts.
    #[kwarg(default = false)]
    pub lazy_init: bool,
    /// Has no effect: another sample is drawn until one is usable.
    #[kwarg(default = 15)]
    pub max_refetch: i64,
}

impl Component for MultiImageMixDataset {
    const ROLE: Role = Role::Dataset;
    const NAMES: &'static [&'static str] = &["MultiImageMixDataset"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<CocoDataset>(),
        Declared::of::<VocDataset>(),
        Declared::of::<XmlDataset>(),
        Declared::of::<RepeatDataset>(),
        Declared::of::<ClassBalancedDataset>(),
        Declared::of::<ConcatDataset>(),
        Declared::of::<MultiImageMixDataset>(),
        Declared::of::<DataPrefix>(),
        Declared::of::<Metainfo>(),
        Declared::of::<FilterCfg>(),
    ]
}
