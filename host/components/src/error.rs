//! What can be wrong with a component's dict. Knows nothing of files and lines.

use std::fmt;

/// Everything that is wrong with one dict and what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentError {
    /// Never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Key path: `model.backbone.deepen_factor`.
    pub path: String,
    /// The kind, for programs.
    pub kind: ProblemKind,
    /// Expected, found, way out.
    pub message: String,
}

/// Kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A `type` that nobody has.
    UnknownType,
    /// A `type` that MMDetection has and this version has not.
    NotYet,
    /// A key that the component does not take.
    UnknownKey,
    /// A key that must be there.
    Missing,
    /// A value that does not fit.
    Value,
}

impl Problem {
    /// A problem of this kind at a key path.
    pub fn new(path: impl Into<String>, kind: ProblemKind, message: impl Into<String>) -> Problem {
        Problem { path: path.into(), kind, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl fmt::Display for ComponentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n  " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ComponentError {}

impl From<Problem> for ComponentError {
    fn from(problem: Problem) -> ComponentError {
        ComponentError { problems: vec![problem] }
    }
}
