//! Where files come from: the local disk alone. Knows nothing of what is read.

use serde_json::Value;
use snaphook_components::{ComponentError, data::FileClient, read};

/// Refuses other storage than the local disk; `owner` is who has the `backend_args`.
pub(crate) fn check_storage(
    backend_args: Option<&Value>,
    owner: &str,
) -> Result<(), ComponentError> {
    let Some(value) = backend_args else { return Ok(()) };
    let FileClient { backend: _ } = read(value, &format!("{owner}.backend_args"))?;
    Ok(())
}
