//! The steps of a pipeline.
//!
//! Source: MMCV 2.x `transforms`, MMDetection 3.3.0 `datasets/transforms` (names and defaults).

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Colour, Component, Declared, OneOrMany, OneOrTwo, Role, Wrong};

/// Longest side of a picture, in pixels: what JPEG can hold.
const LONGEST_SIDE: usize = 65_500;

/// (low, high) with low <= high, low at least `least`.
fn check_range(key: &'static str, range: (f64, f64), least: f64) -> Result<(), Wrong> {
    Wrong::unless(range.0 <= range.1 && range.0 >= least, key, || {
        format!("expected (low, high) of at least {least}, found {range:?}")
    })
}

/// (low, high) with 0 < low <= high.
fn check_positive_range(key: &'static str, range: (f64, f64)) -> Result<(), Wrong> {
    Wrong::unless(range.0 <= range.1 && range.0 > 0.0, key, || {
        format!("expected (low, high) above 0, found {range:?}")
    })
}

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
    /// Whether pictures become floats; they stay bytes here.
    #[kwarg(default = false, only(false))]
    pub to_float32: bool,
    /// Channels of the picture.
    #[kwarg(default = "color", choices("color"))]
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

/// Puts four samples together to a picture of twice `img_scale`.
#[derive(Kwargs)]
pub struct Mosaic {
    /// (width, height) of a quarter, in pixels.
    #[kwarg(default = (640, 640), min = 1, max = 65500)]
    pub img_scale: (usize, usize),
    /// Where the centre may be, in quarters: 0 to 2.
    #[kwarg(default = (0.5, 1.5), min = 0.0, max = 2.0)]
    pub center_ratio_range: (f64, f64),
    /// Whether boxes are cut at the border.
    #[kwarg(default = true)]
    pub bbox_clip_border: bool,
    /// Value where no picture is.
    #[kwarg(default = 114.0, any_of(f64, (f64, f64, f64)), min = 0, max = 255)]
    pub pad_val: Colour,
    /// Probability that it happens.
    #[kwarg(default = 1.0, min = 0.0, max = 1.0)]
    pub prob: f64,
}

impl Component for Mosaic {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["Mosaic"];

    fn check(&self) -> Result<(), Wrong> {
        check_range("center_ratio_range", self.center_ratio_range, 0.0)
    }
}

/// Turns, scales, shears and moves a picture.
#[derive(Kwargs)]
pub struct RandomAffine {
    /// Largest turn, in degrees.
    #[kwarg(default = 10.0)]
    pub max_rotate_degree: f64,
    /// Largest move, as a share of the side.
    #[kwarg(default = 0.1, min = 0.0, max = 1.0)]
    pub max_translate_ratio: f64,
    /// Smallest and largest factor.
    #[kwarg(default = (0.5, 1.5))]
    pub scaling_ratio_range: (f64, f64),
    /// Largest shear, in degrees.
    #[kwarg(default = 2.0)]
    pub max_shear_degree: f64,
    /// Added on either side, (horizontally, vertically), in pixels; negative numbers cut.
    #[kwarg(default = (0, 0))]
    pub border: (i64, i64),
    /// Value where no picture is.
    #[kwarg(default = 114.0, any_of(f64, (f64, f64, f64)), min = 0, max = 255)]
    pub border_val: Colour,
    /// Whether boxes are cut at the border.
    #[kwarg(default = true)]
    pub bbox_clip_border: bool,
}

impl Component for RandomAffine {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomAffine"];

    fn check(&self) -> Result<(), Wrong> {
        check_positive_range("scaling_ratio_range", self.scaling_ratio_range)
    }
}

/// Averages a sample with another one, scaled, perhaps mirrored, and cut to its size.
#[derive(Kwargs)]
pub struct MixUp {
    /// (width, height) of the second picture, in pixels.
    #[kwarg(default = (640, 640), min = 1, max = 65500)]
    pub img_scale: (usize, usize),
    /// Smallest and largest factor of the second picture.
    #[kwarg(default = (0.5, 1.5))]
    pub ratio_range: (f64, f64),
    /// Probability that the second picture is mirrored.
    #[kwarg(default = 0.5, min = 0.0, max = 1.0)]
    pub flip_ratio: f64,
    /// Value where no picture is.
    #[kwarg(default = 114.0, any_of(f64, (f64, f64, f64)), min = 0, max = 255)]
    pub pad_val: Colour,
    /// Most tries for a second picture with boxes.
    #[kwarg(default = 15)]
    pub max_iters: usize,
    /// Whether boxes are cut at the border.
    #[kwarg(default = true)]
    pub bbox_clip_border: bool,
}

impl Component for MixUp {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["MixUp"];

    fn check(&self) -> Result<(), Wrong> {
        check_positive_range("ratio_range", self.ratio_range)
    }
}

/// Shifts each of hue, saturation and value with probability one half.
#[derive(Kwargs)]
pub struct YoloxHsvRandomAug {
    /// Largest shift of the hue, of 180.
    #[kwarg(default = 5)]
    pub hue_delta: f64,
    /// Largest shift of the saturation, of 255.
    #[kwarg(default = 30)]
    pub saturation_delta: f64,
    /// Largest shift of the value, of 255.
    #[kwarg(default = 30)]
    pub value_delta: f64,
}

impl Component for YoloxHsvRandomAug {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["YOLOXHSVRandomAug"];
}

/// Mirrors picture and boxes.
#[derive(Kwargs)]
pub struct RandomFlip {
    /// Probability of each direction; one number is shared by all of them.
    #[kwarg(any_of(f64, Vec<f64>), min = 0.0, max = 1.0)]
    pub prob: OneOrMany<f64>,
    /// `'horizontal'`, `'vertical'` or `'diagonal'`, or a list of them.
    #[kwarg(default = "horizontal", any_of(String, Vec<String>))]
    pub direction: OneOrMany<String>,
}

impl RandomFlip {
    /// Each direction with its probability.
    pub fn choices(&self) -> Vec<(String, f64)> {
        let directions = self.direction.clone().into_list();
        let probabilities = match &self.prob {
            OneOrMany::One(p) => vec![p / directions.len() as f64; directions.len()],
            OneOrMany::Many(list) => list.clone(),
        };
        directions.into_iter().zip(probabilities).collect()
    }
}

impl Component for RandomFlip {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomFlip"];

    fn check(&self) -> Result<(), Wrong> {
        let directions = self.direction.clone().into_list();
        let known = ["horizontal", "vertical", "diagonal"];
        if let Some(unknown) = directions.iter().find(|name| !known.contains(&name.as_str())) {
            let message = format!("expected horizontal, vertical or diagonal, found {unknown}");
            return Err(Wrong::new("direction", message));
        }
        let given = match &self.prob {
            OneOrMany::One(_) => directions.len(),
            OneOrMany::Many(list) => list.len(),
        };
        let total: f64 = self.choices().iter().map(|(_, p)| p).sum();
        let is_right = given == directions.len() && total <= 1.0 + 1e-9;
        Wrong::unless(is_right, "prob", || {
            let found = self.prob.clone().into_list();
            format!(
                "expected one probability for each direction, at most 1 together, found {found:?}"
            )
        })
    }
}

/// Resizes picture and boxes.
#[derive(Kwargs)]
pub struct Resize {
    /// (width, height), or one number for both, in pixels.
    #[kwarg(default = None, any_of(usize, (usize, usize)), min = 1, max = 65500)]
    pub scale: Option<OneOrTwo<usize>>,
    /// (horizontal, vertical), or one number for both; only without `scale`.
    #[kwarg(default = None, any_of(f64, (f64, f64)), min = 0.0)]
    pub scale_factor: Option<OneOrTwo<f64>>,
    /// Whether the sides keep their ratio; `scale` is the largest size then.
    #[kwarg(default = false)]
    pub keep_ratio: bool,
    /// Whether boxes are cut at the border.
    #[kwarg(default = true)]
    pub clip_object_border: bool,
    /// There is one implementation; it computes as OpenCV does.
    #[kwarg(default = "cv2", choices("cv2"))]
    pub backend: String,
    /// Interpolation.
    #[kwarg(default = "bilinear", choices("bilinear"))]
    pub interpolation: String,
}

impl Component for Resize {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["Resize"];

    fn check(&self) -> Result<(), Wrong> {
        let is_right = match (self.scale, self.scale_factor) {
            (Some(scale), _) => scale.both().iter().all(|side| (1..=LONGEST_SIDE).contains(side)),
            (None, Some(factor)) => factor.both().iter().all(|factor| *factor > 0.0),
            (None, None) => false,
        };
        Wrong::unless(is_right, "scale", || {
            "expected (width, height) above 0, or a scale_factor above 0".to_owned()
        })
    }
}

/// Grows a picture at the right and at the bottom: to a size, a multiple or a square.
#[derive(Kwargs)]
pub struct Pad {
    /// (width, height), in pixels.
    #[kwarg(default = None)]
    pub size: Option<(usize, usize)>,
    /// Sides become multiples of it, in pixels.
    #[kwarg(default = None, min = 1)]
    pub size_divisor: Option<usize>,
    /// Whether the picture becomes a square.
    #[kwarg(default = false)]
    pub pad_to_square: bool,
    /// Value of the padding: a number, three, or a dict whose `img` is one of these.
    #[kwarg(default = 0, any_of(f64, (f64, f64, f64), Json), settings = "PadVal", min = 0, max = 255)]
    pub pad_val: PadValue,
    /// How the padding is filled.
    #[kwarg(default = "constant", choices("constant"))]
    pub padding_mode: String,
}

/// `pad_val` of `Pad` as a dict.
#[derive(Kwargs)]
pub struct PadVal {
    /// Value for pictures: a number, or three.
    #[kwarg(default = 0, any_of(f64, (f64, f64, f64)), min = 0, max = 255)]
    pub img: Colour,
    /// Has no effect: masks are not known yet.
    #[kwarg(default = 0)]
    pub masks: f64,
    /// Has no effect: segmentations are not known yet.
    #[kwarg(default = 255)]
    pub seg: f64,
}

impl Component for PadVal {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["PadVal"];
}

/// Value of padding, for pictures and perhaps for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PadValue(pub Colour);

impl snaphook_plugin_api::KwargValue for PadValue {
    fn read(value: &Json) -> Option<PadValue> {
        match value {
            Json::Object(parts) => match parts.get("img") {
                Some(img) => Colour::read(img),
                None => Some(Colour([0; 3])),
            },
            value => Colour::read(value),
        }
        .map(PadValue)
    }
}

impl Component for Pad {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["Pad"];

    fn check(&self) -> Result<(), Wrong> {
        let goals = usize::from(self.size.is_some())
            + usize::from(self.pad_to_square || self.size_divisor.is_some());
        Wrong::unless(goals == 1, "size", || {
            "expected either size, or size_divisor and pad_to_square".to_owned()
        })
    }
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
        Declared::of::<Mosaic>(),
        Declared::of::<RandomAffine>(),
        Declared::of::<MixUp>(),
        Declared::of::<YoloxHsvRandomAug>(),
        Declared::of::<RandomFlip>(),
        Declared::of::<Resize>(),
        Declared::of::<Pad>(),
        Declared::of::<PadVal>(),
        Declared::of::<FilterAnnotations>(),
        Declared::of::<PackDetInputs>(),
    ]
}
