//! What a hook answers when it cannot go on. Knows nothing of how the host reacts.

use crate::host::ServiceError;
use std::fmt;

/// How serious an error of a hook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HookErrorKind {
    /// The hook failed; the run's policy for this hook decides what happens.
    Error,
    /// The run must end, on every rank, whatever the policy says.
    Fatal,
    /// The hook panicked; it is not called again.
    Panic,
    /// The host lacks something that the hook asked for.
    Unsupported,
}

impl HookErrorKind {
    /// The word that crosses the border.
    pub const fn name(self) -> &'static str {
        match self {
            HookErrorKind::Error => "error",
            HookErrorKind::Fatal => "fatal",
            HookErrorKind::Panic => "panic",
            HookErrorKind::Unsupported => "unsupported",
        }
    }

    /// The kind with this name; a word of a newer side reads as [`HookErrorKind::Error`].
    pub fn from_name(name: &str) -> HookErrorKind {
        match name {
            "fatal" => HookErrorKind::Fatal,
            "panic" => HookErrorKind::Panic,
            "unsupported" => HookErrorKind::Unsupported,
            _ => HookErrorKind::Error,
        }
    }
}

/// A place in a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, as the compiler saw it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// Why a hook did not do its work.
///
/// `?` makes one out of a [`ServiceError`], text, and the errors of `std` and `serde_json` that hooks
/// meet; any other error goes through [`HookError::from_error`].
///
/// ```
/// use snaphook_plugin_api::HookError;
/// let error = HookError::fatal("loss became infinite or NaN");
/// assert_eq!(error.to_string(), "loss became infinite or NaN");
/// assert!(error.location.is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HookError {
    /// How serious it is.
    pub kind: HookErrorKind,
    /// What happened, in one sentence.
    pub message: String,
    /// Where in the hook's source, when it is known.
    pub location: Option<Location>,
    /// The frames of a panic, when `RUST_BACKTRACE` asked for them.
    pub backtrace: Option<String>,
}

impl HookError {
    /// An error of the hook; the run's policy decides what happens.
    #[track_caller]
    pub fn new(message: impl Into<String>) -> HookError {
        HookError::with_kind(HookErrorKind::Error, message)
    }

    /// An error that ends the run on every rank.
    #[track_caller]
    pub fn fatal(message: impl Into<String>) -> HookError {
        HookError::with_kind(HookErrorKind::Fatal, message)
    }

    /// An error of the given kind.
    #[track_caller]
    pub fn with_kind(kind: HookErrorKind, message: impl Into<String>) -> HookError {
        let caller = std::panic::Location::caller();
        let location = Location { file: caller.file().to_owned(), line: caller.line() };
        HookError { kind, message: message.into(), location: Some(location), backtrace: None }
    }

    /// An error of the hook made out of any error, with the chain of its causes.
    #[track_caller]
    pub fn from_error(error: impl std::error::Error) -> HookError {
        HookError::new(chain(&error))
    }

    /// The same error, said to have happened at `location`.
    pub fn at(mut self, location: Option<Location>) -> HookError {
        self.location = location;
        self
    }

    /// Whether the run must end whatever the policy says.
    pub fn is_fatal(&self) -> bool {
        self.kind == HookErrorKind::Fatal
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

impl fmt::Display for HookError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for HookError {}

impl From<String> for HookError {
    #[track_caller]
    fn from(message: String) -> HookError {
        HookError::new(message)
    }
}

impl From<&str> for HookError {
    #[track_caller]
    fn from(message: &str) -> HookError {
        HookError::new(message)
    }
}

impl From<ServiceError> for HookError {
    #[track_caller]
    fn from(error: ServiceError) -> HookError {
        let kind = match error {
            ServiceError::Unsupported(_) => HookErrorKind::Unsupported,
            ServiceError::Failed(_) => HookErrorKind::Error,
        };
        HookError::with_kind(kind, error.to_string())
    }
}

macro_rules! from_standard_errors {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for HookError {
            #[track_caller]
            fn from(error: $error) -> HookError {
                HookError::from_error(error)
            }
        })*
    };
}

from_standard_errors!(
    std::io::Error,
    std::fmt::Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    std::num::TryFromIntError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    std::time::SystemTimeError,
    serde_json::Error,
);

impl From<Box<dyn std::error::Error>> for HookError {
    #[track_caller]
    fn from(error: Box<dyn std::error::Error>) -> HookError {
        HookError::new(chain(error.as_ref()))
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for HookError {
    #[track_caller]
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> HookError {
        HookError::new(chain(error.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::{HookError, HookErrorKind};
    use crate::host::ServiceError;

    #[test]
    fn question_mark_keeps_the_line_and_the_kind() {
        fn fails() -> Result<(), HookError> {
            Err(ServiceError::Unsupported("snaphook.model/1 call".into()))?;
            Ok(())
        }
        let error = fails().unwrap_err();
        assert_eq!(error.kind, HookErrorKind::Unsupported);
        assert!(error.message.contains("snaphook.model/1 call"));
    }

    #[test]
    fn kinds_survive_their_names() {
        for kind in [HookErrorKind::Error, HookErrorKind::Fatal, HookErrorKind::Panic] {
            assert_eq!(HookErrorKind::from_name(kind.name()), kind);
        }
        assert_eq!(HookErrorKind::from_name("of tomorrow"), HookErrorKind::Error);
    }
}
