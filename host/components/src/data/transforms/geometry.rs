//! Transforms that mirror, resize and pad.
//!
//! Source: MMCV 2.x `transforms`, MMDetection 3.3.0 `datasets/transforms` (names and defaults).

use snaphook_plugin_api::{Json, KwargValue, Kwargs};

use crate::{Colour, Component, Declared, OneOrMany, OneOrTwo, Role, Wrong};

/// Longest side of a picture, in pixels: what JPEG can hold.
const LONGEST_SIDE: usize = 65_500;

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

/// A resize to a size or by a factor.
macro_rules! resize {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Kwargs)]
        pub struct $name {
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
            /// How pixels between others are computed, as OpenCV does.
            #[kwarg(default = "bilinear", choices("nearest", "bilinear", "bicubic", "area", "lanczos"))]
            pub interpolation: String,
        }

        impl Component for $name {
            const ROLE: Role = Role::Transform;
            const NAMES: &'static [&'static str] = &[stringify!($name)];

            fn check(&self) -> Result<(), Wrong> {
                check_goal(self.scale, self.scale_factor)
            }
        }
    };
}

fn check_goal(
    scale: Option<OneOrTwo<usize>>,
    scale_factor: Option<OneOrTwo<f64>>,
) -> Result<(), Wrong> {
    let is_right = match (scale, scale_factor) {
        (Some(scale), _) => scale.both().iter().all(|side| (1..=LONGEST_SIDE).contains(side)),
        (None, Some(factor)) => factor.both().iter().all(|factor| *factor > 0.0),
        (None, None) => false,
    };
    Wrong::unless(is_right, "scale", || {
        "expected (width, height) above 0, or a scale_factor above 0".to_owned()
    })
}

resize! {
    /// Resizes picture and boxes.
    Resize
}

resize! {
    /// `Resize`, with the factor that its `scale` asks for in the sample's notes.
    FixScaleResize
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
    /// How the padding is filled: with `pad_val`, the last pixel, or a mirror image without or with it.
    #[kwarg(default = "constant", choices("constant", "edge", "reflect", "symmetric"))]
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

impl KwargValue for PadValue {
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

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<RandomFlip>(),
        Declared::of::<Resize>(),
        Declared::of::<FixScaleResize>(),
        Declared::of::<Pad>(),
        Declared::of::<PadVal>(),
    ]
}
