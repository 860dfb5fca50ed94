//! The launcher of machine 0: waits for the others, and decides. Knows nothing of processes.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::link::Link;
use super::message::Message;
use super::{Decision, PAUSE, RoundPlace};
use crate::ending::{FAILED, Failure, RoundEnd, signal_name};
use crate::output::say;
use crate::port::{ClaimedPort, listen};
use crate::signals::Caught;
use crate::{Endpoint, LaunchError, LaunchPlan};

/// Another machine.
struct Machine {
    link: Link,
    /// Its ranks, once they may start.
    ready: Option<u32>,
    ended: Option<RoundEnd>,
}

impl Machine {
    fn hear(&mut self, message: Message, first_failure: &mut Option<Failure>) {
        match message {
            Message::Ready { ranks } => self.ready = Some(ranks),
            Message::Failed { failure } => {
                first_failure.get_or_insert(failure);
            }
            Message::Ended { end } => self.ended = Some(end),
            _ => {}
        }
    }
}

/// Machine 0.
pub(crate) struct Leader {
    listener: TcpListener,
    nnodes: u32,
    /// Connections whose first line has not come.
    strangers: Vec<Link>,
    machines: BTreeMap<u32, Machine>,
    failure: Option<Failure>,
    is_told: bool,
    silence: Duration,
}

impl Leader {
    pub(super) fn listen(plan: &LaunchPlan) -> Result<Leader, LaunchError> {
        let port = plan.master.port;
        let listener = listen(port).map_err(|source| LaunchError::PortBusy { port, source })?;
        let what = "the meeting of the launchers cannot be watched";
        listener.set_nonblocking(true).map_err(|source| LaunchError::System { what, source })?;
        Ok(Leader {
            listener,
            nnodes: plan.nnodes,
            strangers: Vec::new(),
            machines: BTreeMap::new(),
            failure: None,
            is_told: false,
            silence: plan.patience.peers,
        })
    }

    pub(super) fn begin(
        &mut self,
        plan: &LaunchPlan,
        round: u32,
        caught: &Caught,
    ) -> Result<RoundPlace, LaunchError> {
        (self.failure, self.is_told) = (None, false);
        self.machines.values_mut().for_each(|machine| machine.ended = None);
        let began = Instant::now();
        let others = plan.nnodes - 1;
        if round == 0 {
            say(&format!("waiting at {} for {others} of {} machines", plan.master, plan.nnodes));
        }
        while self.machines.values().filter(|machine| machine.ready.is_some()).count()
            < others as usize
        {
            self.look();
            if began.elapsed() > plan.patience.join {
                let is_here = |number: &u32| {
                    self.machines.get(number).is_some_and(|machine| machine.ready.is_some())
                };
                let missing = (1..plan.nnodes).filter(|number| !is_here(number)).collect();
                let seconds = plan.patience.join.as_secs_f64();
                return Err(LaunchError::MachinesMissing { nnodes: plan.nnodes, missing, seconds });
            }
            if let Some(signal) = caught.next(PAUSE) {
                return Err(LaunchError::Interrupted { signal });
            }
        }
        // Of a machine that left while it was waited for and came again.
        self.failure = None;
        let claim = ClaimedPort::from(plan.master.port.checked_add(1).unwrap_or(1024))?;
        let counts = self.machines.values().filter_map(|machine| machine.ready);
        let world_size = plan.ranks_here + counts.sum::<u32>();
        let mut first_rank = plan.ranks_here;
        for machine in self.machines.values_mut() {
            let port = claim.port;
            machine.link.send(&Message::Start { first_rank, world_size, port });
            first_rank += machine.ready.take().unwrap_or_default();
        }
        let master = Endpoint { host: plan.master.host.clone(), port: claim.port };
        Ok(RoundPlace { first_rank: 0, world_size, master, _claim: Some(claim) })
    }

    /// Takes in what came, from known machines and new ones.
    fn look(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            self.strangers.extend(Link::new(stream, self.silence));
        }
        for link in std::mem::take(&mut self.strangers) {
            self.get_to_know(link);
        }
        let mut gone = Vec::new();
        for (number, machine) in &mut self.machines {
            for message in machine.link.receive() {
                machine.hear(message, &mut self.failure);
            }
            if let Some(why) = machine.link.lost() {
                gone.push((*number, why.to_owned(), machine.ended.is_some()));
            }
        }
        for (number, why, has_ended) in gone {
            self.machines.remove(&number);
            if !has_ended {
                self.failure.get_or_insert(Failure {
                    summary: format!("the launcher of machine {number} is gone: {why}"),
                    details: Vec::new(),
                    code: FAILED,
                });
            }
        }
    }

    /// The first line of a connection says who it is; more may have come with it.
    fn get_to_know(&mut self, mut link: Link) {
        let mut messages = link.receive().into_iter();
        let (node_rank, nnodes, version) = match messages.next() {
            Some(Message::Hello { node_rank, nnodes, version }) => (node_rank, nnodes, version),
            None if link.lost().is_none() => return self.strangers.push(link),
            _ => return,
        };
        if let Some(problem) = self.problem_of(node_rank, nnodes, &version) {
            say(&format!("machine {node_rank} is refused: {problem}"));
            link.send(&Message::Refused { problem });
            return;
        }
        let mut machine = Machine { link, ready: None, ended: None };
        messages.for_each(|message| machine.hear(message, &mut self.failure));
        self.machines.insert(node_rank, machine);
    }

    fn problem_of(&self, node_rank: u32, nnodes: u32, version: &str) -> Option<String> {
        let ours = env!("CARGO_PKG_VERSION");
        if version != ours {
            return Some(format!("expected version {ours} of the launcher, found {version}"));
        }
        if nnodes != self.nnodes {
            return Some(format!("expected --nnodes {}, found {nnodes}", self.nnodes));
        }
        if node_rank == 0 || node_rank >= nnodes {
            return Some(format!(
                "expected a node rank from 1 to {}, found {node_rank}",
                nnodes - 1
            ));
        }
        let is_taken = self.machines.contains_key(&node_rank);
        is_taken.then(|| format!("node rank {node_rank} is taken by another machine"))
    }

    pub(super) fn news(&mut self) -> Option<Failure> {
        self.look();
        let failure = self.failure.clone().filter(|_| !self.is_told)?;
        self.stop(&failure);
        Some(failure)
    }

    pub(super) fn stop(&mut self, failure: &Failure) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        self.failure.get_or_insert_with(|| failure.clone());
        let message = Message::Stop { failure: failure.clone() };
        self.machines.values_mut().for_each(|machine| machine.link.send(&message));
    }

    /// Waits for the ranks of all machines to end.
    pub(super) fn end_round(
        &mut self,
        mine: RoundEnd,
        caught: &Caught,
    ) -> (RoundEnd, Option<Failure>) {
        let before = self.failure.clone();
        loop {
            if self.failure.is_some() && !self.is_told {
                self.news();
            }
            self.look();
            if self.machines.values().all(|machine| machine.ended.is_some()) {
                break;
            }
            if let Some(signal) = caught.next(PAUSE) {
                say(&format!(
                    "{}: the ranks of this machine have ended, waiting for the other machines",
                    signal_name(signal)
                ));
            }
        }
        let ends = self.machines.values().filter_map(|machine| machine.ended);
        let all = ends.fold(mine, RoundEnd::and);
        let all = if self.failure.is_some() { RoundEnd::Failed } else { all };
        (all, self.failure.clone().filter(|_| before.is_none()))
    }

    pub(super) fn announce(&mut self, decision: &Decision) {
        let message = match decision {
            Decision::Again => Message::Again,
            Decision::Over(code) => Message::Over { code: *code },
        };
        self.machines.values_mut().for_each(|machine| machine.link.send(&message));
    }
}
