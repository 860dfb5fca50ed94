//! How ranks ended, and what follows from it for the job. Knows nothing of processes.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};
pub(crate) use snaphook_heartbeat::words::signal_name;

use crate::signals::is_sent_by_people;

/// The state was saved; the same command goes on from there (`EX_TEMPFAIL`).
pub const START_AGAIN: u8 = 75;
/// A job that failed while its ranks ran, by none of their own exit codes.
pub(crate) const FAILED: u8 = 3;
const SIGNALLED: i32 = 128;

/// How one rank ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RankEnd {
    Code(i32),
    Signal(i32),
}

impl RankEnd {
    pub(crate) fn of(status: ExitStatus) -> RankEnd {
        match (status.code(), status.signal()) {
            (Some(code), _) => RankEnd::Code(code),
            (None, signal) => RankEnd::Signal(signal.unwrap_or_default()),
        }
    }

    /// As a shell shows it.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            RankEnd::Code(code) => u8::try_from(code).unwrap_or(1),
            RankEnd::Signal(signal) => u8::try_from(SIGNALLED + signal).unwrap_or(1),
        }
    }

    /// The signal by which somebody interrupted this rank, as a shell shows it or as it is.
    pub(crate) fn interrupted_by(self) -> Option<i32> {
        let signal = match self {
            RankEnd::Code(code) => code - SIGNALLED,
            RankEnd::Signal(signal) => signal,
        };
        Some(signal).filter(|signal| is_sent_by_people(*signal))
    }

    /// Whether something went wrong, when the job was asked to end with these signals, or not at all.
    pub(crate) fn is_failure(self, asked: &[i32]) -> bool {
        match self {
            RankEnd::Code(0) => false,
            RankEnd::Code(code) if code == i32::from(START_AGAIN) => false,
            RankEnd::Code(code) => !asked.iter().any(|signal| code == SIGNALLED + signal),
            RankEnd::Signal(own) => !asked.contains(&own),
        }
    }
}

impl fmt::Display for RankEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RankEnd::Code(code) => write!(formatter, "ended with exit code {code}"),
            RankEnd::Signal(signal) => write!(formatter, "was ended by {}", signal_name(*signal)),
        }
    }
}

/// Why a job failed: what happened first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// In one line.
    pub(crate) summary: String,
    /// With where it was and what it said last, in lines of their own.
    pub(crate) details: Vec<String>,
    /// The exit code that it means for the job.
    pub(crate) code: u8,
}

/// How a round of the ranks of one machine, or of all, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RoundEnd {
    Done,
    /// Ranks saved and ask to be started again.
    Saved,
    /// Ended by the signal that was passed on to them.
    Signal(i32),
    /// Of a failure, which is told apart.
    Failed,
}

impl RoundEnd {
    /// From the ends of ranks, of which none is a failure.
    pub(crate) fn of(ends: impl IntoIterator<Item = RankEnd>, asked: Option<i32>) -> RoundEnd {
        let worst = ends.into_iter().map(|end| match end {
            RankEnd::Code(0) => RoundEnd::Done,
            RankEnd::Code(code) if code == i32::from(START_AGAIN) => RoundEnd::Saved,
            _ => asked.map_or(RoundEnd::Failed, RoundEnd::Signal),
        });
        worst.fold(RoundEnd::Done, RoundEnd::and)
    }

    /// Of two machines together.
    pub(crate) fn and(self, other: RoundEnd) -> RoundEnd {
        let rank = |end: RoundEnd| match end {
            RoundEnd::Done => 0,
            RoundEnd::Saved => 1,
            RoundEnd::Signal(_) => 2,
            RoundEnd::Failed => 3,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    /// The signal that ended ranks, if none of them failed.
    pub(crate) fn signal(self) -> Option<i32> {
        match self {
            RoundEnd::Signal(signal) => Some(signal),
            _ => None,
        }
    }

    /// The job's exit code; of a failure, its own.
    pub(crate) fn exit_code(self, failure: Option<&Failure>) -> u8 {
        match self {
            RoundEnd::Done => 0,
            RoundEnd::Saved => START_AGAIN,
            RoundEnd::Signal(signal) => RankEnd::Signal(signal).exit_code(),
            RoundEnd::Failed => failure.map_or(1, |failure| failure.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: RankEnd = RankEnd::Code(75);
    const DONE: RankEnd = RankEnd::Code(0);

    #[test]
    fn a_job_ends_as_its_worst_rank() {
        for (ends, asked, expected) in [
            (vec![DONE, DONE], None, 0),
            (vec![SAVED, DONE, SAVED], None, 75),
            (vec![RankEnd::Signal(15), RankEnd::Signal(15)], Some(15), 143),
            (vec![RankEnd::Code(130), DONE], Some(2), 130),
            (vec![SAVED, RankEnd::Signal(10)], Some(10), 138),
        ] {
            assert!(ends.iter().all(|end| !end.is_failure(asked.as_slice())), "{ends:?}");
            assert_eq!(RoundEnd::of(ends.clone(), asked).exit_code(None), expected, "{ends:?}");
        }
    }

    #[test]
    fn a_rank_that_somebody_interrupted_is_known_by_its_end() {
        for (end, signal) in [
            (RankEnd::Code(130), Some(2)),
            (RankEnd::Signal(2), Some(2)),
            (RankEnd::Signal(3), Some(3)),
            (RankEnd::Code(2), None),
            (RankEnd::Signal(15), None),
            (RankEnd::Signal(9), None),
        ] {
            assert_eq!(end.interrupted_by(), signal, "{end}");
        }
    }

    #[test]
    fn a_failure_is_what_nobody_asked_for() {
        assert!(RankEnd::Signal(15).is_failure(&[]));
        assert!(RankEnd::Signal(9).is_failure(&[15]));
        assert!(RankEnd::Code(3).is_failure(&[15]));
        assert!(RankEnd::Code(130).is_failure(&[]));
        assert!(
            !RankEnd::Code(130).is_failure(&[2, 15]),
            "asked twice, and answered the first time"
        );
        assert_eq!(RankEnd::Signal(11).exit_code(), 139);
        assert_eq!(RankEnd::Signal(9).to_string(), "was ended by SIGKILL");
    }
}
