//! The second stage of a detector: features of regions, classes and boxes.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrMany, OneOrTwo, Role, Wrong};

/// The second stage with one look at each region.
#[derive(Kwargs)]
pub struct StandardRoiHead {
    /// Features of regions.
    #[kwarg(required, component = "roi_extractor")]
    pub bbox_roi_extractor: Json,
    /// Classes and boxes of regions.
    #[kwarg(required, component = "box_head")]
    pub bbox_head: Json,
    /// What regions pass before that.
    #[kwarg(component = "shared_head")]
    pub shared_head: Option<Json>,
    /// Masks are not known yet.
    #[kwarg(default = None, only(None))]
    pub mask_roi_extractor: Json,
    /// Masks are not known yet.
    #[kwarg(default = None, only(None))]
    pub mask_head: Json,
    /// Start values are those of its parts.
    #[kwarg(default = None, only(None))]
    pub init_cfg: Json,
}

impl Component for StandardRoiHead {
    const ROLE: Role = Role::RoiHead;
    const NAMES: &'static [&'static str] = &["StandardRoIHead"];
}

/// Features of a region from the one map that suits its size (arXiv 1612.03144, equation 1).
#[derive(Kwargs)]
pub struct SingleRoiExtractor {
    /// How features are sampled.
    #[kwarg(required, component = "roi_layer")]
    pub roi_layer: Json,
    /// Channels of the maps.
    #[kwarg(min = 1)]
    pub out_channels: i64,
    /// Pixels between two places, for each map that is used.
    #[kwarg(min = 1)]
    pub featmap_strides: Vec<i64>,
    /// Side of the regions that the finest map is for, in pixels; the next one is for twice as large ones.
    #[kwarg(default = 56.0, min = 0.0)]
    pub finest_scale: f32,
    /// Has no effect: there are no weights.
    #[kwarg(default = None)]
    pub init_cfg: Option<Json>,
}

impl Component for SingleRoiExtractor {
    const ROLE: Role = Role::RoiExtractor;
    const NAMES: &'static [&'static str] = &["SingleRoIExtractor"];

    fn check(&self) -> Result<(), Wrong> {
        Wrong::unless(!self.featmap_strides.is_empty(), "featmap_strides", || {
            "expected at least one map, found none".to_owned()
        })
    }
}

/// Means of interpolated features in a grid of bins (arXiv 1703.06870, section 3).
#[derive(Kwargs)]
pub struct RoiAlign {
    /// Bins in both directions: one number, or height and width.
    #[kwarg(any_of(i64, (i64, i64)), min = 1)]
    pub output_size: OneOrTwo<i64>,
    /// Samples of a bin in each direction; 0: one for each place of the map.
    #[kwarg(default = 0, min = 0)]
    pub sampling_ratio: i64,
    /// What is taken of the samples.
    #[kwarg(default = "avg", only("avg"))]
    pub pool_mode: String,
    /// Whether a place's features belong to its middle.
    #[kwarg(default = true)]
    pub aligned: bool,
    /// Has no effect: both ways compute the same.
    #[kwarg(default = false)]
    pub use_torchvision: bool,
}

impl Component for RoiAlign {
    const ROLE: Role = Role::RoiLayer;
    const NAMES: &'static [&'static str] = &["RoIAlign"];
}

/// A layer of weights and biases.
#[derive(Kwargs)]
pub struct Linear {}

impl Component for Linear {
    const ROLE: Role = Role::Predictor;
    const NAMES: &'static [&'static str] = &["Linear"];
}

/// The layers before the predictions of a box head.
pub struct BoxHeadLayers {
    /// Convolutions for both predictions.
    pub shared_convs: usize,
    /// Layers without a place after them.
    pub shared_fcs: usize,
    /// The same for the classes alone.
    pub cls: (usize, usize),
    /// The same for the boxes alone.
    pub reg: (usize, usize),
    /// Channels of the convolutions.
    pub conv_out_channels: i64,
    /// Channels of the other layers.
    pub fc_out_channels: i64,
}

/// A box head: its own arguments, and those of every one.
macro_rules! box_head {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* } $names:expr, $layers:expr) => {
        $(#[$meta])*
        #[derive(Kwargs)]
        pub struct $name {
            $($own)*
            /// Whether features are averaged over a region first.
            #[kwarg(default = false)]
            pub with_avg_pool: bool,
            /// Heads without classes are not known yet.
            #[kwarg(default = true, only(true))]
            pub with_cls: bool,
            /// Heads without boxes are not known yet.
            #[kwarg(default = true, only(true))]
            pub with_reg: bool,
            /// Bins of a region in both directions.
            #[kwarg(default = 7, any_of(i64, (i64, i64)), min = 1)]
            pub roi_feat_size: OneOrTwo<i64>,
            /// Channels of a region's features.
            #[kwarg(default = 256, min = 1)]
            pub in_channels: i64,
            /// Number of classes, without the background.
            #[kwarg(default = 80, min = 1)]
            pub num_classes: i64,
            /// How boxes are written.
            #[kwarg(component = "box_coder")]
            pub bbox_coder: Option<Json>,
            /// Kind of boxes.
            #[kwarg(default = "hbox", only("hbox"))]
            pub predict_box_type: String,
            /// Whether there is one box for all classes.
            #[kwarg(default = false)]
            pub reg_class_agnostic: bool,
            /// Whether the loss of boxes is one of whole boxes instead of differences.
            #[kwarg(default = false)]
            pub reg_decoded_bbox: bool,
            /// Last layer of the boxes.
            #[kwarg(component = "predictor")]
            pub reg_predictor_cfg: Option<Json>,
            /// Last layer of the classes.
            #[kwarg(component = "predictor")]
            pub cls_predictor_cfg: Option<Json>,
            /// Loss of the classes.
            #[kwarg(component = "loss")]
            pub loss_cls: Option<Json>,
            /// Loss of the boxes.
            #[kwarg(component = "loss")]
            pub loss_bbox: Option<Json>,
            /// Start values; MMDetection's own without it.
            #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
            pub init_cfg: Option<OneOrMany<Json>>,
        }

        impl Component for $name {
            const ROLE: Role = Role::BoxHead;
            const NAMES: &'static [&'static str] = $names;

            fn check(&self) -> Result<(), Wrong> {
                let layers = self.layers();
                let splits = layers.cls.0 + layers.reg.0 > 0;
                Wrong::unless(!splits || layers.shared_fcs == 0, "num_shared_fcs", || {
                    "expected 0 where convolutions for classes or boxes alone follow".to_owned()
                })
            }
        }

        impl $name {
            /// The layers before the predictions.
            pub fn layers(&self) -> BoxHeadLayers {
                let layers: fn(&$name) -> BoxHeadLayers = $layers;
                layers(self)
            }

            /// What every box head has.
            pub fn common(self) -> BoxHead {
                BoxHead {
                    with_avg_pool: self.with_avg_pool,
                    with_cls: self.with_cls,
                    with_reg: self.with_reg,
                    roi_feat_size: self.roi_feat_size,
                    in_channels: self.in_channels,
                    num_classes: self.num_classes,
                    bbox_coder: self.bbox_coder,
                    predict_box_type: self.predict_box_type,
                    reg_class_agnostic: self.reg_class_agnostic,
                    reg_decoded_bbox: self.reg_decoded_bbox,
                    reg_predictor_cfg: self.reg_predictor_cfg,
                    cls_predictor_cfg: self.cls_predictor_cfg,
                    loss_cls: self.loss_cls,
                    loss_bbox: self.loss_bbox,
                    init_cfg: self.init_cfg,
                }
            }
        }
    };
}

const NO_LAYERS: BoxHeadLayers = BoxHeadLayers {
    shared_convs: 0,
    shared_fcs: 0,
    cls: (0, 0),
    reg: (0, 0),
    conv_out_channels: 256,
    fc_out_channels: 1024,
};

box_head! {
    /// Classes and boxes straight from a region's features.
    BoxHead {} &["BBoxHead"], |_| NO_LAYERS
}

box_head! {
    /// Classes and boxes after two layers for both.
    Shared2FcBoxHead {
        /// Channels of the layers.
        #[kwarg(default = 1024, min = 1)]
        pub fc_out_channels: i64,
    }
    &["Shared2FCBBoxHead"],
    |head| BoxHeadLayers { shared_fcs: 2, fc_out_channels: head.fc_out_channels, ..NO_LAYERS }
}

box_head! {
    /// Classes and boxes after convolutions and layers of any number.
    ConvFcBoxHead {
        /// Convolutions for both predictions.
        #[kwarg(default = 0)]
        pub num_shared_convs: usize,
        /// Layers for both predictions.
        #[kwarg(default = 0)]
        pub num_shared_fcs: usize,
        /// Convolutions for the classes.
        #[kwarg(default = 0)]
        pub num_cls_convs: usize,
        /// Layers for the classes.
        #[kwarg(default = 0)]
        pub num_cls_fcs: usize,
        /// Convolutions for the boxes.
        #[kwarg(default = 0)]
        pub num_reg_convs: usize,
        /// Layers for the boxes.
        #[kwarg(default = 0)]
        pub num_reg_fcs: usize,
        /// Channels of the convolutions.
        #[kwarg(default = 256, min = 1)]
        pub conv_out_channels: i64,
        /// Channels of the layers.
        #[kwarg(default = 1024, min = 1)]
        pub fc_out_channels: i64,
        /// Kind of convolution.
        #[kwarg(component = "convolution")]
        pub conv_cfg: Option<Json>,
        /// Normalisation after each convolution; none without it.
        #[kwarg(component = "normalisation")]
        pub norm_cfg: Option<Json>,
    }
    &["ConvFCBBoxHead"],
    |head| BoxHeadLayers {
        shared_convs: head.num_shared_convs,
        shared_fcs: head.num_shared_fcs,
        cls: (head.num_cls_convs, head.num_cls_fcs),
        reg: (head.num_reg_convs, head.num_reg_fcs),
        conv_out_channels: head.conv_out_channels,
        fc_out_channels: head.fc_out_channels,
    }
}

box_head! {
    /// Classes and boxes after four convolutions and a layer for both.
    Shared4Conv1FcBoxHead {
        /// Channels of the convolutions.
        #[kwarg(default = 256, min = 1)]
        pub conv_out_channels: i64,
        /// Channels of the layer.
        #[kwarg(default = 1024, min = 1)]
        pub fc_out_channels: i64,
        /// Kind of convolution.
        #[kwarg(component = "convolution")]
        pub conv_cfg: Option<Json>,
        /// Normalisation after each convolution; none without it.
        #[kwarg(component = "normalisation")]
        pub norm_cfg: Option<Json>,
    }
    &["Shared4Conv1FCBBoxHead"],
    |head| BoxHeadLayers {
        shared_convs: 4,
        shared_fcs: 1,
        conv_out_channels: head.conv_out_channels,
        fc_out_channels: head.fc_out_channels,
        ..NO_LAYERS
    }
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<StandardRoiHead>(),
        Declared::of::<SingleRoiExtractor>(),
        Declared::of::<RoiAlign>(),
        Declared::of::<Linear>(),
        Declared::of::<BoxHead>(),
        Declared::of::<Shared2FcBoxHead>(),
        Declared::of::<ConvFcBoxHead>(),
        Declared::of::<Shared4Conv1FcBoxHead>(),
    ]
}
