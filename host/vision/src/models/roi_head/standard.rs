//! The second stage as a whole: which regions are looked at, and what becomes of them.

use serde_json::Value as Json;
use snaphook_components::{ComponentError, read, vision as declared};
use snaphook_data::Detection;
use snaphook_runner::{Losses, Scope, StepContext};
use tch::{Kind, Tensor};

use super::box_head::{BoxHead, BoxOutputs, BoxSettings, RegionTargets};
use super::extractor::RoiExtractor;
use crate::box_sampler::BoxSampler;
use crate::boxes::{Corners, to_host};
use crate::init_cfg::Starts;
use crate::max_iou::{Assigned, MaxIou};
use crate::models::detector::HeadInput;
use crate::models::resnet::ResLayer;
use crate::nms::Suppression;
use crate::nn::Mode;
use crate::random::{Random, Stream};
use crate::roi_align::Region;

/// Extractor, shared layers, box head, and the settings of training and test.
#[derive(Debug)]
pub(crate) struct StandardRoiHead {
    extractor: RoiExtractor,
    shared: Option<ResLayer>,
    head: BoxHead,
    train: Option<TrainSettings>,
    test: BoxSettings,
}

#[derive(Debug)]
struct TrainSettings {
    assigner: MaxIou,
    sampler: BoxSampler,
    positive_weight: f32,
}

/// A dict with its key path.
type Section<'a> = Option<(&'a Json, &'a str)>;

impl StandardRoiHead {
    /// `train_cfg` and `test_cfg` come with their own paths.
    pub(crate) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        (train_cfg, test_cfg): (Section<'_>, Section<'_>),
        starts: &mut Starts,
    ) -> Result<StandardRoiHead, ComponentError> {
        let declared: declared::StandardRoiHead = read(value, path)?;
        let below = |key: &str| format!("{path}.{key}");
        let extractor =
            RoiExtractor::read(&declared.bbox_roi_extractor, &below("bbox_roi_extractor"))?;
        let shared = declared.shared_head.as_ref().map(|value| {
            ResLayer::build(value, &below("shared_head"), &scope.child("shared_head"), starts)
        });
        let shared = shared.transpose()?;
        let head = BoxHead::build(
            &declared.bbox_head,
            &below("bbox_head"),
            &scope.child("bbox_head"),
            starts,
        )?;
        Ok(StandardRoiHead {
            extractor,
            shared,
            head,
            train: train_cfg.map(|(value, path)| TrainSettings::read(value, path)).transpose()?,
            test: test_cfg.map(|(value, path)| test_settings(value, path)).transpose()?.unwrap_or(
                BoxSettings {
                    score_threshold: 0.05,
                    suppression: Suppression::hard(0.5),
                    most: Some(100),
                },
            ),
        })
    }

    /// Maps that regions are taken from, the finest ones.
    pub(crate) fn levels(&self) -> usize {
        self.extractor.levels()
    }

    /// Number of classes.
    pub(crate) fn num_classes(&self) -> i64 {
        self.head.num_classes
    }

    /// The `type` of the box head.
    pub(crate) fn box_head_type(&self) -> &str {
        &self.head.type_name
    }

    /// Losses of the second stage; `proposals` are those of each picture.
    pub(crate) fn loss(
        &self,
        input: &HeadInput<'_>,
        proposals: Vec<Vec<Corners>>,
        context: &StepContext,
    ) -> Losses {
        let targets = self.targets(input, proposals, context);
        let outputs = self.forward(input.features, &targets.regions, input.mode);
        self.head.loss(&outputs, &targets)
    }

    /// The boxes of each picture, in its original's pixels, best first.
    pub(crate) fn predict(
        &self,
        input: &HeadInput<'_>,
        proposals: &[Vec<Corners>],
    ) -> Vec<Vec<Detection>> {
        let of_picture = |(picture, own): (usize, &Vec<Corners>)| -> Vec<Region> {
            own.iter().map(|corners| Region { picture, corners: *corners }).collect()
        };
        let regions: Vec<Vec<Region>> = proposals.iter().enumerate().map(of_picture).collect();
        let all: Vec<Region> = regions.iter().flatten().copied().collect();
        if all.is_empty() {
            return vec![Vec::new(); proposals.len()];
        }
        let outputs = self.forward(input.features, &all, input.mode);
        let mut first = 0;
        let mut found = Vec::with_capacity(regions.len());
        for (own, shape) in regions.iter().zip(input.shapes) {
            let count = own.len() as i64;
            let rows = |all: &Tensor| all.narrow(0, first, count);
            let outputs =
                BoxOutputs { classes: rows(&outputs.classes), deltas: rows(&outputs.deltas) };
            found.push(self.head.boxes_of(&outputs, own, shape, &self.test));
            first += count;
        }
        self.test.keep(found, outputs.deltas.device())
    }

    #[cfg(test)]
    pub(crate) fn found_targets(
        &self,
        input: &HeadInput<'_>,
        proposals: Vec<Vec<Corners>>,
    ) -> crate::golden::FoundTargets {
        let targets = self.targets(input, proposals, &StepContext::default());
        crate::golden::FoundTargets {
            stage: "roi",
            count: targets.regions.len() as f64,
            positive: targets.positive.len(),
            labelled: targets.labelled.rows.len(),
            boxes: self.head.wanted(&targets),
        }
    }

    fn forward(&self, maps: &[Tensor], regions: &[Region], mode: Mode) -> BoxOutputs {
        let mut features = self.extractor.forward(maps, regions);
        if let Some(shared) = &self.shared {
            features = shared.forward(&features, mode);
        }
        self.head.forward(&features, mode)
    }

    fn targets(
        &self,
        input: &HeadInput<'_>,
        proposals: Vec<Vec<Corners>>,
        context: &StepContext,
    ) -> RegionTargets {
        let mut all = RegionTargets::default();
        let Some(train) = &self.train else { return all };
        for (picture, mut priors) in proposals.into_iter().enumerate() {
            let targets = &input.targets[picture];
            let mut assigned = train.assigner.assign(&priors, |_| true, &targets.boxes);
            if train.sampler.adds_targets() {
                priors.splice(0..0, targets.boxes.iter().copied());
                assigned.splice(0..0, (0..targets.boxes.len()).map(Assigned::Target));
            }
            let mut random = Random::of(context, Stream::Regions, picture);
            let label = |row: usize| match assigned[row] {
                Assigned::Target(target) => targets.labels[target],
                _ => self.head.num_classes,
            };
            let chosen = train.sampler.choose(&assigned, &mut random, |rows, most| {
                self.hardest(input, picture, (&priors, &label), rows, most)
            });
            let mut push = |row: usize, label: i64, weight: f32| {
                let place = all.regions.len();
                all.regions.push(Region { picture, corners: priors[row] });
                all.labelled.push(place as i64, label, weight);
                place
            };
            for &(row, target) in &chosen.positive {
                let label = targets.labels[target];
                let place = push(row, label, train.positive_weight);
                all.positive.push((place, label, targets.boxes[target]));
            }
            for &row in &chosen.negative {
                push(row, self.head.num_classes, 1.0);
            }
        }
        all
    }

    /// So many of these rows of a picture, those with the largest loss of classes.
    fn hardest(
        &self,
        input: &HeadInput<'_>,
        picture: usize,
        (priors, label): (&[Corners], &dyn Fn(usize) -> i64),
        rows: Vec<usize>,
        most: usize,
    ) -> Vec<usize> {
        let regions: Vec<Region> =
            rows.iter().map(|row| Region { picture, corners: priors[*row] }).collect();
        let labels: Vec<i64> = rows.iter().map(|row| label(*row)).collect();
        let losses = tch::no_grad(|| {
            // A look at the losses is no training step: running statistics stand still.
            let outputs = self.forward(input.features, &regions, Mode::Frozen);
            to_host(&self.head.class_losses(&outputs, &labels).to_kind(Kind::Float))
        });
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| losses[*b].total_cmp(&losses[*a]));
        order.into_iter().take(most).map(|place| rows[place]).collect()
    }
}

impl TrainSettings {
    fn read(value: &Json, path: &str) -> Result<TrainSettings, ComponentError> {
        let declared: declared::RcnnTrainCfg = read(value, path)?;
        let weight = declared.pos_weight as f32;
        Ok(TrainSettings {
            assigner: MaxIou::read(&declared.assigner, &format!("{path}.assigner"))?,
            sampler: BoxSampler::read(&declared.sampler, &format!("{path}.sampler"))?,
            positive_weight: if weight > 0.0 { weight } else { 1.0 },
        })
    }
}

fn test_settings(value: &Json, path: &str) -> Result<BoxSettings, ComponentError> {
    let declared: declared::RcnnTestCfg = read(value, path)?;
    Ok(BoxSettings {
        score_threshold: declared.score_thr,
        suppression: Suppression::read(&declared.nms, &format!("{path}.nms"))?,
        most: usize::try_from(declared.max_per_img).ok().filter(|most| *most > 0),
    })
}
