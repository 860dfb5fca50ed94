//! Builds the head from its dict, and gives the biases of its classifiers their start value.

use snaphook_runner::Scope;
use tch::Tensor;

use super::predict::TestSettings;
use super::priors::PriorCache;
use crate::BuildError;
use crate::config::Kwargs;
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
    /// `train_cfg` and `test_cfg` are those of the model.
    pub(crate) fn build(
        kwargs: Kwargs<'_>,
        train_cfg: Option<Kwargs<'_>>,
        test_cfg: Option<Kwargs<'_>>,
        scope: &Scope,
    ) -> Result<YoloxHead, BuildError> {
        let strides: Vec<i64> = kwargs.or("strides", vec![8, 16, 32])?;
        let style = Style::read(&kwargs)?;
        let numbers = Numbers::read(&kwargs, strides.len(), &style)?;
        let losses = HeadLosses::read(&kwargs)?;
        kwargs.finish()?;
        Ok(YoloxHead {
            levels: levels(&numbers, &style, scope),
            losses,
            assigner: read_assigner(train_cfg)?,
            test: test_cfg.map(TestSettings::read).transpose()?.unwrap_or_default(),
            priors: PriorCache::new(strides, scope.device()),
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
    fn read(kwargs: &Kwargs<'_>, levels: usize, style: &Style) -> Result<Numbers, BuildError> {
        if kwargs.or("dcn_on_last_conv", false)? {
            return Err(kwargs.error("dcn_on_last_conv", "deformable convolutions are not known"));
        }
        let bias = match kwargs.raw("conv_bias") {
            Some(value) if value != "auto" => kwargs.required("conv_bias")?,
            _ => style.norm.is_none(),
        };
        let classes: i64 = kwargs.required("num_classes")?;
        if classes < 1 {
            return Err(kwargs.error("num_classes", format!("expected 1 or more, found {classes}")));
        }
        Ok(Numbers {
            classes,
            in_channels: kwargs.required("in_channels")?,
            channels: kwargs.or("feat_channels", 256)?,
            stacked: kwargs.or("stacked_convs", 2)?,
            levels,
            bias,
        })
    }
}

impl HeadLosses {
    fn read(kwargs: &Kwargs<'_>) -> Result<HeadLosses, BuildError> {
        let entropy = |key| -> Result<BinaryCrossEntropy, BuildError> {
            let read = kwargs.child(key)?.map(BinaryCrossEntropy::read).transpose()?;
            Ok(read.unwrap_or_else(BinaryCrossEntropy::yolox))
        };
        let bbox = kwargs.child("loss_bbox")?.map(IouLoss::read).transpose()?;
        let l1 = kwargs.child("loss_l1")?.map(L1Loss::read).transpose()?;
        Ok(HeadLosses {
            cls: entropy("loss_cls")?,
            bbox: bbox.unwrap_or_else(IouLoss::yolox),
            obj: entropy("loss_obj")?,
            l1: l1.unwrap_or_else(L1Loss::yolox),
        })
    }
}

fn read_assigner(train_cfg: Option<Kwargs<'_>>) -> Result<SimOta, BuildError> {
    let Some(train_cfg) = train_cfg else { return Ok(SimOta::default()) };
    let assigner = train_cfg.child("assigner")?.map(SimOta::read).transpose()?;
    train_cfg.finish()?;
    Ok(assigner.unwrap_or_default())
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
