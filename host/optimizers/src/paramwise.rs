//! `paramwise_cfg`: which numbers each parameter gets. Knows nothing of tensors.
//!
//! Source: MMEngine 0.10.7 `optim/optimizer/default_constructor.py`. Differs: unknown keys are refused, and a parameter that
//! several layers share is trained once in any case, as with `bypass_duplicate`.

use serde_json::{Map, Value as Json, json};
use snaphook_components::{
    Component, ComponentError, Declared, Problem, ProblemKind, Role, Wrong, read,
};
use snaphook_plugin_api::Kwargs;

use crate::{Hyper, Optimizer};

/// What the rules look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameter<'a> {
    /// The whole name: `backbone.stem.conv.weight`.
    pub name: &'a str,
    /// Its number of dimensions.
    pub dimensions: usize,
    /// Whether its layer normalises.
    pub is_of_norm: bool,
    /// Whether its layer is a convolution.
    pub is_of_convolution: bool,
    /// Whether its layer is a convolution with as many groups as channels that come in.
    pub is_of_depth_wise: bool,
    /// Whether its layer is a part of a deformable convolution, such as the one that gives the offsets.
    pub is_in_deformable: bool,
}

/// What a parameter gets.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSettings {
    /// The numbers of its updates.
    pub hyper: Hyper,
    /// All arguments of the optimizer, as they hold for it.
    pub arguments: Map<String, Json>,
    /// Other entries of `custom_keys`, kept for whoever looks at groups.
    pub extra: Map<String, Json>,
}

/// Numbers of single parameters, by parts of their names and by their layers.
#[derive(Clone, Debug, PartialEq, Kwargs)]
#[allow(dead_code, reason = "arguments without effect are read, so that a config may have them")]
struct Rules {
    /// Parts of names, each with `lr_mult`, `decay_mult` or arguments of the optimizer; the longest part that a name has
    /// wins, and no other rule holds for that parameter.
    #[kwarg]
    custom_keys: Option<Json>,
    /// What the learning rate of biases is multiplied with, but for those of norms and deformable convolutions.
    #[kwarg]
    bias_lr_mult: Option<f64>,
    /// What the weight decay of biases is multiplied with; of norms too, where `norm_decay_mult` is not given.
    #[kwarg]
    bias_decay_mult: Option<f64>,
    /// What the weight decay of norms is multiplied with.
    #[kwarg]
    norm_decay_mult: Option<f64>,
    /// What the weight decay of depth-wise convolutions is multiplied with.
    #[kwarg]
    dwconv_decay_mult: Option<f64>,
    /// What the weight decay of parameters with one dimension is multiplied with.
    #[kwarg]
    flat_decay_mult: Option<f64>,
    /// What the learning rate of the offsets of deformable convolutions is multiplied with.
    #[kwarg]
    dcn_offset_lr_mult: Option<f64>,
    /// Without effect: a parameter that several layers share is trained once in any case.
    #[kwarg(default = false)]
    bypass_duplicate: bool,
}

impl Component for Rules {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["Paramwise"];

    fn check(&self) -> Result<(), Wrong> {
        let is_valid = self.custom_keys.as_ref().is_none_or(|keys| {
            keys.is_null()
                || keys.as_object().is_some_and(|keys| keys.values().all(Json::is_object))
        });
        Wrong::unless(is_valid, "custom_keys", || {
            "expected a dict of dicts, such as {'backbone': {'lr_mult': 0.1}}".to_owned()
        })
    }
}

/// A part of parameter names with what holds for those that contain it.
type CustomKey = (String, ParameterSettings);

/// The rules of a `paramwise_cfg`.
#[derive(Clone, Debug, PartialEq)]
pub struct Paramwise {
    rules: Rules,
    /// Longest first, then alphabetically: the first match wins.
    custom_keys: Vec<CustomKey>,
    is_empty: bool,
}

impl Paramwise {
    /// Reads a `paramwise_cfg`, found at the key path `path`.
    ///
    /// Errors: unknown or wrong arguments; a multiplier of the weight decay for an optimizer without one.
    pub fn read(
        config: &Json,
        optimizer: &Optimizer,
        path: &str,
    ) -> Result<Paramwise, ComponentError> {
        let config = if config.is_null() { &json!({}) } else { config };
        let rules: Rules = read(config, path)?;
        check_weight_decay(&rules, optimizer, path)?;
        let custom_keys = custom_keys(&rules, optimizer, path)?;
        let is_empty = config.as_object().is_none_or(Map::is_empty);
        Ok(Paramwise { rules, custom_keys, is_empty })
    }

    /// Whether there are no rules, which makes one group of everything.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// What a parameter gets.
    pub fn settings_of(
        &self,
        parameter: &Parameter<'_>,
        optimizer: &Optimizer,
    ) -> ParameterSettings {
        let custom = self.custom_keys.iter().find(|(key, _)| contains(parameter.name, key));
        if let Some((_, settings)) = custom {
            return settings.clone();
        }
        let base = optimizer.hyper();
        let mut settings = ParameterSettings {
            hyper: *base,
            arguments: optimizer.arguments().clone(),
            extra: Map::new(),
        };
        if let Some(factor) = self.rate_factor(parameter) {
            settings.set("lr", base.learning_rate * factor);
            settings.hyper.learning_rate = base.learning_rate * factor;
        }
        if let Some(factor) = self.decay_factor(parameter).filter(|_| optimizer.has_weight_decay())
        {
            settings.set("weight_decay", base.weight_decay * factor);
            settings.hyper.weight_decay = base.weight_decay * factor;
        }
        settings
    }

    /// Every set of numbers that a parameter may get, the optimizer's own first. Which of them a model uses, only the
    /// model can tell.
    pub fn possible(&self, optimizer: &Optimizer) -> Vec<Hyper> {
        let base = *optimizer.hyper();
        let scaled = |factor: Option<f64>| {
            factor.map(|factor| Hyper { learning_rate: base.learning_rate * factor, ..base })
        };
        let custom = self.custom_keys.iter().map(|(_, settings)| settings.hyper);
        [Some(base), scaled(self.rules.bias_lr_mult), scaled(self.rules.dcn_offset_lr_mult)]
            .into_iter()
            .flatten()
            .chain(custom)
            .collect()
    }

    fn rate_factor(&self, parameter: &Parameter<'_>) -> Option<f64> {
        let name = parameter.name;
        let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
        let is_offset = layer.contains("conv_offset")
            && parameter.is_in_deformable
            && parameter.is_of_convolution;
        let of_bias = self
            .rules
            .bias_lr_mult
            .filter(|_| is_bias(name) && !parameter.is_of_norm && !parameter.is_in_deformable);
        self.rules.dcn_offset_lr_mult.filter(|_| is_offset).or(of_bias)
    }

    fn decay_factor(&self, parameter: &Parameter<'_>) -> Option<f64> {
        let is_free = !parameter.is_in_deformable;
        let rules = &self.rules;
        let factors = [
            rules.norm_decay_mult.filter(|_| parameter.is_of_norm),
            rules.bias_decay_mult.filter(|_| is_bias(parameter.name) && is_free),
            rules.dwconv_decay_mult.filter(|_| parameter.is_of_depth_wise),
            rules.flat_decay_mult.filter(|_| parameter.dimensions == 1 && is_free),
        ];
        factors.into_iter().flatten().next()
    }
}

impl ParameterSettings {
    fn set(&mut self, argument: &str, value: f64) {
        self.arguments.insert(argument.to_owned(), json!(value));
    }
}

fn is_bias(name: &str) -> bool {
    name == "bias" || name.ends_with(".bias")
}

/// MMEngine joins layer and name by a dot even where the layer is the model itself.
fn contains(name: &str, key: &str) -> bool {
    name.contains(key) || (!name.contains('.') && format!(".{name}").contains(key))
}

fn custom_keys(
    rules: &Rules,
    optimizer: &Optimizer,
    path: &str,
) -> Result<Vec<CustomKey>, ComponentError> {
    let keys = rules.custom_keys.as_ref().and_then(Json::as_object);
    let entries = keys.into_iter().flatten();
    let mut keys = entries
        .map(|(key, entry)| {
            let path = format!("{path}.custom_keys.{key}");
            Ok((key.clone(), custom_settings(entry, optimizer, &path)?))
        })
        .collect::<Result<Vec<_>, ComponentError>>()?;
    // Length in letters, as Python counts it.
    keys.sort_by(|(a, _), (b, _)| b.chars().count().cmp(&a.chars().count()).then_with(|| a.cmp(b)));
    Ok(keys)
}

fn custom_settings(
    entry: &Json,
    optimizer: &Optimizer,
    path: &str,
) -> Result<ParameterSettings, ComponentError> {
    let factor = |key: &str| match entry.get(key).filter(|value| !value.is_null()) {
        None => Ok(1.0),
        Some(value) => value.as_f64().ok_or_else(|| {
            let message = format!("expected a number, found {value}");
            Problem::new(format!("{path}.{key}"), ProblemKind::Value, message)
        }),
    };
    let base = optimizer.hyper();
    let mut changes = Map::new();
    changes.insert("lr".to_owned(), json!(base.learning_rate * factor("lr_mult")?));
    if optimizer.has_weight_decay() {
        let decay = base.weight_decay * factor("decay_mult")?;
        changes.insert("weight_decay".to_owned(), json!(decay));
    }
    // Arguments that the entry gives itself win over the multiplied ones.
    changes.extend(entry.as_object().cloned().unwrap_or_default());
    let (changed, extra) = optimizer.with(&changes, path)?;
    Ok(ParameterSettings { hyper: *changed.hyper(), arguments: changed.arguments().clone(), extra })
}

/// MMEngine's rule: multipliers of the weight decay need one, but for `flat_decay_mult`.
fn check_weight_decay(
    rules: &Rules,
    optimizer: &Optimizer,
    path: &str,
) -> Result<(), ComponentError> {
    if optimizer.has_weight_decay() {
        return Ok(());
    }
    let multipliers = [
        ("bias_decay_mult", rules.bias_decay_mult),
        ("norm_decay_mult", rules.norm_decay_mult),
        ("dwconv_decay_mult", rules.dwconv_decay_mult),
    ];
    let given = multipliers.into_iter().find(|(_, value)| value.is_some());
    let custom = rules.custom_keys.as_ref().and_then(Json::as_object).into_iter().flatten();
    let mut custom = custom.filter(|(_, entry)| entry.get("decay_mult").is_some());
    let key = match given {
        Some((key, _)) => Some(key.to_owned()),
        None => custom.next().map(|(key, _)| format!("custom_keys.{key}.decay_mult")),
    };
    let Some(key) = key else { return Ok(()) };
    let message =
        "expected a weight_decay in the optimizer, found none (add weight_decay to the optimizer)";
    Err(Problem::new(format!("{path}.{key}"), ProblemKind::Value, message).into())
}

pub(crate) fn declared() -> Vec<Declared> {
    vec![Declared::of::<Rules>()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sgd() -> Optimizer {
        let config = json!({"type": "SGD", "lr": 1.0, "momentum": 0.9, "weight_decay": 0.01});
        Optimizer::read(&config, "optimizer").unwrap()
    }

    fn rules(config: Json) -> Paramwise {
        Paramwise::read(&config, &sgd(), "paramwise_cfg").unwrap()
    }

    /// Learning rate and decay that the rules give.
    fn numbers(rules: &Paramwise, parameter: Parameter<'_>) -> (f64, f64) {
        let settings = rules.settings_of(&parameter, &sgd());
        assert_eq!(settings.arguments["lr"], json!(settings.hyper.learning_rate));
        (settings.hyper.learning_rate, settings.hyper.weight_decay)
    }

    #[test]
    fn the_first_rule_of_the_decay_that_fits_wins() {
        let rules =
            rules(json!({"norm_decay_mult": 0.1, "bias_decay_mult": 0.2, "dwconv_decay_mult": 0.3,
            "flat_decay_mult": 0.4, "bias_lr_mult": 2.0}));
        let plain = Parameter { name: "a.bias", dimensions: 1, ..Parameter::default() };
        assert_eq!(numbers(&rules, plain), (2.0, 0.002));
        assert_eq!(numbers(&rules, Parameter { is_of_norm: true, ..plain }), (1.0, 0.001));
        let weight = Parameter { name: "a.weight", dimensions: 4, ..plain };
        assert_eq!(numbers(&rules, Parameter { is_of_depth_wise: true, ..weight }), (1.0, 0.003));
        let scale = Parameter { name: "a.scale", ..plain };
        assert_eq!(numbers(&rules, scale), (1.0, 0.004));
        assert_eq!(numbers(&rules, weight), (1.0, 0.01));
    }

    #[test]
    fn without_a_rule_for_norms_that_for_biases_holds_for_theirs_too() {
        let rules = rules(json!({"bias_decay_mult": 0.0}));
        let bias =
            Parameter { name: "bn.bias", dimensions: 1, is_of_norm: true, ..Parameter::default() };
        assert_eq!(numbers(&rules, bias), (1.0, 0.0));
    }

    #[test]
    fn offsets_of_deformable_convolutions_have_a_rate_of_their_own() {
        let rules =
            rules(json!({"dcn_offset_lr_mult": 0.1, "bias_lr_mult": 2.0, "bias_decay_mult": 0.0,
            "flat_decay_mult": 0.0}));
        let offset = Parameter {
            name: "layer.conv2.conv_offset.bias",
            dimensions: 1,
            is_of_convolution: true,
            is_in_deformable: true,
            ..Parameter::default()
        };
        assert_eq!(numbers(&rules, offset), (0.1, 0.01));
        let other = Parameter { is_in_deformable: false, ..offset };
        assert_eq!(numbers(&rules, other), (2.0, 0.0));
    }

    #[test]
    fn the_longest_custom_key_wins_and_silences_other_rules() {
        let rules = rules(json!({"norm_decay_mult": 0.0, "custom_keys": {
            "bn": {"lr_mult": 0.5},
            "bn.bias": {"lr_mult": 0.25, "decay_mult": 2.0},
            "cn.bias": {"lr_mult": 9.0},
            "head": {"lr": 7.0, "momentum": 0.5, "note": "kept"},
            ".scale": {"lr_mult": 3.0}}}));
        let norm =
            |name| Parameter { name, dimensions: 1, is_of_norm: true, ..Parameter::default() };
        assert_eq!(numbers(&rules, norm("bn.weight")), (0.5, 0.01));
        assert_eq!(numbers(&rules, norm("bn.bias")), (0.25, 0.02));
        assert_eq!(numbers(&rules, norm("other.weight")), (1.0, 0.0));
        assert_eq!(numbers(&rules, norm("scale")), (3.0, 0.01));
        let head = rules.settings_of(&norm("head.weight"), &sgd());
        assert_eq!((head.hyper.learning_rate, head.hyper.momentum), (7.0, 0.5));
        assert_eq!(head.extra, *json!({"note": "kept"}).as_object().unwrap());
    }

    #[test]
    fn equally_long_keys_are_tried_in_alphabetical_order() {
        let rules = rules(json!({"custom_keys": {"bb": {"lr_mult": 2.0}, "aa": {"lr_mult": 3.0}}}));
        let both = Parameter { name: "bb.aa.weight", dimensions: 4, ..Parameter::default() };
        assert_eq!(numbers(&rules, both), (3.0, 0.01));
    }

    #[test]
    fn multipliers_of_a_decay_that_is_not_given_are_refused() {
        let config = json!({"type": "AdamW"});
        let optimizer = Optimizer::read(&config, "optimizer").unwrap();
        let error =
            |config: Json| Paramwise::read(&config, &optimizer, "p").unwrap_err().to_string();
        assert!(
            error(json!({"norm_decay_mult": 0.0}))
                .starts_with("p.norm_decay_mult: expected a weight_decay")
        );
        let custom = error(json!({"custom_keys": {"a": {"decay_mult": 0.0}}}));
        assert!(custom.starts_with("p.custom_keys.a.decay_mult: "), "{custom}");
        assert!(Paramwise::read(&json!({"flat_decay_mult": 0.0}), &optimizer, "p").is_ok());
    }

    #[test]
    fn wrong_entries_are_named() {
        let error = |config: Json| Paramwise::read(&config, &sgd(), "p").unwrap_err().to_string();
        let key = error(json!({"norm_decay_mul": 0.0}));
        assert!(key.contains("did you mean `norm_decay_mult`?"), "{key}");
        assert!(error(json!({"custom_keys": {"a": 1}})).contains("expected a dict of dicts"));
        let argument = error(json!({"custom_keys": {"a": {"momentum": "much"}}}));
        assert!(argument.starts_with("p.custom_keys.a.momentum: "), "{argument}");
    }
}
