//! What a config says of processes that train together. Knows nothing of how they talk.

use serde_json::Value as Json;

use crate::RunError;

/// How ranks work together; MMDetection's settings where a config says nothing.
///
/// Source: `wrap_model` and `set_randomness` of MMEngine's `Runner`, `MMDistributedDataParallel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RankSettings {
    /// Whether a backward pass may leave out parameters.
    pub find_unused_parameters: bool,
    /// Whether all ranks take over rank 0's buffers before each forward pass.
    pub broadcast_buffers: bool,
    /// Whether what models draw at random differs between ranks.
    pub differs_in_seed: bool,
}

impl RankSettings {
    /// Reads `find_unused_parameters`, `model_wrapper_cfg` and `randomness.diff_rank_seed`.
    ///
    /// Errors: a value that is no truth value; another wrapper than one that keeps the whole model on each rank.
    pub fn from_config(config: &Json) -> Result<RankSettings, RunError> {
        let wrapper = &config["model_wrapper_cfg"];
        if let Some(name) = wrapper["type"].as_str()
            && !name.ends_with("DistributedDataParallel")
        {
            let message = format!(
                "expected MMDistributedDataParallel, which keeps the whole model on each rank, found {name}"
            );
            return Err(RunError::config("model_wrapper_cfg.type", message));
        }
        let in_wrapper = |key: &str| flag(&wrapper[key], &format!("model_wrapper_cfg.{key}"));
        let unused = match in_wrapper("find_unused_parameters")? {
            Some(unused) => Some(unused),
            None => flag(&config["find_unused_parameters"], "find_unused_parameters")?,
        };
        let differs = &config["randomness"]["diff_rank_seed"];
        Ok(RankSettings {
            find_unused_parameters: unused.unwrap_or(false),
            broadcast_buffers: in_wrapper("broadcast_buffers")?.unwrap_or(false),
            differs_in_seed: flag(differs, "randomness.diff_rank_seed")?.unwrap_or(false),
        })
    }
}

fn flag(value: &Json, key: &str) -> Result<Option<bool>, RunError> {
    match value {
        Json::Null => Ok(None),
        Json::Bool(value) => Ok(Some(*value)),
        other => Err(RunError::config(key, format!("expected True or False, found {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_wrapper_s_own_settings_go_first() {
        let config = json!({"find_unused_parameters": false, "randomness": {"diff_rank_seed": true},
            "model_wrapper_cfg": {"type": "MMDistributedDataParallel", "find_unused_parameters": true}});
        let expected = RankSettings {
            find_unused_parameters: true,
            broadcast_buffers: false,
            differs_in_seed: true,
        };
        assert_eq!(RankSettings::from_config(&config).unwrap(), expected);
        assert_eq!(RankSettings::from_config(&json!({})).unwrap(), RankSettings::default());
        let error = |config| RankSettings::from_config(&config).unwrap_err().to_string();
        assert_eq!(
            error(json!({"find_unused_parameters": 1})),
            "find_unused_parameters: expected True or False, found 1"
        );
        assert!(
            error(json!({"model_wrapper_cfg": {"type": "MMFullyShardedDataParallel"}}))
                .starts_with("model_wrapper_cfg.type: expected MMDistributedDataParallel")
        );
    }
}
