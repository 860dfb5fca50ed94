//! How the launchers of a job's machines talk: when to begin, which rank comes first where, that one failed, and how it
//! ends. Machine 0 decides. Knows nothing of processes.
//!
//! ```text
//! machine 1                      machine 0
//!    │ hello, ready ──────────────► │   each round
//!    │ ◄────────────────────── start│
//!    │ failed ────────────────────► │   when a rank fails here
//!    │ ◄─────────────────────── stop│   … or there
//!    │ ◄──────────────────────► ask │   when one is asked to end
//!    │ ended ─────────────────────► │
//!    │ ◄──────────────── again, over│
//! ```
//!
//! A launcher that died and was started again takes part in the next round. A machine that loses machine 0 looks for it again.

mod arrivals;
mod follower;
mod leader;
mod link;
mod message;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ending::{Failure, RoundEnd};
use crate::port::ClaimedPort;
use crate::roles::reap_orphans;
use crate::signals::Caught;
use crate::{Endpoint, LaunchError, LaunchPlan};

use follower::Follower;
use leader::Leader;

/// How often the launchers look at what came.
const PAUSE: Duration = Duration::from_millis(10);

/// How far a job has come, as far as a launcher knows: one that was started again knows less than the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// 0 at first.
    pub(crate) restart: u32,
    /// What the job has saved last.
    pub(crate) saved: Option<String>,
}

impl Standing {
    fn and(&mut self, other: Standing) {
        self.restart = self.restart.max(other.restart);
        self.saved = self.saved.take().or(other.saved);
    }
}

/// The ranks of this machine in a round.
pub(crate) struct RoundPlace {
    pub(crate) first_rank: u32,
    pub(crate) world_size: u32,
    pub(crate) master: Endpoint,
    /// As far as all machines know.
    pub(crate) standing: Standing,
    /// Held, so that no other job on the master's machine takes it.
    _claim: Option<ClaimedPort>,
}

/// What a machine waited for.
pub(crate) enum Beginning {
    Round(RoundPlace),
    /// The job came to its end without this machine.
    Over {
        code: u8,
        reason: String,
    },
}

/// What machine 0 decided after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Again,
    Over(u8),
}

/// What another machine says while ranks run here.
pub(crate) enum News {
    Failed(Failure),
    /// Machine 0 is gone: why the job failed, if nothing else is.
    Lost(Failure),
    /// Its launcher was asked to end with this signal.
    Asked {
        signal: i32,
        at_once: bool,
    },
}

/// How a round ended on this machine.
pub(crate) struct OwnEnd {
    pub(crate) end: RoundEnd,
    /// The last signal that asked for an end, wherever it came from.
    pub(crate) asked: Option<i32>,
    /// The last one that this launcher caught.
    pub(crate) caught: Option<i32>,
}

/// How a round ended on all machines, as far as this one knows.
pub(crate) struct Summary {
    pub(crate) end: RoundEnd,
    /// The last signal that asked for an end on any machine.
    pub(crate) asked: Option<i32>,
    /// Of another machine, heard of when the ranks here had ended; it counts for all.
    pub(crate) failure: Option<Failure>,
    /// What comes next, if that is decided elsewhere or by a second Ctrl-C.
    pub(crate) decision: Option<Decision>,
    /// Why there is nothing to come, in the words of machine 0.
    pub(crate) reason: Option<String>,
}

/// The other machines.
pub(crate) enum Peers {
    Alone,
    Leader(Leader),
    Follower(Follower),
}

impl Peers {
    /// Machine 0 listens, others connect.
    pub(crate) fn meet(plan: &LaunchPlan, caught: &Caught) -> Result<Peers, LaunchError> {
        match (plan.nnodes, plan.node_rank) {
            (1, _) => Ok(Peers::Alone),
            (_, 0) => Ok(Peers::Leader(Leader::listen(plan, caught)?)),
            _ => Ok(Peers::Follower(Follower::connect(plan, caught)?)),
        }
    }

    /// Waits for all machines; then each knows its ranks. `standing` is how far the job has come as this machine knows it.
    pub(crate) fn begin(
        &mut self,
        plan: &LaunchPlan,
        standing: Standing,
        caught: &Caught,
    ) -> Result<Beginning, LaunchError> {
        match self {
            Peers::Alone => {
                let claim = ClaimedPort::from(plan.master.port)?;
                let master = Endpoint { host: plan.master.host.clone(), port: claim.port };
                let (first_rank, world_size) = (0, plan.ranks_here);
                let _claim = Some(claim);
                let place = RoundPlace { first_rank, world_size, master, standing, _claim };
                Ok(Beginning::Round(place))
            }
            Peers::Leader(leader) => leader.begin(plan, standing, caught).map(Beginning::Round),
            Peers::Follower(follower) => follower.begin(plan, &standing, caught),
        }
    }

    /// What another machine says; to be called often.
    pub(crate) fn news(&mut self) -> Option<News> {
        match self {
            Peers::Alone => None,
            Peers::Leader(leader) => leader.news(),
            Peers::Follower(follower) => follower.news(),
        }
    }

    /// Tells the others of the first failure.
    pub(crate) fn tell(&mut self, failure: &Failure) {
        match self {
            Peers::Alone => {}
            Peers::Leader(leader) => leader.stop(failure),
            Peers::Follower(follower) => follower.tell(failure),
        }
    }

    /// Tells the others that somebody had the job end, or end at once.
    pub(crate) fn ask(&mut self, signal: i32, at_once: bool) {
        match self {
            Peers::Alone => {}
            Peers::Leader(leader) => leader.pass_on(signal, at_once, None),
            Peers::Follower(follower) => follower.ask(signal, at_once),
        }
    }

    /// Waits for the end of the round on all machines, and on all but machine 0 for what it decides.
    pub(crate) fn sum_up(&mut self, own: OwnEnd, caught: &Caught) -> Summary {
        match self {
            Peers::Alone => {
                let OwnEnd { end, asked, .. } = own;
                Summary { end, asked, failure: None, decision: None, reason: None }
            }
            Peers::Leader(leader) => leader.end_round(&own, caught),
            Peers::Follower(follower) => follower.await_decision(&own, caught),
        }
    }

    /// Whether a machine has said that it will not take part in another round.
    pub(crate) fn has_left(&self) -> bool {
        matches!(self, Peers::Leader(leader) if leader.has_left())
    }

    /// Machine 0 says what it decided, and why.
    pub(crate) fn announce(&mut self, decision: Decision, reason: &str) {
        if let Peers::Leader(leader) = self {
            leader.announce(decision, reason);
        }
    }

    /// This launcher ends, since it cannot do its part; `code` is what the job ends with when it is machine 0.
    pub(crate) fn leave(&mut self, failure: Failure) {
        match self {
            Peers::Alone => {}
            Peers::Leader(leader) => leader.leave(&failure),
            Peers::Follower(follower) => follower.leave(failure),
        }
    }

    /// Machine 0 has left: those that have not come yet hear it when they come.
    pub(crate) fn tell_late(&mut self, plan: &LaunchPlan, failure: &Failure, caught: &Caught) {
        if let Peers::Leader(leader) = self {
            leader.tell_late(plan, failure, caught);
        }
    }

    /// This launcher was ended before its ranks were started, and its machine may come again.
    pub(crate) fn go_away(&mut self, why: String) {
        if let Peers::Follower(follower) = self {
            follower.go_away(why);
        }
    }
}

/// The next signal, or `None` after a moment. No ranks run meanwhile, so that all children that have ended are orphans.
fn next_signal(caught: &Caught) -> Option<i32> {
    let signal = caught.next(PAUSE);
    reap_orphans(|_| false);
    signal
}
