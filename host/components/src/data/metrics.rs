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
    /// What is scored: boxes.
    #[kwarg(default = "bbox", only("bbox", ["bbox"]))]
    pub metric: Json,
    /// Whether each class is told as well.
    #[kwarg(default = false)]
    pub classwise: bool,
    /// Three limits of detections for each picture and class, ascending.
    #[kwarg(default = (100, 300, 1000))]
    pub proposal_nums: (usize, usize, usize),
    /// Overlaps from which on a box counts as found; 0.5 to 0.95 in steps of 0.05 without it.
    #[kwarg(default = None, any_of(f64, Vec<f64>), min = 0.0, max = 1.0)]
    pub iou_thrs: Option<OneOrMany<f64>>,
    /// Which numbers are told; the six APs without it.
    #[kwarg(default = None)]
    pub metric_items: Option<Vec<String>>,
    /// What the names of the numbers begin with.
    #[kwarg(default = "coco")]
    pub prefix: String,
    /// Scoring is what it is for.
    #[kwarg(default = false, only(false))]
    pub format_only: bool,
    /// Predictions are written by `test --out`.
    #[kwarg(default = None, only(None))]
    pub outfile_prefix: Json,
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

pub(super) fn declared() -> Vec<Declared> {
    vec![Declared::of::<CocoMetric>()]
}
