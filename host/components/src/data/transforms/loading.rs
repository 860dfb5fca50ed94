//! The way in and out of a pipeline: pictures, annotations, what is packed.
//!
//! Source: MMCV 2.x `transforms`, MMDetection 3.3.0 `datasets/transforms` (names and defaults).

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, Role};

/// Where files come from; this version reads the local disk.
#[derive(Kwargs)]
pub struct FileClient {
    /// The kind of storage.
    #[kwarg(default = "local", choices("local"))]
    pub backend: String,
}

impl Component for FileClient {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["FileClient"];
}

/// Loads the picture that the record names.
#[derive(Kwargs)]
pub struct LoadImageFromFile {
    /// Has no effect: pictures stay bytes, which transforms round to.
    #[kwarg(default = false)]
    pub to_float32: bool,
    /// Three channels; with or without a look at the orientation that the camera noted.
    #[kwarg(default = "color", choices("color", "color_ignore_orientation"))]
    pub color_type: String,
    /// Has no effect: there is one decoder.
    #[kwarg(default = None)]
    pub imdecode_backend: Option<String>,
    /// MMCV's old name of `backend_args`.
    #[kwarg(default = None, only(None))]
    pub file_client_args: Json,
    /// Where the picture comes from.
    #[kwarg(settings = "FileClient")]
    pub backend_args: Option<Json>,
    /// Whether a picture that cannot be read drops its sample instead of ending the run.
    #[kwarg(default = false)]
    pub ignore_empty: bool,
}

impl Component for LoadImageFromFile {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["LoadImageFromFile"];
}

/// Takes boxes and labels from the record.
#[derive(Kwargs)]
pub struct LoadAnnotations {
    /// Whether boxes are taken.
    #[kwarg(default = true)]
    pub with_bbox: bool,
    /// Whether labels are taken.
    #[kwarg(default = true)]
    pub with_label: bool,
    /// Masks are not known yet.
    #[kwarg(default = false, only(false))]
    pub with_mask: bool,
    /// Segmentations are not known yet.
    #[kwarg(default = false, only(false))]
    pub with_seg: bool,
    /// Keypoints are not known yet.
    #[kwarg(default = false, only(false))]
    pub with_keypoints: bool,
    /// Upright boxes.
    #[kwarg(default = "hbox", choices("hbox"))]
    pub box_type: String,
    /// It is about segmentations.
    #[kwarg(default = false, only(false))]
    pub reduce_zero_label: bool,
    /// Has no effect: masks are not known yet.
    #[kwarg(default = true)]
    pub poly2mask: bool,
    /// Has no effect: it is about segmentations.
    #[kwarg(default = 255)]
    pub ignore_index: i64,
    /// Has no effect: it is about segmentations.
    #[kwarg(default = None)]
    pub imdecode_backend: Option<String>,
    /// MMCV's old name of `backend_args`.
    #[kwarg(default = None, only(None))]
    pub file_client_args: Json,
    /// Has no effect: annotations are read with the data set.
    #[kwarg(default = None)]
    pub backend_args: Option<Json>,
}

impl Component for LoadAnnotations {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["LoadAnnotations"];
}

/// Drops boxes that are too small.
#[derive(Kwargs)]
pub struct FilterAnnotations {
    /// (width, height) that a box must exceed, in pixels.
    #[kwarg(default = (1.0, 1.0))]
    pub min_gt_bbox_wh: (f32, f32),
    /// Whether a sample that is left without boxes is dropped; MMDetection's name says the opposite.
    #[kwarg(default = true)]
    pub keep_empty: bool,
    /// Whether boxes are looked at.
    #[kwarg(default = true, only(true))]
    pub by_box: bool,
    /// Masks are not known yet.
    #[kwarg(default = false, only(false))]
    pub by_mask: bool,
    /// Has no effect: masks are not known yet.
    #[kwarg(default = 1)]
    pub min_gt_mask_area: i64,
}

impl Component for FilterAnnotations {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["FilterAnnotations"];
}

/// The end of a pipeline.
#[derive(Kwargs)]
pub struct PackDetInputs {
    /// Has no effect: a sample always carries all of them.
    #[kwarg(default = None)]
    pub meta_keys: Option<Vec<String>>,
}

impl Component for PackDetInputs {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["PackDetInputs"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<FileClient>(),
        Declared::of::<LoadImageFromFile>(),
        Declared::of::<LoadAnnotations>(),
        Declared::of::<FilterAnnotations>(),
        Declared::of::<PackDetInputs>(),
    ]
}
