//! `auto_scale_lr`: a learning rate that is meant for another batch size. Knows nothing of loops.
//!
//! Source: MMEngine 0.10.7 `runner/runner.py`, `scale_lr`.

use serde_json::Value as Json;
use snaphook_components::{ComponentError, Problem, ProblemKind};

/// Which batch size the learning rate is meant for, and which the run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoScale {
    /// The batch size that the config's learning rate is meant for.
    pub base_batch_size: u64,
    /// Samples of an iteration over all processes.
    pub batch_size: u64,
}

impl AutoScale {
    /// Reads `auto_scale_lr` and the batch size of a config; `None` where it is not enabled.
    ///
    /// Errors: enabled without `base_batch_size`, or a data loader without `batch_size`.
    pub fn read(config: &Json) -> Result<Option<AutoScale>, ComponentError> {
        let section = &config["auto_scale_lr"];
        if section["enable"] != Json::Bool(true) {
            return Ok(None);
        }
        let size = |value: &Json, key: &str| {
            value.as_u64().filter(|size| *size > 0).ok_or_else(|| {
                let message = format!(
                    "expected a whole number above 0 (auto_scale_lr.enable needs it), found {value}"
                );
                Problem::new(key, ProblemKind::Value, message)
            })
        };
        Ok(Some(AutoScale {
            base_batch_size: size(&section["base_batch_size"], "auto_scale_lr.base_batch_size")?,
            batch_size: size(
                &config["train_dataloader"]["batch_size"],
                "train_dataloader.batch_size",
            )?,
        }))
    }

    /// The same with as many processes, each with a batch of that size.
    pub fn over_ranks(self, ranks: u64) -> AutoScale {
        AutoScale { batch_size: self.batch_size * ranks, ..self }
    }

    /// What learning rates are multiplied with.
    pub fn factor(&self) -> f64 {
        self.batch_size as f64 / self.base_batch_size as f64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_rate_is_scaled_by_the_batch_size() {
        let config = |enable| json!({"auto_scale_lr": {"enable": enable, "base_batch_size": 64}, "train_dataloader": {"batch_size": 16}});
        assert_eq!(AutoScale::read(&config(false)).unwrap(), None);
        assert_eq!(AutoScale::read(&json!({})).unwrap(), None);
        let scale = AutoScale::read(&config(true)).unwrap().unwrap();
        assert_eq!(scale.factor(), 0.25);
        assert_eq!(scale.over_ranks(8).factor(), 2.0);
        let error = AutoScale::read(&json!({"auto_scale_lr": {"enable": true}})).unwrap_err();
        assert!(error.to_string().starts_with("auto_scale_lr.base_batch_size: expected"));
    }
}
