//! Which parts of a checkpoint are published at the end of a training. Knows nothing of checkpoints.

use snaphook_plugin_api::prelude::*;

/// The parts of a checkpoint by MMEngine's names.
const PARTS: [&str; 6] =
    ["meta", "state_dict", "optimizer", "param_schedulers", "message_hub", "ema_state_dict"];

/// The parts that `published_keys` names; empty for none.
///
/// Errors: anything else than names of parts.
pub(super) fn parts(published_keys: Option<&Json>) -> Result<Vec<String>, HookError> {
    let wrong = |found: &Json| {
        let text = format!("published_keys: expected a name or a list of names, found {found}");
        HookError::fatal(text)
    };
    let keys = match published_keys {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::String(key)) => vec![key.clone()],
        Some(Json::Array(keys)) => {
            let text = |key: &Json| key.as_str().map(str::to_owned).ok_or_else(|| wrong(key));
            keys.iter().map(text).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(wrong(other)),
    };
    match keys.iter().find(|key| !PARTS.contains(&key.as_str())) {
        Some(key) => {
            let expected = PARTS.join(", ");
            let text = format!("published_keys: expected some of {expected}, found {key}");
            Err(HookError::fatal(text))
        }
        None => Ok(keys),
    }
}
