//! Bounds on what a configuration may cost: a file from the internet is data, and may be hostile.
//!
//! Knows nothing of the language.

use crate::error::Problem;
use crate::tree::Key;

/// Longest file that is read, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 2 << 20;
/// Deepest nesting of values and expressions.
pub(crate) const MAX_DEPTH: usize = 150;
/// Longest chain of bases.
pub(crate) const MAX_BASE_DEPTH: usize = 32;
/// Most files in one chain.
pub(crate) const MAX_FILES: usize = 256;

const MAX_STEPS: u64 = 2_000_000;
const MAX_BYTES: u64 = 40 << 20;

/// How many bytes or elements one step may look at or move.
const WORK_PER_STEP: usize = 64;

/// What parsing a byte costs, in bytes looked at.
const WORK_PER_PARSED_BYTE: usize = 8;

/// What one element of a list or dict is taken to weigh, in bytes.
const ELEMENT_BYTES: u64 = 64;

/// What is left to be spent while one configuration is resolved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    steps: u64,
    bytes: u64,
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self { steps: MAX_STEPS, bytes: MAX_BYTES }
    }

    /// What trials that nobody asked for may cost, all together.
    pub(crate) fn of_trials() -> Self {
        Self { steps: MAX_STEPS, bytes: 8 * MAX_BYTES }
    }

    /// Pays for reading a file's grammar.
    pub(crate) fn parse(&mut self, bytes: usize) -> Result<(), Problem> {
        self.work(bytes.saturating_mul(WORK_PER_PARSED_BYTE))
    }

    /// Pays for one evaluated expression or compared element.
    pub(crate) fn step(&mut self) -> Result<(), Problem> {
        self.steps = self
            .steps
            .checked_sub(1)
            .ok_or(Problem::Limit { what: "number of evaluation steps", limit: MAX_STEPS })?;
        Ok(())
    }

    /// Pays for looking at, or moving, so many bytes or elements.
    pub(crate) fn work(&mut self, count: usize) -> Result<(), Problem> {
        let steps = (count / WORK_PER_STEP) as u64;
        self.steps = self
            .steps
            .checked_sub(steps)
            .ok_or(Problem::Limit { what: "number of evaluation steps", limit: MAX_STEPS })?;
        Ok(())
    }

    /// Pays for looking keys up, or putting them into another dict.
    pub(crate) fn keys<'a>(
        &mut self,
        mut keys: impl Iterator<Item = &'a Key>,
    ) -> Result<(), Problem> {
        keys.try_for_each(|key| self.work(key.as_str().map_or(0, str::len)))
    }

    /// Pays for text before it is made.
    pub(crate) fn text(&mut self, bytes: usize) -> Result<(), Problem> {
        self.spend(bytes as u64)
    }

    /// Pays for elements of lists, tuples and dicts before they are made.
    pub(crate) fn elements(&mut self, count: usize) -> Result<(), Problem> {
        self.spend((count as u64).saturating_mul(ELEMENT_BYTES))
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Problem> {
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .ok_or(Problem::Limit { what: "size of all values in bytes", limit: MAX_BYTES })?;
        Ok(())
    }
}

/// Refuses nesting deeper than [`MAX_DEPTH`].
pub(crate) fn check_depth(depth: usize) -> Result<(), Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::Limit { what: "depth of nesting", limit: MAX_DEPTH as u64 });
    }
    Ok(())
}
