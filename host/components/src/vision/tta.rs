//! A detector that looks at several views of each picture.
//!
//! Source: MMDetection 3.3.0 `models/test_time_augs/det_tta.py` (names and defaults).

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, Role};

/// Predicts on each view that `TestTimeAug` made of a picture, and puts together what it found.
#[derive(Kwargs)]
pub struct DetTtaModel {
    /// The detector.
    #[kwarg(component = "model")]
    pub module: Json,
    /// How boxes of all views become those of the picture.
    #[kwarg(settings = "TtaCfg")]
    pub tta_cfg: Json,
    /// In place of the detector's own.
    #[kwarg(component = "data_preprocessor")]
    pub data_preprocessor: Option<Json>,
}

impl Component for DetTtaModel {
    const ROLE: Role = Role::Model;
    const NAMES: &'static [&'static str] = &["DetTTAModel"];
}

/// How boxes of several views are put together.
#[derive(Kwargs)]
pub struct TtaCfg {
    /// Leaves out boxes that say the same.
    #[kwarg(required, component = "suppression")]
    pub nms: Json,
    /// Most boxes of a picture.
    #[kwarg(min = 1)]
    pub max_per_img: usize,
}

impl Component for TtaCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["TtaCfg"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![Declared::of::<DetTtaModel>(), Declared::of::<TtaCfg>()]
}
