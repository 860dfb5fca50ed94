//! How the launchers of a job's machines talk: when to begin, which rank comes first where, that one failed, and how it
//! ends. Machine 0 decides. Knows nothing of processes.
//!
//! ```text
//! machine 1                      machine 0
//!    │ hello, ready ──────────────► │   each round
//!    │ ◄────────────────────── start│
//!    │ failed ────────────────────► │   when a rank fails here
//!    │ ◄─────────────────────── stop│   … or there
//!    │ ended ─────────────────────► │
//!    │ ◄──────────────── again, over│
//! ```

mod follower;
mod leader;
mod link;
mod message;

use std::time::Duration;

use crate::ending::{Failure, RoundEnd};
use crate::port::ClaimedPort;
use crate::signals::Caught;
use crate::{Endpoint, LaunchError, LaunchPlan};

use follower::Follower;
use leader::Leader;

/// How often the launchers look at what came.
const PAUSE: Duration = Duration::from_millis(10);

/// The ranks of this machine in a round.
pub(crate) struct RoundPlace {
    pub(crate) first_rank: u32,
    pub(crate) world_size: u32,
    pub(crate) master: Endpoint,
    /// Held, so that no other job on the master's machine takes it.
    _claim: Option<ClaimedPort>,
}

/// What machine 0 decided after a round.
pub(crate) enum Decision {
    Again,
    Over(u8),
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
            (_, 0) => Ok(Peers::Leader(Leader::listen(plan)?)),
            _ => Ok(Peers::Follower(Follower::connect(plan, caught)?)),
        }
    }

    /// Waits for all machines; then each knows its ranks.
    pub(crate) fn begin(
        &mut self,
        plan: &LaunchPlan,
        round: u32,
        caught: &Caught,
    ) -> Result<RoundPlace, LaunchError> {
        match self {
            Peers::Alone => {
                let claim = ClaimedPort::from(plan.master.port)?;
                let master = Endpoint { host: plan.master.host.clone(), port: claim.port };
                let (first_rank, world_size) = (0, plan.ranks_here);
                Ok(RoundPlace { first_rank, world_size, master, _claim: Some(claim) })
            }
            Peers::Leader(leader) => leader.begin(plan, round, caught),
            Peers::Follower(follower) => follower.begin(plan, caught),
        }
    }

    /// A failure on another machine, once; to be called often.
    pub(crate) fn news(&mut self) -> Option<Failure> {
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

    /// The end of the round on all machines; a failure elsewhere may come with it.
    pub(crate) fn end_round(
        &mut self,
        end: RoundEnd,
        caught: &Caught,
    ) -> (RoundEnd, Option<Failure>) {
        match self {
            Peers::Leader(leader) => leader.end_round(end, caught),
            Peers::Alone | Peers::Follower(_) => (end, None),
        }
    }

    /// What comes next: machine 0 says what it decided, the others hear it.
    pub(crate) fn conclude(
        &mut self,
        decided: Decision,
        end: RoundEnd,
        caught: &Caught,
    ) -> (Decision, Option<Failure>) {
        match self {
            Peers::Alone => (decided, None),
            Peers::Leader(leader) => {
                leader.announce(&decided);
                (decided, None)
            }
            Peers::Follower(follower) => follower.await_decision(end, caught),
        }
    }
}
