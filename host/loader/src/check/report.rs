//! What came out of a check, and the lines in which the child tells it. Knows nothing of processes.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How one step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepVerdict {
    /// As it should.
    Fine,
    /// Something that the author may mean so, such as an error about a run that is none.
    Remark,
    /// A defect of the plugin.
    Wrong,
}

/// One step of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckStep {
    /// What was done: `load`, `EMAHook after_train_iter`.
    pub at: String,
    /// How it went.
    pub verdict: StepVerdict,
    /// What there is to say of it; may be empty.
    pub text: String,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckEnd {
    /// All steps were done.
    Finished,
    /// The process ended in the middle.
    Crashed {
        /// The step that it was in.
        at: String,
        /// `SIGSEGV`, `ended the process with exit code 3`.
        how: String,
    },
    /// A step did not end in time.
    Hung {
        /// The step that it was in.
        at: String,
        /// The deadline.
        after: Duration,
    },
    /// The process was ended from outside, by somebody or by a system without memory; says nothing of the plugin.
    Inconclusive {
        /// The step that it was in.
        at: String,
        /// `SIGKILL`.
        how: String,
    },
    /// This process was asked to end before the child did.
    Stopped {
        /// The number of the signal.
        signal: i32,
    },
}

/// All that a check found out.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    /// The steps that were done, in order.
    pub steps: Vec<CheckStep>,
    /// How it ended.
    pub end: CheckEnd,
    /// The last of what the plugin wrote to its standard error and output.
    pub said: String,
}

/// Before the first step no code of the plugin runs, so what goes wrong then is not its doing.
pub(super) const START: &str = "start";

impl CheckReport {
    /// Whether nothing is wrong with the plugin.
    pub fn is_sound(&self) -> bool {
        let is_wrong = |step: &CheckStep| step.verdict == StepVerdict::Wrong;
        self.end == CheckEnd::Finished && !self.steps.iter().any(is_wrong)
    }

    /// What is to be remembered of it, "crashed (SIGSEGV) at EMAHook construct": only what would take a run with it.
    pub fn worth_remembering(&self) -> Option<String> {
        match &self.end {
            CheckEnd::Finished | CheckEnd::Inconclusive { .. } | CheckEnd::Stopped { .. } => None,
            CheckEnd::Crashed { at, .. } | CheckEnd::Hung { at, .. } if at == START => None,
            CheckEnd::Crashed { at, how } => Some(format!("crashed ({how}) at {at}")),
            CheckEnd::Hung { at, after } => {
                Some(format!("hung (more than {} s) at {at}", after.as_secs_f64()))
            }
        }
    }
}

/// One line of the child.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Event {
    /// A step begins.
    Begin(String),
    /// It ended.
    End(CheckStep),
    /// All steps are done.
    Finished,
}

#[cfg(test)]
mod tests {
    use super::{CheckEnd, CheckReport, CheckStep, START, StepVerdict};
    use std::time::Duration;

    fn report(verdict: StepVerdict, end: CheckEnd) -> CheckReport {
        let step = CheckStep { at: "load".to_owned(), verdict, text: String::new() };
        CheckReport { steps: vec![step], end, said: String::new() }
    }

    #[test]
    fn only_what_would_take_a_run_with_it_is_remembered() {
        let wrong = report(StepVerdict::Wrong, CheckEnd::Finished);
        assert!(!wrong.is_sound() && wrong.worth_remembering().is_none());
        assert!(report(StepVerdict::Remark, CheckEnd::Finished).is_sound());
        let end = CheckEnd::Hung { at: "load".to_owned(), after: Duration::from_secs(5) };
        let hung = report(StepVerdict::Fine, end);
        assert!(!hung.is_sound());
        assert_eq!(hung.worth_remembering().unwrap(), "hung (more than 5 s) at load");
        let (at, how) = ("load".to_owned(), "SIGKILL".to_owned());
        let killed = report(StepVerdict::Fine, CheckEnd::Inconclusive { at, how });
        assert!(!killed.is_sound() && killed.worth_remembering().is_none());
        let end = CheckEnd::Crashed { at: START.to_owned(), how: "SIGKILL".to_owned() };
        let never_began = report(StepVerdict::Fine, end);
        assert!(!never_began.is_sound() && never_began.worth_remembering().is_none());
    }
}
