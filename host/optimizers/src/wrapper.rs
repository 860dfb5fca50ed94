//! `optim_wrapper`: the optimizer and what is around its updates. Knows nothing of models.
//!
//! Source: MMEngine 0.10.7 `optim/optimizer/optimizer_wrapper.py`, `amp_optimizer_wrapper.py`. Differs: a whole number is a
//! loss scale too; `dtype` takes half precisions alone.

use serde_json::{Value as Json, json};
use snaphook_components::{
    Component, ComponentError, Declared, Role, Wrong, read, type_name, unknown_type,
};
use snaphook_plugin_api::Kwargs;

use crate::{ClipGrad, Optimizer, Paramwise};

/// What an `optim_wrapper` says.
#[derive(Clone, Debug, PartialEq)]
pub struct WrapperSettings {
    /// The optimizer.
    pub optimizer: Optimizer,
    /// What single parameters get.
    pub paramwise: Paramwise,
    /// How gradients are limited.
    pub clip: Option<ClipGrad>,
    /// Iterations whose gradients are added up for one update.
    pub accumulative_counts: u64,
    /// In which precision the model computes.
    pub precision: Precision,
}

/// In which precision the model computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Precision {
    /// That of the parameters.
    Full,
    /// Half precision where it does no harm.
    Mixed(AmpSettings),
}

/// Settings of mixed precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AmpSettings {
    /// How losses are scaled, so that small gradients do not vanish in half precision.
    pub loss_scale: LossScale,
    /// Whether bfloat16 is asked for (true) or float16 (false); the device decides where nothing is.
    pub is_bfloat16: Option<bool>,
}

/// How losses are scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossScale {
    /// By this number.
    Static(f64),
    /// By a number that grows, and shrinks when gradients overflow.
    Dynamic {
        /// The first scale.
        init_scale: f64,
        /// What the scale is multiplied with after `growth_interval` updates without an overflow.
        growth_factor: f64,
        /// What the scale is multiplied with after an overflow.
        backoff_factor: f64,
        /// Updates without an overflow before the scale grows.
        growth_interval: u64,
    },
}

/// Declares a wrapper: its own arguments, and those of all wrappers.
macro_rules! wrapper {
    ($(#[$($meta:tt)*])* $name:ident { $($fields:tt)* } { $($check:tt)* }) => {
        $(#[$($meta)*])*
        #[derive(Clone, Debug, Kwargs)]
        #[allow(dead_code, reason = "arguments without effect are read, so that a config may have them")]
        struct $name {
            /// The optimizer.
            #[kwarg(component = "optimizer")]
            optimizer: Json,
            /// Iterations whose gradients are added up for one update.
            #[kwarg(default = 1, min = 1)]
            accumulative_counts: u64,
            /// How gradients are limited before an update.
            #[kwarg(settings = "ClipGrad")]
            clip_grad: Option<Json>,
            /// Learning rates and decays of single parameters.
            #[kwarg(settings = "Paramwise")]
            paramwise_cfg: Option<Json>,
            /// Who makes the groups of parameters.
            #[kwarg(choices("DefaultOptimWrapperConstructor"))]
            constructor: Option<String>,
            $($fields)*
        }

        impl Component for $name {
            const ROLE: Role = Role::OptimWrapper;
            const NAMES: &'static [&'static str] = &[stringify!($name)];
            $($check)*
        }

        impl $name {
            fn settings(
                self,
                precision: Precision,
                path: &str,
            ) -> Result<WrapperSettings, ComponentError> {
                let optimizer = Optimizer::read(&self.optimizer, &format!("{path}.optimizer"))?;
                let rules = self.paramwise_cfg.unwrap_or(json!({}));
                let clip = self.clip_grad.filter(|clip| !clip.is_null());
                Ok(WrapperSettings {
                    paramwise: Paramwise::read(&rules, &optimizer, &format!("{path}.paramwise_cfg"))?,
                    clip: clip.map(|clip| ClipGrad::read(&clip, &format!("{path}.clip_grad"))).transpose()?,
                    accumulative_counts: self.accumulative_counts,
                    optimizer,
                    precision,
                })
            }
        }
    };
}

wrapper! {
    /// Adds up and limits gradients around the optimizer's updates.
    OptimWrapper {} {}
}

wrapper! {
    /// The same, and the model computes in mixed precision.
    AmpOptimWrapper {
        /// How losses are scaled: `dynamic`, a number, or the arguments of a scaler.
        #[kwarg(default = "dynamic", any_of(String, f64, Json))]
        loss_scale: Json,
        /// The half precision; float16 on GPUs and bfloat16 on the CPU where none is given.
        #[kwarg(choices("float16", "bfloat16"))]
        dtype: Option<String>,
        /// Sharded parameters are not known.
        #[kwarg(default = false, only(false))]
        use_fsdp: bool,
    } {
        fn check(&self) -> Result<(), Wrong> {
            match &self.loss_scale {
                Json::Object(_) => read::<Scaler>(&self.loss_scale, "")
                    .map(drop)
                    .map_err(|error| Wrong::new("loss_scale", error.to_string())),
                value => Wrong::unless(
                    *value == json!("dynamic") || value.as_f64().is_some_and(|scale| scale > 0.0),
                    "loss_scale",
                    || format!("expected 'dynamic', a number above 0, or a dict, found {value}"),
                ),
            }
        }
    }
}

/// Arguments of a loss scale that grows and shrinks.
#[derive(Clone, Debug, Kwargs)]
#[allow(dead_code, reason = "arguments without effect are read, so that a config may have them")]
struct Scaler {
    /// The first scale.
    #[kwarg(default = 65536.0, min = 0)]
    init_scale: f64,
    /// What the scale is multiplied with after `growth_interval` updates without an overflow.
    #[kwarg(default = 2.0, min = 1)]
    growth_factor: f64,
    /// What the scale is multiplied with after an overflow.
    #[kwarg(default = 0.5, min = 0, max = 1)]
    backoff_factor: f64,
    /// Updates without an overflow before the scale grows.
    #[kwarg(default = 2000, min = 1)]
    growth_interval: u64,
    /// Whether losses are scaled at all.
    #[kwarg(default = true)]
    enabled: bool,
    /// Without effect: it is where the model is.
    #[kwarg]
    device: Option<String>,
}

impl Component for Scaler {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["GradScaler"];
}

impl Scaler {
    fn loss_scale(&self) -> LossScale {
        if !self.enabled {
            return LossScale::Static(1.0);
        }
        LossScale::Dynamic {
            init_scale: self.init_scale,
            growth_factor: self.growth_factor,
            backoff_factor: self.backoff_factor,
            growth_interval: self.growth_interval,
        }
    }
}

impl AmpOptimWrapper {
    fn precision(&self, path: &str) -> Result<Precision, ComponentError> {
        let loss_scale = match &self.loss_scale {
            Json::Object(_) => {
                read::<Scaler>(&self.loss_scale, &format!("{path}.loss_scale"))?.loss_scale()
            }
            value => match value.as_f64() {
                Some(scale) => LossScale::Static(scale),
                None => read::<Scaler>(&json!({}), path)?.loss_scale(),
            },
        };
        let is_bfloat16 = self.dtype.as_deref().map(|dtype| dtype == "bfloat16");
        Ok(Precision::Mixed(AmpSettings { loss_scale, is_bfloat16 }))
    }
}

impl WrapperSettings {
    /// Reads the `optim_wrapper` of a config.
    ///
    /// Errors: an unknown wrapper or optimizer; unknown, missing or wrong arguments; multipliers of a weight decay that is
    /// not given.
    pub fn read(config: &Json) -> Result<WrapperSettings, ComponentError> {
        let path = "optim_wrapper";
        match type_name(Role::OptimWrapper, config, path)? {
            "OptimWrapper" => read::<OptimWrapper>(config, path)?.settings(Precision::Full, path),
            "AmpOptimWrapper" => {
                let wrapper = read::<AmpOptimWrapper>(config, path)?;
                let precision = wrapper.precision(path)?;
                wrapper.settings(precision, path)
            }
            _ => {
                let known = ["OptimWrapper", "AmpOptimWrapper"];
                Err(unknown_type(Role::OptimWrapper, &config["type"], path, known).into())
            }
        }
    }
}

pub(crate) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<OptimWrapper>(),
        Declared::of::<AmpOptimWrapper>(),
        Declared::of::<Scaler>(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_ok(config: Json) -> WrapperSettings {
        WrapperSettings::read(&config).unwrap()
    }

    fn error(config: Json) -> String {
        WrapperSettings::read(&config).unwrap_err().to_string()
    }

    #[test]
    fn wrong_settings_are_named_with_their_key() {
        let unknown = error(json!({"optimizer": {"type": "AdamV"}}));
        assert!(unknown.starts_with("optim_wrapper.optimizer.type: \"AdamV\""), "{unknown}");
        assert!(unknown.contains("did you mean `Adam`?"), "{unknown}");
        let key = error(json!({"optimizer": {"type": "SGD", "momentun": 0.9}}));
        assert_eq!(
            key,
            "optim_wrapper.optimizer.momentun: unknown key of SGD (did you mean `momentum`?)"
        );
        let clip = error(json!({"optimizer": {"type": "SGD"}, "clip_grad": {"norm_type": 2}}));
        assert!(clip.starts_with("optim_wrapper.clip_grad.max_norm: missing"), "{clip}");
        let nesterov = error(json!({"optimizer": {"type": "SGD", "nesterov": true}}));
        assert!(nesterov.contains("expected a momentum and no dampening"), "{nesterov}");
        let wrapper = error(json!({"type": "ApexOptimWrapper", "optimizer": {"type": "SGD"}}));
        assert!(wrapper.starts_with("optim_wrapper.type: "), "{wrapper}");
    }

    #[test]
    fn optimizers_that_cannot_be_had_are_refused_with_the_reason() {
        for (name, reason) in [("LBFGS", "several times"), ("SparseAdam", "sparse gradients")] {
            let found = error(json!({"optimizer": {"type": name, "lr": 1.0}}));
            assert!(found.contains("is not in this version") && found.contains(reason), "{found}");
        }
    }

    #[test]
    fn mixed_precision_takes_every_kind_of_scale() {
        let scale = |value: Json| {
            let config = json!({"type": "AmpOptimWrapper", "optimizer": {"type": "SGD"},
                "loss_scale": value, "dtype": "bfloat16"});
            match read_ok(config).precision {
                Precision::Mixed(settings) => settings.loss_scale,
                Precision::Full => panic!("full precision"),
            }
        };
        let dynamic = |init_scale| LossScale::Dynamic {
            init_scale,
            growth_factor: 2.0,
            backoff_factor: 0.5,
            growth_interval: 2000,
        };
        assert_eq!(scale(json!("dynamic")), dynamic(65536.0));
        assert_eq!(scale(json!({"init_scale": 512})), dynamic(512.0));
        assert_eq!(scale(json!(128)), LossScale::Static(128.0));
        let wrong = error(
            json!({"type": "AmpOptimWrapper", "optimizer": {"type": "SGD"}, "loss_scale": "static"}),
        );
        assert!(wrong.starts_with("optim_wrapper.loss_scale: expected 'dynamic'"), "{wrong}");
    }

    #[test]
    fn every_optimizer_reads_its_own_defaults() {
        for declared in crate::optimizer::declared() {
            let settings = read_ok(json!({"optimizer": {"type": declared.name()}}));
            assert!(settings.optimizer.hyper().learning_rate > 0.0, "{}", declared.name());
            assert!(!settings.optimizer.has_weight_decay());
        }
    }
}
