//! The launcher of any other machine: finds machine 0, and does what it says. Knows nothing of processes.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::link::Link;
use super::message::Message;
use super::{Decision, PAUSE, RoundPlace};
use crate::ending::{FAILED, Failure, RoundEnd};
use crate::output::say;
use crate::signals::Caught;
use crate::{Endpoint, LaunchError, LaunchPlan};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);

/// A machine that is not machine 0.
pub(crate) struct Follower {
    link: Link,
    node_rank: u32,
    /// What came and was not asked for yet.
    waiting: Vec<Message>,
    is_stopped: bool,
}

impl Follower {
    pub(super) fn connect(plan: &LaunchPlan, caught: &Caught) -> Result<Follower, LaunchError> {
        say(&format!("machine {} looks for machine 0 at {}", plan.node_rank, plan.master));
        let began = Instant::now();
        let mut last;
        loop {
            match attempt(&plan.master, plan.patience.peers) {
                Ok(mut link) => {
                    link.send(&Message::Hello {
                        node_rank: plan.node_rank,
                        nnodes: plan.nnodes,
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                    });
                    let (node_rank, waiting, is_stopped) = (plan.node_rank, Vec::new(), false);
                    return Ok(Follower { link, node_rank, waiting, is_stopped });
                }
                Err(error) => last = Some(error),
            }
            if began.elapsed() > plan.patience.join {
                let (master, seconds) = (plan.master.clone(), plan.patience.join.as_secs_f64());
                return Err(LaunchError::NoLauncher { master, seconds, source: last });
            }
            if let Some(signal) = caught.next(BETWEEN_ATTEMPTS) {
                return Err(LaunchError::Interrupted { signal });
            }
        }
    }

    pub(super) fn begin(
        &mut self,
        plan: &LaunchPlan,
        caught: &Caught,
    ) -> Result<RoundPlace, LaunchError> {
        self.is_stopped = false;
        self.link.send(&Message::Ready { ranks: plan.ranks_here });
        loop {
            let mut messages = self.take().into_iter();
            while let Some(message) = messages.next() {
                match message {
                    Message::Start { first_rank, world_size, port } => {
                        // What came with it is about this round already.
                        self.waiting.extend(messages);
                        let master = Endpoint { host: plan.master.host.clone(), port };
                        return Ok(RoundPlace { first_rank, world_size, master, _claim: None });
                    }
                    Message::Refused { problem } => {
                        return Err(LaunchError::CannotJoin { node_rank: self.node_rank, problem });
                    }
                    other => self.waiting.push(other),
                }
            }
            if let Some(why) = self.link.lost() {
                let problem = format!("the launcher of machine 0 is gone: {why}");
                return Err(LaunchError::CannotJoin { node_rank: self.node_rank, problem });
            }
            if let Some(signal) = caught.next(PAUSE) {
                return Err(LaunchError::Interrupted { signal });
            }
        }
    }

    fn take(&mut self) -> Vec<Message> {
        let mut messages = std::mem::take(&mut self.waiting);
        messages.extend(self.link.receive());
        messages
    }

    pub(super) fn news(&mut self) -> Option<Failure> {
        if self.is_stopped {
            return None;
        }
        let mut stop = None;
        for message in self.take() {
            match message {
                Message::Stop { failure } => stop = Some(failure),
                other => self.waiting.push(other),
            }
        }
        let stop = stop.or_else(|| self.link.lost().map(leader_is_gone));
        self.is_stopped |= stop.is_some();
        stop
    }

    pub(super) fn tell(&mut self, failure: &Failure) {
        self.link.send(&Message::Failed { failure: failure.clone() });
    }

    /// Says that all ranks here have ended, and waits for what machine 0 makes of it.
    pub(super) fn await_decision(
        &mut self,
        end: RoundEnd,
        caught: &Caught,
    ) -> (Decision, Option<Failure>) {
        self.link.send(&Message::Ended { end });
        let mut failure = None;
        loop {
            for message in self.take() {
                match message {
                    Message::Stop { failure: theirs } => failure = Some(theirs),
                    Message::Again => return (Decision::Again, failure),
                    Message::Over { code } => return (Decision::Over(code), failure),
                    _ => {}
                }
            }
            if let Some(why) = self.link.lost() {
                let failure = failure.unwrap_or_else(|| leader_is_gone(why));
                return (Decision::Over(failure.code), Some(failure));
            }
            // The ranks of this machine have ended already; a signal can do no more.
            caught.next(PAUSE);
        }
    }
}

fn leader_is_gone(why: &str) -> Failure {
    let summary = format!("the launcher of machine 0 is gone: {why}");
    Failure { summary, details: Vec::new(), code: FAILED }
}

fn attempt(master: &Endpoint, silence: Duration) -> io::Result<Link> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (master.host.as_str(), master.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Link::new(stream, silence),
            Err(error) => last = error,
        }
    }
    Err(last)
}
