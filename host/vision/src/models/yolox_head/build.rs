//! Builds the head from its dict, and gives the biases of its classifiers their start value.

use serde_json::Value as Json;
use snaphook_components::vision as declared;
use snaphook_components::{Auto, ComponentError, read};
use snaphook_runner::Scope;
use tch::Tensor;

use super::predict::TestSettings;
use super::priors::PriorCache;
use crate::init_cfg::Starts;
use crate::losses::{BinaryCrossEntropy, IouLoss, L1Loss};
use crate::nn::{Conv2d, ConvBlock, ConvShape, Style};
use crate::sim_ota::SimOta;

/// A class is taken to be there with this probability at first.
const PRIOR_PROBABILITY: f64 = 0.01;

/// The head with its levels, losses and settings.
#[derive(Debug)]
pub(crate) struct YoloxHead {
    pub(super) levels: Vec<Level>,
    pub(super) losses: HeadLosses,
    pub(super) assigner: SimOta,
    pub(super) test: TestSettings,
    pub(super) priors: PriorCache,
    /// Number of classes.
    pub(crate) num_classes: i64,
    /// Whether the L1 loss of boxes takes part (from the last epochs on).
    pub(crate) use_l1: bool,
}

/// The convolutions for one map of features.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) cls_convs: Vec<ConvBlock>,
    pub(super) reg_convs: Vec<ConvBlock>,
    pub(super) cls: Conv2d,
    pub(super) reg: Conv2d,
    pub(super) obj: Conv2d,
}

/// The four losses.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLosses {
    pub(super) cls: BinaryCrossEntropy,
    pub(super) bbox: IouLoss,
    pub(super) obj: BinaryCrossEntropy,
    pub(super) l1: L1Loss,
}

/// The numbers of the convolutions.
#[derive(Debug)]
struct Numbers {
    classes: i64,
    in_channels: i64,
    channels: i64,
    stacked: usize,
    levels: usize,
    bias: bool,
}

impl YoloxHead {
    /// `path` is that of the model; `train_cfg` and `test_cfg` are the model's, too.
    pub(crate) fn build(
        model: &declared::Yolox,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<YoloxHead, ComponentError> {
        let below = |key: &str| format!("{path}.{key}");
        let head: declared::YoloxHead = read(&model.bbox_head, &below("bbox_head"))?;
        starts.read(head.init_cfg.as_ref(), &below("bbox_head"), scope.prefix(), Vec::new())?;
        let style = Style::read(&head.style(), &below("bbox_head"))?;
        let numbers = Numbers::new(&head, &style);
        let test = model.test_cfg.as_ref();
        let test = test.map(|value| TestSettings::read(value, &below("test_cfg"))).transpose()?;
        Ok(YoloxHead {
            levels: levels(&numbers, &style, scope),
            losses: HeadLosses::read(&head, &below("bbox_head"))?,
            assigner: read_assigner(model.train_cfg.as_ref(), &below("train_cfg"))?,
            test: test.unwrap_or_default(),
            priors: PriorCache::new(head.strides, scope.device()),
            num_classes: numbers.classes,
            use_l1: false,
        })
    }

    /// Maps of features that it takes.
    pub(crate) fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Sets the biases of classes and objectness so that everything is unlikely at first.
    pub(crate) fn set_prior_biases(&self) {
        let bias = -((1.0 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY).ln();
        tch::no_grad(|| {
            let classifiers = self.levels.iter().flat_map(|level| [&level.cls, &level.obj]);
            for tensor in classifiers.filter_map(Conv2d::bias) {
                let _: Tensor = tensor.shallow_clone().fill_(bias);
            }
        });
    }
}

impl Numbers {
    fn new(head: &declared::YoloxHead, style: &Style) -> Numbers {
        let bias = match head.conv_bias {
            Auto::Auto => style.norm.is_none(),
            Auto::Given(bias) => bias,
        };
        Numbers {
            classes: head.num_classes,
            in_channels: head.in_channels,
            channels: head.feat_channels,
            stacked: head.stacked_convs,
            levels: head.strides.len(),
            bias,
        }
    }
}

impl HeadLosses {
    fn read(head: &declared::YoloxHead, path: &str) -> Result<HeadLosses, ComponentError> {
        let entropy = |key: &str, value: &Option<Json>| {
            let read = |value| BinaryCrossEntropy::read(value, &format!("{path}.{key}"));
            let read = value.as_ref().map(read).transpose();
            read.map(|loss| loss.unwrap_or_else(BinaryCrossEntropy::yolox))
        };
        let bbox = head.loss_bbox.as_ref();
        let bbox = bbox.map(|value| IouLoss::read(value, &format!("{path}.loss_bbox")));
        let l1 = head.loss_l1.as_ref();
        let l1 = l1.map(|value| L1Loss::read(value, &format!("{path}.loss_l1")));
        Ok(HeadLosses {
            cls: entropy("loss_cls", &head.loss_cls)?,
            bbox: bbox.transpose()?.unwrap_or_else(IouLoss::yolox),
            obj: entropy("loss_obj", &head.loss_obj)?,
            l1: l1.transpose()?.unwrap_or_else(L1Loss::yolox),
        })
    }
}

fn read_assigner(train_cfg: Option<&Json>, path: &str) -> Result<SimOta, ComponentError> {
    let Some(value) = train_cfg else { return Ok(SimOta::default()) };
    let declared::YoloxTrainCfg { assigner } = read(value, path)?;
    let assigner = assigner.map(|value| SimOta::read(&value, &format!("{path}.assigner")));
    Ok(assigner.transpose()?.unwrap_or_default())
}

/// The list of a kind comes whole before the next, as in a state dict of MMDetection.
fn levels(numbers: &Numbers, style: &Style, scope: &Scope) -> Vec<Level> {
    let stack = |scope: Scope| -> Vec<ConvBlock> {
        let block = |i| {
            let input = if i == 0 { numbers.in_channels } else { numbers.channels };
            let shape = ConvShape::new(input, numbers.channels, 3);
            ConvBlock::with_bias(&scope.child(i), shape, style, numbers.bias)
        };
        (0..numbers.stacked).map(block).collect()
    };
    let stacks = |name: &str| -> Vec<Vec<ConvBlock>> {
        (0..numbers.levels).map(|level| stack(scope.child(name).child(level))).collect()
    };
    let predictors = |name: &str, out: i64| -> Vec<Conv2d> {
        let shape = ConvShape::new(numbers.channels, out, 1);
        let one = |level| Conv2d::new(&scope.child(name).child(level), shape, true);
        (0..numbers.levels).map(one).collect()
    };
    let cls_convs = stacks("multi_level_cls_convs");
    let reg_convs = stacks("multi_level_reg_convs");
    let cls = predictors("multi_level_conv_cls", numbers.classes);
    let reg = predictors("multi_level_conv_reg", 4);
    let obj = predictors("multi_level_conv_obj", 1);
    let towers = cls_convs.into_iter().zip(reg_convs);
    let predictors = cls.into_iter().zip(reg).zip(obj);
    towers
        .zip(predictors)
        .map(|((cls_convs, reg_convs), ((cls, reg), obj))| Level {
            cls_convs,
            reg_convs,
            cls,
            reg,
            obj,
        })
        .collect()
}
