//! Where a value was written: file and line.
//!
//! Knows nothing of what the values are.

use std::fmt;
use std::path::{Path, PathBuf};

/// The name that stands in for a file where a value came from an override.
pub(crate) const OVERRIDES: &str = "--cfg-options";

/// The place that wrote a value last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, or `--cfg-options` for an override.
    pub file: PathBuf,
    /// The line, from 1; for an override its place among the overrides, from 1.
    pub line: u32,
}

impl Location {
    /// Whether an override wrote it; the line is then its place among them.
    pub fn is_override(&self) -> bool {
        self.file == Path::new(OVERRIDES)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_override() {
            write!(f, "{OVERRIDES}, option {}", self.line)
        } else {
            write!(f, "{}, line {}", self.file.display(), self.line)
        }
    }
}

/// A location by number, small enough to stand beside every value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) file: u32,
    pub(crate) line: u32,
}

/// The files that numbers in [`At`] stand for; number 0 is the overrides.
#[derive(Clone, Debug)]
pub(crate) struct Files(Vec<PathBuf>);

impl Files {
    pub(crate) fn new() -> Self {
        Self(vec![PathBuf::from(OVERRIDES)])
    }

    pub(crate) fn add(&mut self, path: &Path) -> u32 {
        self.0.push(path.to_path_buf());
        self.0.len() as u32 - 1
    }

    pub(crate) fn locate(&self, at: At) -> Location {
        let file = self.0.get(at.file as usize).cloned().unwrap_or_default();
        Location { file, line: at.line }
    }

    /// The files proper, in the order in which they were opened.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.0[1..]
    }
}

/// Finds line numbers of ascending or random byte offsets in a text.
pub(crate) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn new(text: &str) -> Self {
        let after_breaks =
            text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        Self { starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// The byte offset at which a line begins.
    pub(crate) fn start(&self, line: usize) -> Option<usize> {
        self.starts.get(line.checked_sub(1)?).copied()
    }

    pub(crate) fn line(&self, offset: usize) -> u32 {
        self.starts.partition_point(|start| *start <= offset) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one() {
        let lines = Lines::new("a\nbc\n\nd");
        let found: Vec<u32> = [0, 1, 2, 4, 5, 6].map(|offset| lines.line(offset)).into();
        assert_eq!(found, [1, 1, 2, 2, 3, 4]);
    }

    #[test]
    fn overrides_and_files_read_differently() {
        let mut files = Files::new();
        let file = files.add(Path::new("a.py"));
        assert_eq!(files.locate(At { file, line: 3 }).to_string(), "a.py, line 3");
        assert_eq!(files.locate(At { file: 0, line: 2 }).to_string(), "--cfg-options, option 2");
    }
}
