//! What several processes need to know of a config and what they cannot do with it, told for one process too: the same
//! config is right or wrong whatever their number. Knows nothing of how they meet.

use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;
use snaphook_components::plain_type;
use snaphook_config::Config;

use super::{Finding, Mark};

const TIMEOUT: &str = "env_cfg.dist_cfg.timeout";

/// How long processes wait for each other, where `env_cfg.dist_cfg.timeout` says it.
///
/// Errors: a value that is no such time, in words without the key.
pub fn dist_timeout(config: &Json) -> Result<Option<Duration>, String> {
    match &config["env_cfg"]["dist_cfg"]["timeout"] {
        Json::Null => Ok(None),
        value => match value.as_f64().filter(|seconds| (1e-3..=1e6).contains(seconds)) {
            Some(seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
            None => Err(format!("expected seconds above 0 and up to 1000000, found {value}")),
        },
    }
}

/// A time that is none.
pub(crate) fn check_timeout(config: &Config) -> Option<Finding> {
    let message = dist_timeout(config.value()).err()?;
    Some(Finding::error("value", TIMEOUT, message).placed(config))
}

/// Norms of all processes where nobody can reach them.
///
/// A file that cannot be read is told when the model is built.
pub(crate) fn check_norms(config: &Config) -> Option<Finding> {
    let (asked, model) = (config.get("sync_bn")?.as_str()?, config.get("model")?);
    if plain_type(model["type"].as_str()?) != "ScriptModel" {
        return None;
    }
    let file = model["file"].as_str()?;
    if !snaphook_pth::script_uses_batch_norm(Path::new(file)).ok()? {
        return None;
    }
    let message = format!(
        "sync_bn={asked:?} cannot reach the batch norms inside of ScriptModel's {file} (leave it out, so that each process \
         normalises by its own samples, or export the model with GroupNorm)"
    );
    Some(Finding::error("value", "sync_bn", message).marked(Mark::Line).placed(config))
}
