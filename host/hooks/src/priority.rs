//! Where a hook stands among others, and what its error and its slowness mean for the run. Knows nothing of hooks
//! themselves.

use std::str::FromStr;
use std::time::Duration;

/// When a hook is called, compared with others at the same point: smaller is earlier.
///
/// Source: `mmengine/hooks/priority` names and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(pub i64);

impl Priority {
    /// MMEngine's default.
    pub const NORMAL: Priority = Priority(50);

    /// The level's name with its number for lists: `VERY_HIGH` or `48`.
    pub fn label(self) -> String {
        match NAMES.iter().find(|(_, value)| *value == self.0) {
            Some((name, _)) => (*name).to_owned(),
            None => self.0.to_string(),
        }
    }
}

const NAMES: [(&str, i64); 9] = [
    ("HIGHEST", 0),
    ("VERY_HIGH", 10),
    ("HIGH", 30),
    ("ABOVE_NORMAL", 40),
    ("NORMAL", 50),
    ("BELOW_NORMAL", 60),
    ("LOW", 70),
    ("VERY_LOW", 90),
    ("LOWEST", 100),
];

impl FromStr for Priority {
    type Err = String;

    fn from_str(text: &str) -> Result<Priority, String> {
        let upper = text.to_ascii_uppercase();
        match NAMES.iter().find(|(name, _)| *name == upper) {
            Some((_, value)) => Ok(Priority(*value)),
            None => {
                let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
                Err(format!(
                    "expected one of {} or a number from 0 to 100, found \"{text}\"",
                    known.join(", ")
                ))
            }
        }
    }
}

/// What happens when a hook returns an error or panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The run ends with the error.
    #[default]
    Stop,
    /// The hook is not called again.
    Disable,
    /// The error is logged and the hook is called again; a hook that panicked is not.
    Warn,
}

/// How long a call of a hook may take, and what it means when it takes longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HookDeadline {
    /// `deadline_s`: the longest that a call may take.
    pub after: Duration,
    /// `on_deadline`: whether the run ends then; otherwise it is told and goes on.
    pub stops_run: bool,
}

/// What a hook's failings mean for the run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HookPolicy {
    /// What its errors mean.
    pub on_error: OnError,
    /// How long it may take.
    pub deadline: Option<HookDeadline>,
}

impl From<OnError> for HookPolicy {
    fn from(on_error: OnError) -> HookPolicy {
        HookPolicy { on_error, deadline: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_have_mmengines_names_in_any_case() {
        assert_eq!("very_high".parse(), Ok(Priority(10)));
        assert_eq!(Priority(48).label(), "48");
        assert_eq!(Priority(70).label(), "LOW");
        assert!("urgent".parse::<Priority>().unwrap_err().contains("VERY_LOW"));
    }
}
