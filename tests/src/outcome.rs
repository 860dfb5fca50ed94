//! How a run ended and what it said, with the questions that tests ask. Knows nothing of how it was started.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The command, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Outcome {
    /// The exit code as a shell shows it: 128 plus the signal's number for a killed program.
    pub fn code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|signal| 128 + signal)).unwrap()
    }

    /// Fails with everything that the program said unless it ended with this code.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Outcome {
        assert_eq!(self.code(), code, "{self}");
        self
    }

    /// Fails unless stderr says all of these.
    #[track_caller]
    pub fn expect_error(&self, fragments: &[&str]) -> &Outcome {
        for fragment in fragments {
            assert!(self.stderr.contains(fragment), "expected on stderr: {fragment}\n{self}");
        }
        self
    }

    /// Fails unless stdout or stderr says all of these.
    #[track_caller]
    pub fn expect_text(&self, fragments: &[&str]) -> &Outcome {
        let text = self.text();
        for fragment in fragments {
            assert!(text.contains(fragment), "expected: {fragment}\n{self}");
        }
        self
    }

    /// Everything it said.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The one error that it ended with: from `error: ` to the end of stderr.
    ///
    /// Fails when there is none, more than one, or the text of a panic that nobody caught.
    #[track_caller]
    pub fn error(&self) -> &str {
        assert!(!self.stderr.contains("RUST_BACKTRACE"), "a panic reached the end\n{self}");
        let starts: Vec<usize> = self
            .stderr
            .match_indices("error: ")
            .map(|(at, _)| at)
            .filter(|at| *at == 0 || self.stderr.as_bytes()[at - 1] == b'\n')
            .collect();
        match starts.as_slice() {
            [at] => self.stderr[*at..].trim_end(),
            other => panic!("expected one error, found {}\n{self}", other.len()),
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\nended with {}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.status, self.stdout, self.stderr
        )
    }
}
