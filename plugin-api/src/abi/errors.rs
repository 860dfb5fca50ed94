//! Errors of a hook as text over the border. Knows nothing of who failed.

use super::{status, Sink};
use crate::error::Location;
use crate::host::printable;
use crate::{HookError, HookErrorKind};
use serde_json::{json, Value as Json};

/// Puts an error into a sink; the status to answer with.
///
/// # Safety
/// The sink must be alive.
pub(crate) unsafe fn put(error: &HookError, why: Sink) -> u32 {
    let (file, line) = match &error.location {
        Some(place) => (json!(place.file), json!(place.line)),
        None => (Json::Null, Json::Null),
    };
    let text = json!({
        "kind": error.kind.name(),
        "message": error.message,
        "file": file,
        "line": line,
        "backtrace": error.backtrace,
    });
    // SAFETY: the caller's promise.
    unsafe { why.put(&text.to_string()) };
    match error.kind {
        HookErrorKind::Panic => status::PANICKED,
        HookErrorKind::Unsupported => status::UNSUPPORTED,
        _ => status::FAILED,
    }
}

/// The error that a plugin put, JSON or plain text.
pub fn read_error(code: u32, text: &str) -> HookError {
    let given: Json = serde_json::from_str(text).unwrap_or_default();
    let kind = match (given["kind"].as_str(), code) {
        (Some(kind), _) => HookErrorKind::from_name(kind),
        (None, status::PANICKED) => HookErrorKind::Panic,
        (None, status::UNSUPPORTED) => HookErrorKind::Unsupported,
        (None, _) => HookErrorKind::Error,
    };
    let message = match given["message"].as_str() {
        Some(message) => message.to_owned(),
        None if text.is_empty() => "the plugin gave no reason".to_owned(),
        None => text.to_owned(),
    };
    let location = given["file"].as_str().map(|file| Location {
        file: printable(file),
        line: given["line"].as_u64().unwrap_or(0).min(u64::from(u32::MAX)) as u32,
    });
    let mut error = HookError::with_kind(kind, printable(&message)).at(location);
    error.backtrace = given["backtrace"].as_str().map(str::to_owned);
    error
}

#[cfg(test)]
mod tests {
    use super::{put, read_error};
    use crate::abi::{status, Sink};
    use crate::{HookError, HookErrorKind};

    #[test]
    fn errors_survive_the_border() {
        let error = HookError::fatal("loss \"became\" NaN");
        let mut text = String::new();
        // SAFETY: `text` is alive.
        let code = unsafe { put(&error, Sink::to(&mut text)) };
        assert_eq!(read_error(code, &text), error);
    }

    #[test]
    fn plain_text_of_a_plugin_in_c_is_the_message() {
        let error = read_error(status::PANICKED, "out of memory");
        assert_eq!((error.kind, error.message.as_str()), (HookErrorKind::Panic, "out of memory"));
        assert_eq!(read_error(status::FAILED, "").message, "the plugin gave no reason");
    }
}
