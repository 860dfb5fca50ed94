//! What a `CocoMetric` entry asks for.
//! Knows nothing of detections.

use std::path::PathBuf;

use serde_json::Value;
use snaphook_components::{OneOrMany, data as declared, read};

use super::STAT_NAMES;
use crate::DataError;
use crate::storage::check_storage;

/// What is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scored {
    /// Boxes of each class.
    Boxes,
    /// Boxes whatever their class.
    Proposals,
    /// Recall of boxes whatever their class, by MMDetection's own count.
    ProposalsFast,
}

/// Everything but the annotations.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) scored: Vec<Scored>,
    pub(super) prefix: String,
    pub(super) is_classwise: bool,
    /// Three limits of detections for each picture and class, ascending.
    pub(super) proposal_nums: [usize; 3],
    pub(super) thresholds: Vec<f64>,
    pub(super) metric_items: Option<Vec<String>>,
    /// Whether results are written and not scored.
    pub(super) format_only: bool,
    /// What the names of result files begin with.
    pub(super) outfile_prefix: Option<String>,
}

/// The entry, with its annotation file apart.
pub(super) fn settings(value: &Value) -> Result<(Settings, Option<PathBuf>), DataError> {
    let declared: declared::CocoMetric = read(value, "CocoMetric")?;
    check_storage(declared.backend_args.as_ref(), "CocoMetric")?;
    let (low, middle, high) = declared.proposal_nums;
    let from_half = || (0..10).map(|i| 0.5 + f64::from(i) * ((0.95 - 0.5) / 9.0)).collect();
    let scored = declared.metric.into_list().into_iter().map(|name| match name.as_str() {
        "proposal" => Scored::Proposals,
        "proposal_fast" => Scored::ProposalsFast,
        _ => Scored::Boxes,
    });
    let settings = Settings {
        scored: scored.collect(),
        prefix: declared.prefix,
        is_classwise: declared.classwise,
        proposal_nums: [low, middle, high],
        thresholds: declared.iou_thrs.map_or_else(from_half, OneOrMany::into_list),
        metric_items: declared.metric_items,
        format_only: declared.format_only,
        outfile_prefix: declared.outfile_prefix,
    };
    Ok((settings, declared.ann_file.map(PathBuf::from)))
}

impl Settings {
    /// The numbers that are told: those asked for, else some of the twelve.
    pub(super) fn items(&self, default: std::ops::Range<usize>) -> Vec<usize> {
        let place = |item: &String| STAT_NAMES.iter().position(|name| name == item);
        match &self.metric_items {
            Some(items) => items.iter().filter_map(place).collect(),
            None => default.collect(),
        }
    }
}
