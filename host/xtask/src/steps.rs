//! Runs commands one after the other, with a heading and the time of each.
//!
//! Knows nothing of what the commands are for.

use std::borrow::Cow;
use std::fmt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// One command and what people call it.
pub(crate) struct Step {
    pub(crate) name: Cow<'static, str>,
    pub(crate) command: Command,
}

/// A step that ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) name: Cow<'static, str>,
    pub(crate) elapsed: Duration,
    /// The step's exit code; 0 is success.
    pub(crate) exit_code: u8,
}

/// A step could not be started at all.
#[derive(Debug, thiserror::Error)]
#[error("{program}: cannot start it (is it on PATH?)")]
pub(crate) struct StartError {
    program: String,
    source: std::io::Error,
}

/// The table of all steps, those that did not run included.
pub(crate) struct Summary<'a> {
    pub(crate) all: &'a [Cow<'static, str>],
    pub(crate) outcomes: &'a [Outcome],
}

/// Runs steps until one fails; their output goes straight to ours.
pub(crate) fn run_all(steps: Vec<Step>) -> Result<Vec<Outcome>, StartError> {
    let mut outcomes = Vec::new();
    let count = steps.len();
    for (index, step) in steps.into_iter().enumerate() {
        eprintln!("\n=== {} of {count}: {} ===", index + 1, step.name);
        let outcome = run(step)?;
        eprintln!("=== {} ===", outcome);
        let has_failed = outcome.exit_code != 0;
        outcomes.push(outcome);
        if has_failed {
            break;
        }
    }
    Ok(outcomes)
}

/// Runs one step to its end.
pub(crate) fn run(mut step: Step) -> Result<Outcome, StartError> {
    let started = Instant::now();
    let status = step.command.status().map_err(|source| StartError {
        program: step.command.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    Ok(Outcome { name: step.name, elapsed: started.elapsed(), exit_code: exit_code(status) })
}

/// The shell's convention: 128 and the signal's number for a killed command.
fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = minutes(self.elapsed);
        match self.exit_code {
            0 => write!(f, "{}: ok in {time}", self.name),
            code => write!(f, "{}: failed with exit code {code} after {time}", self.name),
        }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.outcomes.iter().map(|outcome| outcome.elapsed).sum();
        for name in self.all {
            let (result, time) = match self.outcomes.iter().find(|outcome| outcome.name == *name) {
                Some(outcome) if outcome.exit_code == 0 => ("ok", minutes(outcome.elapsed)),
                Some(outcome) => ("FAILED", minutes(outcome.elapsed)),
                None => ("not run", String::new()),
            };
            writeln!(f, "{name:<16} {result:<8} {time:>9}")?;
        }
        write!(f, "{:<16} {:<8} {:>9}", "all", "", minutes(total))
    }
}

fn minutes(time: Duration) -> String {
    let tenths = time.as_millis() / 100;
    match tenths / 600 {
        0 => format!("{}.{} s", tenths / 10, tenths % 10),
        minutes => format!("{minutes} min {:02} s", tenths % 600 / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &'static str, script: &str) -> Step {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Step { name: name.into(), command }
    }

    #[test]
    fn the_first_failure_stops_the_rest_and_keeps_its_code() {
        let steps = vec![shell("one", "exit 0"), shell("two", "exit 7"), shell("three", "exit 0")];
        let outcomes = run_all(steps).unwrap();
        let codes: Vec<u8> = outcomes.iter().map(|outcome| outcome.exit_code).collect();
        assert_eq!(codes, [0, 7]);
    }

    #[test]
    fn a_killed_step_has_the_shells_exit_code() {
        assert_eq!(run(shell("one", "kill -9 $$")).unwrap().exit_code, 137);
    }

    #[test]
    fn the_summary_shows_steps_that_did_not_run() {
        let ok = |name: &'static str, exit_code| Outcome {
            name: name.into(),
            elapsed: Duration::from_millis(1500),
            exit_code,
        };
        let outcomes = [ok("fmt", 0), ok("clippy", 101)];
        let text =
            Summary { all: &["fmt".into(), "clippy".into(), "test".into()], outcomes: &outcomes }
                .to_string();
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["fmt", "ok", "1.5", "s"]);
        assert_eq!(lines[1], ["clippy", "FAILED", "1.5", "s"]);
        assert_eq!(lines[2], ["test", "not", "run"]);
        assert_eq!(lines[3], ["all", "3.0", "s"]);
    }

    #[test]
    fn long_times_are_in_minutes() {
        assert_eq!(minutes(Duration::from_secs(754)), "12 min 34 s");
        assert_eq!(minutes(Duration::from_millis(59_940)), "59.9 s");
    }
}
