//! A job from its start to its exit code: rounds, until one ends well or no restart is left. Knows nothing of what ranks
//! run.

use std::error::Error;
use std::ffi::OsString;

use nix::sys::signal::SigSet;

use crate::ending::{Failure, RoundEnd};
use crate::meeting::{Beginning, Decision, OwnEnd, Peers, RoundPlace, Standing};
use crate::output::{Terminals, say, say_error};
use crate::report::RoundReport;
use crate::roles::Guard;
use crate::round::{Round, RoundRequest};
use crate::signals::{Caught, holding_back, is_sent_by_people, passed_on};
use crate::{LaunchError, LaunchPlan};

/// What ranks run, as far as the launcher must know it to start it again.
pub trait Program {
    /// Whether a job that ended with this code may end otherwise the next time.
    fn is_worth_a_restart(&self, code: u8) -> bool {
        let _ = code;
        true
    }

    /// What this job has saved last, from which it would go on.
    fn saved(&self) -> Option<String> {
        None
    }

    /// The arguments of a restart, and a word on where it goes on. `saved` is what the job has saved as far as the launchers
    /// of all machines know: one that was started again while the job ran has not seen it.
    fn restarted(&self, arguments: &[OsString], saved: Option<&str>) -> (Vec<OsString>, String) {
        let _ = saved;
        (arguments.to_vec(), "from its beginning, as far as this program knows".to_owned())
    }

    /// Signals that it is started with blocked, and unblocks once it can do what they ask for: none of them is lost while it
    /// is loaded. None for a program that does not.
    fn held_signals(&self) -> SigSet {
        SigSet::empty()
    }
}

/// A program of which nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyProgram;

impl Program for AnyProgram {}

/// Runs a job and returns its exit code: 0 when all ranks ended with it; 75 when ranks saved and ask to be started again;
/// 128+n when signal n ended them as it was asked to; else the code of the first rank that failed.
///
/// The calling thread must live as long as the job, and the program must begin with [`play_role`](crate::play_role).
/// SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 of the whole process are caught meanwhile, and every child of it
/// that ends is waited for.
///
/// What ranks and launcher said is on the terminal then, which takes as long as its reader takes. Of a job that was asked to
/// end it takes no longer than [`Patience::grace`](crate::Patience::grace), and a signal ends it in any case.
///
/// Why a job cannot be started is said in the same way, and the code is that of [`LaunchError::exit_code`].
///
/// Errors: no thread, or no signals, to begin with.
pub fn launch(plan: &LaunchPlan, program: &dyn Program) -> Result<u8, LaunchError> {
    let terminals = Terminals::start()?;
    let caught = Caught::start()?;
    let JobEnd { code, is_asked } = run(plan, program, &caught).unwrap_or_else(|error| {
        // Whoever told it later might wait without end for a terminal that stands still.
        say_error(&error);
        let is_asked = matches!(error, LaunchError::Interrupted { .. });
        JobEnd { code: error.exit_code(), is_asked }
    });
    terminals.let_readers_read(&caught, is_asked.then_some(plan.patience.grace));
    Ok(code)
}

/// How a job ended.
struct JobEnd {
    code: u8,
    /// Whether somebody asked it to.
    is_asked: bool,
}

fn run(plan: &LaunchPlan, program: &dyn Program, caught: &Caught) -> Result<JobEnd, LaunchError> {
    let folder = std::fs::create_dir_all(&plan.log_dir)
        .map_err(|source| LaunchError::File { path: plan.log_dir.clone(), source });
    if let (Err(error), true) = (&folder, plan.nnodes > 1) {
        // The other machines are told before this launcher ends, and may not be there yet.
        say(&cannot_start(plan, error));
    }
    // Whoever signals all processes of a job, as SLURM does, means the ranks; the guard stays until the launcher is gone.
    let guard = holding_back(&passed_on(), Guard::start)?;
    let peers = Peers::meet(plan, caught)?;
    let mut job = Job { plan, program, caught, guard, peers, is_asked: false };
    let ended = folder.and_then(|()| job.run());
    if let Err(error) = &ended {
        job.leave(error);
    }
    ended.map(|code| JobEnd { code, is_asked: job.is_asked })
}

struct Job<'a> {
    plan: &'a LaunchPlan,
    program: &'a dyn Program,
    caught: &'a Caught,
    guard: Guard,
    peers: Peers,
    /// Whether somebody asked it to end while its ranks ran.
    is_asked: bool,
}

impl Job<'_> {
    fn run(&mut self) -> Result<u8, LaunchError> {
        let plan = self.plan;
        if plan.sets_threads {
            say(
                "OMP_NUM_THREADS is not set: set to 1 for each rank, so that ranks do not crowd each other out",
            );
        }
        let mut standing = Standing::default();
        let mut last: Option<RoundReport> = None;
        loop {
            let place = match self.peers.begin(plan, standing.clone(), self.caught) {
                Ok(Beginning::Round(place)) => place,
                Ok(Beginning::Over { code, reason }) => {
                    say(&format!("the job is over: {reason} (exit code {code})"));
                    return Ok(code);
                }
                Err(error) => return self.ended_between(error, standing, last),
            };
            let has_news = standing != place.standing;
            standing = place.standing.clone();
            let (arguments, where_from) = self.arguments(&standing);
            if has_news {
                say(&format!("restart {}: the job goes on {where_from}", standing.restart));
            }
            let report = self.round(&place, &arguments, standing.restart)?;
            let (report, decision, reason) = self.decision(report, standing.restart);
            self.is_asked |= report.asked.is_some();
            if let Decision::Over(code) = decision {
                report.tell_end(code, &reason);
                return Ok(code);
            }
            standing.restart += 1;
            standing.saved = self.program.saved().or(standing.saved);
            let (_, where_from) = self.arguments(&standing);
            say(&format!(
                "restart {} of {}: the job goes on {where_from}",
                standing.restart, plan.max_restarts
            ));
            last = Some(report);
        }
    }

    fn arguments(&self, standing: &Standing) -> (Vec<OsString>, String) {
        let Standing { restart, saved } = standing;
        match restart {
            0 => (self.plan.arguments.clone(), String::new()),
            _ => self.program.restarted(&self.plan.arguments, saved.as_deref()),
        }
    }

    fn round(
        &mut self,
        place: &RoundPlace,
        arguments: &[OsString],
        restart: u32,
    ) -> Result<RoundReport, LaunchError> {
        tell_start(self.plan, place, restart);
        let request = RoundRequest { plan: self.plan, place, arguments, restart };
        let (guard, held) = (&mut self.guard, self.program.held_signals());
        let round = holding_back(&held, || Round::start(&request, guard))?;
        Ok(round.watch(self.caught, &mut self.peers, &mut self.guard))
    }

    /// What comes next, and why; machine 0 decides, and a machine that has lost it.
    fn decision(
        &mut self,
        mut report: RoundReport,
        restart: u32,
    ) -> (RoundReport, Decision, String) {
        let RoundReport { end, asked, caught, .. } = report;
        let summary = self.peers.sum_up(OwnEnd { end, asked, caught }, self.caught);
        (report.end, report.asked) = (summary.end, summary.asked);
        if let Some(failure) = summary.failure {
            report.adopt(failure);
        }
        let decision = summary.decision.unwrap_or_else(|| self.decide(restart, &report));
        let reason = match (decision, summary.reason) {
            (Decision::Again, _) => String::new(),
            (_, Some(heard)) => heard,
            (Decision::Over(code), None) => report.reason(code, self.program.saved().as_deref()),
        };
        self.peers.announce(decision, &reason);
        (report, decision, reason)
    }

    fn decide(&self, restart: u32, report: &RoundReport) -> Decision {
        let code = report.end.exit_code(report.failure.as_ref());
        let max_restarts = self.plan.max_restarts;
        let has_failed = report.end == RoundEnd::Failed && report.asked.is_none();
        if !has_failed || max_restarts == 0 {
            return Decision::Over(code);
        }
        let why = if self.peers.has_left() {
            "a machine cannot run its ranks".to_owned()
        } else if !self.program.is_worth_a_restart(code) {
            format!("what exit code {code} means does not change by itself")
        } else if restart >= max_restarts {
            format!("no restart is left (--max-restarts {max_restarts})")
        } else {
            return Decision::Again;
        };
        say(&format!("not started again: {why}"));
        Decision::Over(code)
    }

    /// The job cannot begin, or not again: then the reason of the last round's end counts, where machines have lost each other.
    fn ended_between(
        &mut self,
        error: LaunchError,
        standing: Standing,
        last: Option<RoundReport>,
    ) -> Result<u8, LaunchError> {
        match (error, last) {
            (
                error @ (LaunchError::MachinesMissing { .. } | LaunchError::NoLauncher { .. }),
                Some(RoundReport { failure: Some(failure), end, asked, caught }),
            ) => {
                say(&format!("not started again: {}", told(&error)));
                let (code, summary) = (failure.code, failure.summary.clone());
                self.peers.leave(Failure { summary, details: Vec::new(), code });
                let report = RoundReport { failure: Some(failure), end, asked, caught };
                report.tell_end(code, &report.reason(code, None));
                Ok(code)
            }
            (LaunchError::Interrupted { signal, machine: None, saved }, _) => {
                let error = LaunchError::Interrupted { signal, machine: None, saved };
                // Where no rank has run yet, what moves machines about may have ended this launcher, and starts it elsewhere.
                match standing.restart > 0 || is_sent_by_people(signal) {
                    true => self.peers.ask(signal, false),
                    false => self.peers.go_away(error.to_string()),
                }
                Err(knowing(error, standing))
            }
            (error, _) => Err(knowing(error, standing)),
        }
    }

    /// The other machines hear why this one ends.
    fn leave(&mut self, error: &LaunchError) {
        let number = self.plan.node_rank;
        let summary = match error {
            // Another machine said so, or comes again; machine 0 takes the job with it.
            LaunchError::CannotJoin { .. } | LaunchError::NoLauncher { .. } => return,
            LaunchError::Interrupted { .. } if number > 0 => return,
            LaunchError::Interrupted { machine: None, .. } => format!("machine 0: {}", told(error)),
            LaunchError::Interrupted { .. }
            | LaunchError::MachinesMissing { .. }
            | LaunchError::MachineLeft { .. } => told(error),
            error => cannot_start(self.plan, error),
        };
        let failure = Failure { summary, details: Vec::new(), code: error.exit_code() };
        self.peers.leave(failure.clone());
        let may_come =
            !matches!(error, LaunchError::Interrupted { .. } | LaunchError::MachinesMissing { .. });
        if may_come {
            self.peers.tell_late(self.plan, &failure, self.caught);
        }
    }
}

fn cannot_start(plan: &LaunchPlan, error: &LaunchError) -> String {
    format!("machine {} cannot start its ranks: {}", plan.node_rank, told(error))
}

/// The error of a job that has come so far.
fn knowing(error: LaunchError, standing: Standing) -> LaunchError {
    match error {
        LaunchError::Interrupted { signal, machine, saved } => {
            LaunchError::Interrupted { signal, machine, saved: saved.or(standing.saved) }
        }
        error => error,
    }
}

/// An error with its cause, in one line.
fn told(error: &LaunchError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn tell_start(plan: &LaunchPlan, place: &RoundPlace, restart: u32) {
    let ranks = match (plan.ranks_here, place.world_size) {
        (1, 1) => "1 rank".to_owned(),
        (here, all) if here == all => format!("{all} ranks"),
        (1, all) => format!("rank {} of {all}", place.first_rank),
        (here, all) => {
            format!("ranks {} to {} of {all}", place.first_rank, place.first_rank + here - 1)
        }
    };
    let busy = if plan.nnodes == 1 && place.master.port != plan.master.port && restart == 0 {
        format!(" (port {} is not free)", plan.master.port)
    } else {
        String::new()
    };
    say(&format!("{ranks} at {}{busy}, their output in {}", place.master, plan.log_dir.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_is_asked_to_end_between_two_rounds_says_whether_it_saved() {
        for (signal, saved, code, words) in [
            (
                10,
                Some("w/epoch_2"),
                75,
                "SIGUSR1 before the ranks were started again; the same command with --resume goes on from w/epoch_2",
            ),
            (15, Some("w/epoch_2"), 75, "SIGTERM before"),
            (2, Some("w/epoch_2"), 130, "SIGINT before"),
            (10, None, 138, "ended by SIGUSR1 before the ranks were started"),
        ] {
            let standing = Standing { restart: 1, saved: saved.map(str::to_owned) };
            let error =
                knowing(LaunchError::Interrupted { signal, machine: None, saved: None }, standing);
            assert_eq!(error.exit_code(), code, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
