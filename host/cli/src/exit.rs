//! The exit codes of every Snaphook program. Knows nothing of what went wrong, only of its kind.

/// How a program ends, as the shell sees it.
///
/// A program that a signal ends shows 128 plus the signal's number; the shell makes that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All was done.
    Done = 0,
    /// A config, plugin, checkpoint or data file is wrong or missing.
    Input = 1,
    /// The command line is wrong.
    Usage = 2,
    /// It failed while training or testing.
    Training = 3,
    /// The state was saved; the same command goes on from there (`EX_TEMPFAIL`).
    StartAgain = 75,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let all = [Exit::Done, Exit::Input, Exit::Usage, Exit::Training, Exit::StartAgain];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 75]);
    }
}
