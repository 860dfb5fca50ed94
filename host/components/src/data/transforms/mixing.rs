//! Transforms that mix and distort pictures for training.
//!
//! Source: MMCV 2.x `transforms`, MMDetection 3.3.0 `datasets/transforms` (names and defaults).

use snaphook_plugin_api::Kwargs;

use crate::{Colour, Component, Declared, Role, Wrong};

/// (low, high) with low <= high, low at least `least`.
pub(super) fn check_range(key: &'static str, range: (f64, f64), least: f64) -> Result<(), Wrong> {
    Wrong::unless(range.0 <= range.1 && range.0 >= least, key, || {
        format!("expected (low, high) of at least {least}, found {range:?}")
    })
}

/// (low, high) with 0 < low <= high.
pub(super) fn check_positive_range(key: &'static str, range: (f64, f64)) -> Result<(), Wrong> {
    Wrong::unless(range.0 <= range.1 && range.0 > 0.0, key, || {
        format!("expected (low, high) above 0, found {range:?}")
    })
}

/// A mosaic: its arguments, and those of a variant.
macro_rules! mosaic {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Kwargs)]
        pub struct $name {
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
            $($own)*
        }

        impl Component for $name {
            const ROLE: Role = Role::Transform;
            const NAMES: &'static [&'static str] = &[stringify!($name)];

            fn check(&self) -> Result<(), Wrong> {
                check_range("center_ratio_range", self.center_ratio_range, 0.0)
            }
        }
    };
}

mosaic! {
    /// Puts four samples together to a picture of twice `img_scale`.
    Mosaic {}
}

mosaic! {
    /// `Mosaic` in the pipeline of a data set itself: the other three samples go through the transforms before it.
    CachedMosaic {
        /// Has no effect: the other samples are drawn from the whole data set.
        #[kwarg(default = 40)]
        pub max_cached_images: usize,
        /// Has no effect: the other samples are drawn from the whole data set.
        #[kwarg(default = true)]
        pub random_pop: bool,
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

/// A mix of two pictures: its arguments, and those of a variant.
macro_rules! mixup {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Kwargs)]
        pub struct $name {
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
            $($own)*
        }

        impl Component for $name {
            const ROLE: Role = Role::Transform;
            const NAMES: &'static [&'static str] = &[stringify!($name)];

            fn check(&self) -> Result<(), Wrong> {
                check_positive_range("ratio_range", self.ratio_range)
            }
        }
    };
}

mixup! {
    /// Averages a sample with another one, scaled, perhaps mirrored, and cut to its size.
    MixUp {}
}

mixup! {
    /// `MixUp` in the pipeline of a data set itself: the other sample goes through the transforms before it.
    CachedMixUp {
        /// Has no effect: the other sample is drawn from the whole data set.
        #[kwarg(default = 20)]
        pub max_cached_images: usize,
        /// Has no effect: the other sample is drawn from the whole data set.
        #[kwarg(default = true)]
        pub random_pop: bool,
        /// Probability that it happens.
        #[kwarg(default = 1.0, min = 0.0, max = 1.0)]
        pub prob: f64,
    }
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<Mosaic>(),
        Declared::of::<RandomAffine>(),
        Declared::of::<MixUp>(),
        Declared::of::<CachedMosaic>(),
        Declared::of::<CachedMixUp>(),
    ]
}
