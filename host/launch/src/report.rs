//! What a round came to on one machine, which failure is told where several machines had one, and a job's last words. Knows
//! nothing of ranks that run.

use crate::ending::{Failure, RankEnd, RoundEnd, signal_name};
use crate::output::say;

/// How a round went on this machine.
pub(crate) struct RoundReport {
    pub(crate) end: RoundEnd,
    pub(crate) failure: Option<Failure>,
    /// The last signal that asked for an end, wherever it came from.
    pub(crate) asked: Option<i32>,
    /// The last one that this launcher caught.
    pub(crate) caught: Option<i32>,
}

impl RoundReport {
    /// Machine 0 says what failed first on all machines.
    pub(crate) fn adopt(&mut self, failure: Failure) {
        adopt(&mut self.failure, failure);
    }

    /// Why a job ends with this code. `saved` is what it has saved.
    pub(crate) fn reason(&self, code: u8, saved: Option<&str>) -> String {
        if let Some(failure) = &self.failure {
            return failure.summary.clone();
        }
        let signals = [self.end.signal(), self.asked];
        let is_why = |signal: &i32| code == RankEnd::Signal(*signal).exit_code();
        match (signals.into_iter().flatten().find(is_why), self.end) {
            (Some(signal), _) => {
                let resume =
                    |saved: &str| format!("; the same command with --resume goes on from {saved}");
                let (name, resume) = (signal_name(signal), saved.map_or(String::new(), resume));
                format!("ended by {name}, as somebody asked{resume}")
            }
            (None, RoundEnd::Done) => "all ranks had ended".to_owned(),
            (None, RoundEnd::Saved) => {
                "all ranks ended as they were asked to, with what they had saved; \
                 the same command with --resume goes on"
                    .to_owned()
            }
            (None, RoundEnd::Signal(_) | RoundEnd::Failed) => "the ranks were ended".to_owned(),
        }
    }

    /// The reason once more, below whatever the other ranks said while they ended. `reason` is machine 0's, where it was heard.
    pub(crate) fn tell_end(&self, code: u8, reason: &str) {
        match &self.failure {
            _ if code == 0 => {}
            Some(failure) => say(&format!("failed: {} (exit code {code})", failure.summary)),
            None => say(&format!("{reason} (exit code {code})")),
        }
    }
}

/// What was told here may have failed at the same moment as something elsewhere.
pub(crate) fn adopt(known: &mut Option<Failure>, failure: Failure) {
    match known {
        // With what stood still here, perhaps.
        Some(known) if known.summary.starts_with(&failure.summary) => return,
        Some(_) => say(&format!("first of all machines: {}", failure.summary)),
        None => say(&failure.summary),
    }
    *known = Some(failure);
}

/// Lines below a line.
pub(crate) fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(summary: &str) -> Failure {
        Failure { summary: summary.to_owned(), details: Vec::new(), code: 3 }
    }

    #[test]
    fn what_machine_0_says_counts_and_what_stood_still_here_is_kept() {
        for (known, heard, expected) in [
            (None, "rank 3 ended", "rank 3 ended"),
            (Some("rank 1 ended"), "rank 3 ended", "rank 3 ended"),
            (
                Some("rank 3 ended, and these stand still: rank 1"),
                "rank 3 ended",
                "rank 3 ended, and these stand still: rank 1",
            ),
        ] {
            let mut known = known.map(failure);
            adopt(&mut known, failure(heard));
            assert_eq!(known, Some(failure(expected)));
        }
    }
}
