//! `clip_grad`: how gradients are limited. Knows nothing of tensors.

use serde_json::{Value as Json, json};
use snaphook_components::{Component, ComponentError, Declared, Role, Wrong, read};
use snaphook_plugin_api::Kwargs;

/// How gradients are limited before an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClipGrad {
    /// All are scaled so that their common norm is at most `max_norm`.
    Norm {
        /// The largest norm.
        max_norm: f64,
        /// The order of the norm; infinity for the largest element.
        norm_type: f64,
        /// Whether a norm that is not finite ends the run.
        error_if_nonfinite: bool,
    },
    /// Each element is limited to at most this size.
    Value {
        /// The largest size.
        clip_value: f64,
    },
}

/// Limits gradients by their common norm, or each number by its size.
#[derive(Clone, Debug, Kwargs)]
#[allow(dead_code, reason = "arguments without effect are read, so that a config may have them")]
struct ClipSettings {
    /// What is limited.
    #[kwarg(default = "norm", choices("norm", "value"))]
    r#type: String,
    /// The largest norm of all gradients together, for `norm`.
    #[kwarg(min = 0)]
    max_norm: Option<f64>,
    /// The order of the norm, for `norm`; `inf` for the largest number.
    #[kwarg(default = 2.0, any_of(f64, String))]
    norm_type: Json,
    /// Whether a norm that is not finite ends the run; the processor waits for the device at each step then. Without it such
    /// a norm is in the log, and hooks decide.
    #[kwarg(default = false)]
    error_if_nonfinite: bool,
    /// The largest size of a number, for `value`.
    #[kwarg(min = 0)]
    clip_value: Option<f64>,
    /// Without effect: all gradients of a group are limited at once in any case.
    #[kwarg]
    foreach: Option<bool>,
}

impl Component for ClipSettings {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["ClipGrad"];

    fn check(&self) -> Result<(), Wrong> {
        if self.r#type == "value" {
            return Wrong::unless(self.clip_value.is_some(), "clip_value", || {
                "missing: clipping by value needs it, expected a number".to_owned()
            });
        }
        Wrong::unless(self.max_norm.is_some(), "max_norm", || {
            "missing: clipping by norm needs it, expected a number (or type='value')".to_owned()
        })?;
        Wrong::unless(self.order().is_some(), "norm_type", || {
            format!("expected a number above 0, or 'inf', found {}", self.norm_type)
        })
    }
}

impl ClipSettings {
    fn order(&self) -> Option<f64> {
        if self.norm_type == json!("inf") {
            return Some(f64::INFINITY);
        }
        self.norm_type.as_f64().filter(|order| *order > 0.0)
    }
}

impl ClipGrad {
    /// Reads a `clip_grad` dict, found at the key path `path`.
    ///
    /// Errors: unknown, missing or wrong arguments.
    pub fn read(config: &Json, path: &str) -> Result<ClipGrad, ComponentError> {
        let settings: ClipSettings = read(config, path)?;
        Ok(match settings {
            ClipSettings { clip_value: Some(clip_value), ref r#type, .. } if r#type == "value" => {
                ClipGrad::Value { clip_value }
            }
            settings => ClipGrad::Norm {
                max_norm: settings.max_norm.unwrap_or(f64::INFINITY),
                norm_type: settings.order().unwrap_or(2.0),
                error_if_nonfinite: settings.error_if_nonfinite,
            },
        })
    }
}

pub(crate) fn declared() -> Vec<Declared> {
    vec![Declared::of::<ClipSettings>()]
}
