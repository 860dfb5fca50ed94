//! `paramwise_cfg`: which learning rate and weight decay each parameter gets.
//! Knows nothing of updates or tensors' values.
//!
//! Source: MMEngine 0.10.7 `optim/optimizer/default_constructor.py`. Differs: groups that would be trained alike are
//! merged, and unknown keys are refused. `dcn_offset_lr_mult` is accepted; no layer here is a deformable convolution.

use serde_json::{Map, Value as Json};

use super::OptimError;
use super::group::{Group, OptimizerConfig};
use crate::state::{Entry, Layer, Role};
use snaphook_schedules::Kwargs;

/// A part of parameter names with what holds for those that contain it.
type CustomKey = (String, Map<String, Json>);

/// The rules of a `paramwise_cfg`.
pub(super) struct Paramwise {
    /// Longest first, then alphabetically: the first match wins.
    custom_keys: Vec<CustomKey>,
    bias_lr_mult: Option<f64>,
    bias_decay_mult: Option<f64>,
    norm_decay_mult: Option<f64>,
    dwconv_decay_mult: Option<f64>,
    flat_decay_mult: Option<f64>,
    is_empty: bool,
}

impl Paramwise {
    pub(super) fn read(
        config: Option<&Json>,
        optimizer: &OptimizerConfig,
    ) -> Result<Paramwise, OptimError> {
        let empty = Json::Object(Map::new());
        let config = config.filter(|config| !config.is_null()).unwrap_or(&empty);
        let kwargs = Kwargs::of("paramwise_cfg", config)?;
        let rules = Paramwise {
            custom_keys: custom_keys(&kwargs)?,
            bias_lr_mult: kwargs.optional_number("bias_lr_mult")?,
            bias_decay_mult: kwargs.optional_number("bias_decay_mult")?,
            norm_decay_mult: kwargs.optional_number("norm_decay_mult")?,
            dwconv_decay_mult: kwargs.optional_number("dwconv_decay_mult")?,
            flat_decay_mult: kwargs.optional_number("flat_decay_mult")?,
            is_empty: config.as_object().is_none_or(Map::is_empty),
        };
        kwargs.boolean("bypass_duplicate", false)?;
        kwargs.optional_number("dcn_offset_lr_mult")?;
        kwargs.finish()?;
        rules.check_weight_decay(optimizer)?;
        Ok(rules)
    }

    /// Whether there are no rules, which makes one group of everything.
    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// The group that `entry` would be alone in.
    pub(super) fn group_of(
        &self,
        entry: &Entry,
        optimizer: &OptimizerConfig,
    ) -> Result<Group, OptimError> {
        let mut group = Group::new(optimizer.hyper);
        let custom = self.custom_keys.iter().find(|(key, _)| entry.name.contains(key.as_str()));
        match custom {
            Some((key, settings)) => apply_custom(&mut group, key, (settings, optimizer))?,
            None => self.apply_rules(&mut group, entry, optimizer),
        }
        group.configured = group.hyper;
        Ok(group)
    }

    fn apply_rules(&self, group: &mut Group, entry: &Entry, optimizer: &OptimizerConfig) {
        let Role::Parameter(layer) = entry.role else { return };
        let is_norm = layer == Layer::Norm;
        let is_bias = entry.name == "bias" || entry.name.ends_with(".bias");
        if let Some(factor) = self.bias_lr_mult.filter(|_| is_bias && !is_norm) {
            group.hyper.learning_rate = optimizer.hyper.learning_rate * factor;
        }
        let factor = [
            self.norm_decay_mult.filter(|_| is_norm),
            self.bias_decay_mult.filter(|_| is_bias),
            self.dwconv_decay_mult.filter(|_| is_depth_wise(layer)),
            self.flat_decay_mult.filter(|_| entry.tensor.dim() == 1),
        ];
        if let Some(factor) =
            factor.into_iter().flatten().next().filter(|_| optimizer.has_weight_decay)
        {
            group.hyper.weight_decay = optimizer.hyper.weight_decay * factor;
        }
    }

    fn check_weight_decay(&self, optimizer: &OptimizerConfig) -> Result<(), OptimError> {
        if optimizer.has_weight_decay {
            return Ok(());
        }
        let multipliers = [
            ("bias_decay_mult", self.bias_decay_mult),
            ("norm_decay_mult", self.norm_decay_mult),
            ("dwconv_decay_mult", self.dwconv_decay_mult),
        ];
        let plain =
            multipliers.iter().find(|(_, value)| value.is_some()).map(|(key, _)| (*key).to_owned());
        let custom =
            self.custom_keys.iter().find(|(_, settings)| settings.contains_key("decay_mult"));
        match plain.or_else(|| custom.map(|(key, _)| format!("a decay_mult for `{key}`"))) {
            Some(key) => Err(OptimError::NoWeightDecay { key }),
            None => Ok(()),
        }
    }
}

fn custom_keys(kwargs: &Kwargs<'_>) -> Result<Vec<CustomKey>, OptimError> {
    let Some(value) = kwargs.raw("custom_keys") else { return Ok(Vec::new()) };
    let expected = "an object of objects, such as {\"backbone\": {\"lr_mult\": 0.1}}";
    let keys = value.as_object().ok_or_else(|| kwargs.wrong("custom_keys", expected, value))?;
    let mut keys = keys
        .iter()
        .map(|(key, settings)| {
            let settings = settings
                .as_object()
                .ok_or_else(|| kwargs.wrong("custom_keys", expected, settings))?;
            Ok((key.clone(), settings.clone()))
        })
        .collect::<Result<Vec<_>, OptimError>>()?;
    // Length in letters, as Python counts it.
    keys.sort_by(|(a, _), (b, _)| b.chars().count().cmp(&a.chars().count()).then_with(|| a.cmp(b)));
    Ok(keys)
}

fn apply_custom(
    group: &mut Group,
    key: &str,
    (settings, optimizer): (&Map<String, Json>, &OptimizerConfig),
) -> Result<(), OptimError> {
    let json = Json::Object(settings.clone());
    let kwargs = Kwargs::of(format!("paramwise_cfg.custom_keys[{key:?}]"), &json)?;
    group.hyper.learning_rate = optimizer.hyper.learning_rate * kwargs.number("lr_mult", 1.0)?;
    if optimizer.has_weight_decay {
        group.hyper.weight_decay =
            optimizer.hyper.weight_decay * kwargs.number("decay_mult", 1.0)?;
    }
    let hyper = &mut group.hyper;
    hyper.learning_rate = kwargs.number("lr", hyper.learning_rate)?;
    hyper.weight_decay = kwargs.number("weight_decay", hyper.weight_decay)?;
    hyper.momentum = kwargs.number("momentum", hyper.momentum)?;
    hyper.dampening = kwargs.number("dampening", hyper.dampening)?;
    hyper.nesterov = kwargs.boolean("nesterov", hyper.nesterov)?;
    hyper.eps = kwargs.number("eps", hyper.eps)?;
    if let Some(betas) = kwargs.numbers("betas")? {
        let [beta1, beta2] = betas[..] else {
            return Err(kwargs.wrong("betas", "two numbers", &Json::from(betas)).into());
        };
        (hyper.momentum, hyper.beta2) = (beta1, beta2);
    }
    group.extra = settings.clone();
    for number in ["lr", "weight_decay", "momentum", "dampening", "nesterov", "eps", "betas"] {
        group.extra.remove(number);
    }
    Ok(())
}

fn is_depth_wise(layer: Layer) -> bool {
    matches!(layer, Layer::Convolution { in_channels, groups } if in_channels == groups)
}
