//! One thing that a check found. Knows nothing of how it is shown.

use snaphook_components::run;
use snaphook_config::{Config, Location, Lost};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// The run would not begin, or fail.
    Error,
    /// It would do something else than what was meant, most likely.
    Warning,
}

/// What of a line is marked in the excerpt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The key.
    Key,
    /// The value.
    Value,
    /// The whole line.
    Line,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// The kind, for programs: `unknown-key`.
    pub(crate) code: &'static str,
    /// Dotted key path; empty where there is none.
    pub(crate) key: String,
    /// File and line, where they are known.
    pub(crate) location: Option<Location>,
    /// Expected, found, way out.
    pub(crate) message: String,
    pub(crate) mark: Mark,
}

impl Finding {
    pub(crate) fn error(
        code: &'static str,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> Finding {
        let (key, message) = (key.into(), message.into());
        let (severity, mark) = (Severity::Error, Mark::Value);
        Finding { severity, code, key, location: None, message, mark }
    }

    pub(crate) fn warning(
        code: &'static str,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::error(code, key, message) }
    }

    /// A changed variable that no longer reaches the places that a base had put it; `None` where these are
    /// variables themselves that no run reads.
    pub(crate) fn lost(mut lost: Lost) -> Option<Finding> {
        let known = run::config_keys();
        lost.places.retain(|place| known.iter().any(|key| place.split('.').next() == Some(key)));
        if lost.places.is_empty() {
            return None;
        }
        let finding = Finding::warning("lost-variable", &lost.variable, lost.message());
        Some(Finding { location: Some(lost.changed), ..finding }.marked(Mark::Key))
    }

    pub(crate) fn marked(self, mark: Mark) -> Finding {
        Finding { mark, ..self }
    }

    /// With the place of its key, else that of what holds it.
    pub(crate) fn placed(mut self, config: &Config) -> Finding {
        self.location = locate(config, &self.key);
        self
    }
}

impl Finding {
    /// The finding in one line: place, key, message.
    pub(crate) fn line(&self) -> String {
        let place = self.location.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) };
        format!("{place}{key}{}", self.message)
    }
}

/// The nearest place that is known: the key's own, else that of what holds it.
pub(crate) fn locate(config: &Config, key: &str) -> Option<Location> {
    let holders = std::iter::successors(Some(key), |key| Some(key.rsplit_once('.')?.0));
    holders.into_iter().find_map(|key| config.location(key))
}
