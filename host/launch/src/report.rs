//! What a round came to on one machine, and which failure is told where several machines had one. Knows nothing of ranks
//! that run.

use crate::ending::{Failure, RoundEnd};
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
