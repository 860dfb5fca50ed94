//! What predictions are scored with.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrMany, Role, Wrong};

/// The twelve numbers of pycocotools, in its order.
pub const COCO_METRIC_ITEMS: [&str; 12] = [
    "mAP",
    "mAP_50",
    "mAP_75",
    "mAP_s",
    "mAP_m",
    "mAP_l",
    "AR@100",
    "AR@300",
    "AR@1000",
    "AR_s@1000",
    "AR_m@1000",
    "AR_l@1000",
];

/// Average precision of boxes, as pycocotools computes it.
#[derive(Kwargs)]
pub struct CocoMetric {
    /// Annotation file; the data set's own annotations without it.
    #[kwarg(default = None)]
    pub ann_file: Option<String>,
    /// What is scored: `'bbox'`, `'proposal'` or `'proposal_fast'` (boxes whatever their class), or a list of them.
    #[kwarg(default = "bbox", any_of(String, Vec<String>))]
    pub metric: OneOrMany<String>,
    /// Whether each class is told as well.
    #[kwarg(default = false)]
    pub classwise: bool,
    /// Three limits of detections for each picture and class, ascending.
    #[kwarg(default = (100, 300, 1000))]
    pub proposal_nums: (usize, usize, usize),
    /// Overlaps from which on a box counts as found; 0.5 to 0.95 in steps of 0.05 without it.
    #[kwarg(default = None, any_of(f64, Vec<f64>), min = 0.0, max = 1.0)]
    pub iou_thrs: Option<OneOrMany<f64>>,
    /// Which numbers are told; without it the six APs, or of proposals the six ARs.
    #[kwarg(default = None)]
    pub metric_items: Option<Vec<String>>,
    /// What the names of the numbers begin with.
    #[kwarg(default = "coco")]
    pub prefix: String,
    /// Whether predictions are written and not scored.
    #[kwarg(default = false)]
    pub format_only: bool,
    /// Predictions are written to this and `.bbox.json`, in COCO's results format.
    #[kwarg(default = None)]
    pub outfile_prefix: Option<String>,
    /// Where files come from.
    #[kwarg(settings = "FileClient")]
    pub backend_args: Option<Json>,
    /// MMCV's old name of `backend_args`.
    #[kwarg(default = None, only(None))]
    pub file_client_args: Json,
    /// Has no effect: results are collected in memory.
    #[kwarg(default = "cpu")]
    pub collect_device: String,
    /// Has no effect: results are collected in memory.
    #[kwarg(default = None)]
    pub collect_dir: Option<String>,
    /// Has no effect: classes keep their order.
    #[kwarg(default = false)]
    pub sort_categories: bool,
    /// Has no effect: scoring takes one process.
    #[kwarg(default = false)]
    pub use_mp_eval: bool,
}

impl Component for CocoMetric {
    const ROLE: Role = Role::Metric;
    const NAMES: &'static [&'static str] = &["CocoMetric"];

    fn check(&self) -> Result<(), Wrong> {
        let known = ["bbox", "proposal", "proposal_fast"];
        let asked = self.metric.clone().into_list();
        if let Some(other) = asked.iter().find(|name| !known.contains(&name.as_str())) {
            let message = format!("expected bbox, proposal or proposal_fast, found {other}");
            return Err(Wrong::new("metric", message));
        }
        Wrong::unless(!asked.is_empty(), "metric", || {
            "expected at least one name, found none".to_owned()
        })?;
        let has_place = !self.format_only || self.outfile_prefix.is_some();
        Wrong::unless(has_place, "outfile_prefix", || {
            "expected the place of the file that format_only asks for, found none".to_owned()
        })?;
        let (low, middle, high) = self.proposal_nums;
        Wrong::unless(low <= middle && middle <= high, "proposal_nums", || {
            format!("expected three ascending numbers, found {:?}", self.proposal_nums)
        })?;
        if let Some(OneOrMany::Many(thresholds)) = &self.iou_thrs {
            let count = thresholds.len();
            Wrong::unless((1..=64).contains(&count), "iou_thrs", || {
                format!("expected 1 to 64 thresholds, found {count}")
            })?;
        }
        let items = self.metric_items.iter().flatten();
        match items.clone().find(|item| !COCO_METRIC_ITEMS.contains(&item.as_str())) {
            None => Ok(()),
            Some(item) => {
                let hint = match snaphook_plugin_api::nearest(item, COCO_METRIC_ITEMS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known: {}", COCO_METRIC_ITEMS.join(", ")),
                };
                Err(Wrong::new("metric_items", format!("\"{item}\" is no metric item ({hint})")))
            }
        }
    }
}

/// Mean average precision of boxes, as Pascal VOC's development kit counts it.
#[derive(Kwargs)]
pub struct VocMetric {
    /// Overlaps from which on a box counts as found: a number, or a list.
    #[kwarg(default = 0.5, any_of(f64, Vec<f64>), min = 0.0, max = 1.0)]
    pub iou_thrs: OneOrMany<f64>,
    /// Ranges of sizes are not known.
    #[kwarg(default = None, only(None))]
    pub scale_ranges: Json,
    /// What is scored: boxes.
    #[kwarg(default = "mAP", only("mAP", ["mAP"]))]
    pub metric: Json,
    /// Has no effect: it is about recall.
    #[kwarg(default = (100, 300, 1000))]
    pub proposal_nums: (usize, usize, usize),
    /// The mean over eleven recalls, or the area below the curve.
    #[kwarg(default = "11points", choices("11points", "area"))]
    pub eval_mode: String,
    /// What the names of the numbers begin with.
    #[kwarg(default = "pascal_voc")]
    pub prefix: String,
    /// Has no effect: results are collected in memory.
    #[kwarg(default = "cpu")]
    pub collect_device: String,
}

impl Component for VocMetric {
    const ROLE: Role = Role::Metric;
    const NAMES: &'static [&'static str] = &["VOCMetric"];

    fn check(&self) -> Result<(), Wrong> {
        let is_empty = matches!(&self.iou_thrs, OneOrMany::Many(list) if list.is_empty());
        Wrong::unless(!is_empty, "iou_thrs", || "expected at least one, found none".to_owned())
    }
}

pub(super) fn declared() -> Vec<Declared> {
    vec![Declared::of::<CocoMetric>(), Declared::of::<VocMetric>()]
}
