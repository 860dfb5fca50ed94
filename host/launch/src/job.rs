//! A job from its start to its exit code: rounds, until one ends well or no restart is left. Knows nothing of what ranks
//! run.

use std::ffi::OsString;

use nix::sys::signal::SigSet;

use crate::ending::{Failure, RoundEnd};
use crate::meeting::{Decision, Peers};
use crate::output::say;
use crate::roles::Guard;
use crate::round::{Round, RoundReport, RoundRequest};
use crate::signals::{Caught, holding_back, passed_on};
use crate::{LaunchError, LaunchPlan};

/// What ranks run, as far as the launcher must know it to start it again.
pub trait Program {
    /// Whether a job that ended with this code may end otherwise the next time.
    fn is_worth_a_restart(&self, code: u8) -> bool {
        let _ = code;
        true
    }

    /// The arguments of a restart, and a word on where it goes on.
    fn restarted(&self, arguments: &[OsString]) -> (Vec<OsString>, String) {
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
/// SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 of the whole process are caught meanwhile.
///
/// Errors: a job that cannot be started.
pub fn launch(plan: &LaunchPlan, program: &dyn Program) -> Result<u8, LaunchError> {
    std::fs::create_dir_all(&plan.log_dir)
        .map_err(|source| LaunchError::File { path: plan.log_dir.clone(), source })?;
    let caught = Caught::start()?;
    // Whoever signals all processes of a job means the ranks.
    let mut guard = holding_back(&passed_on(), Guard::start)?;
    let mut peers = Peers::meet(plan, &caught)?;
    if plan.sets_threads {
        say(
            "OMP_NUM_THREADS is not set: set to 1 for each rank, so that ranks do not crowd each other out",
        );
    }
    let mut arguments = plan.arguments.clone();
    for restart in 0.. {
        let place = peers.begin(plan, restart, &caught)?;
        tell_start(plan, &place, restart);
        let request = RoundRequest { plan, place: &place, arguments: &arguments, restart };
        let start = || Round::start(&request, &mut guard);
        let round = holding_back(&program.held_signals(), start)?;
        let mut report = round.watch(&caught, &mut peers, &mut guard);
        let (end, elsewhere) = peers.end_round(report.end, &caught);
        report.end = end;
        tell_late(&mut report, elsewhere);
        let decided = decide(plan, program, restart, &report);
        let (decision, elsewhere) = peers.conclude(decided, report.end, &caught);
        tell_late(&mut report, elsewhere);
        match decision {
            Decision::Over(code) => {
                tell_end(&report, code);
                return Ok(code);
            }
            Decision::Again => {
                let (next, where_from) = program.restarted(&plan.arguments);
                say(&format!(
                    "restart {} of {}: the job goes on {where_from}",
                    restart + 1,
                    plan.max_restarts
                ));
                arguments = next;
            }
        }
    }
    unreachable!("there is no last restart")
}

/// A failure of another machine that became known after the ranks of this one had ended.
fn tell_late(report: &mut RoundReport, elsewhere: Option<Failure>) {
    if let Some(failure) = elsewhere
        && report.failure.is_none()
    {
        say(&failure.summary);
        report.failure = Some(failure);
    }
}

fn tell_start(plan: &LaunchPlan, place: &crate::meeting::RoundPlace, restart: u32) {
    let ranks = match (plan.ranks_here, place.world_size) {
        (1, 1) => "1 rank".to_owned(),
        (here, all) if here == all => format!("{all} ranks"),
        (here, all) => {
            format!("ranks {} to {} of {all}", place.first_rank, place.first_rank + here - 1)
        }
    };
    let busy = if plan.nnodes == 1 && place.master.port != plan.master.port && restart == 0 {
        format!(" (port {} is busy)", plan.master.port)
    } else {
        String::new()
    };
    say(&format!("{ranks} at {}{busy}, their output in {}", place.master, plan.log_dir.display()));
}

fn decide(
    plan: &LaunchPlan,
    program: &dyn Program,
    restart: u32,
    report: &RoundReport,
) -> Decision {
    let code = report.end.exit_code(report.failure.as_ref());
    let has_failed = report.end == RoundEnd::Failed && report.asked.is_none();
    if !has_failed || plan.max_restarts == 0 {
        return Decision::Over(code);
    }
    if !program.is_worth_a_restart(code) {
        say(&format!("not started again: what exit code {code} means does not change by itself"));
        return Decision::Over(code);
    }
    if restart >= plan.max_restarts {
        say(&format!(
            "not started again: no restart is left (--max-restarts {})",
            plan.max_restarts
        ));
        return Decision::Over(code);
    }
    Decision::Again
}

/// The reason once more, below whatever the other ranks said while they ended.
fn tell_end(report: &RoundReport, code: u8) {
    match (&report.failure, report.end) {
        (Some(failure), _) => say(&format!("failed: {} (exit code {code})", failure.summary)),
        (None, RoundEnd::Saved) => {
            say(&format!(
                "all ranks ended as they were asked to, with what they had saved; the same command with --resume goes on (exit code {code})"
            ));
        }
        _ => {}
    }
}
