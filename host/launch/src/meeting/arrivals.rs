//! Launchers that connect to machine 0 and do not take part yet: strangers, and those whose place is not free yet. Knows
//! nothing of rounds.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::link::Link;
use super::message::Message;
use crate::output::say;

/// What was on its way when another launcher came with the same number.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// A launcher that said who it is.
pub(super) struct Arrival {
    pub(super) node_rank: u32,
    pub(super) link: Link,
    /// What it said after that.
    pub(super) said: Vec<Message>,
    came: Instant,
    is_told: bool,
}

/// The meeting's door.
pub(super) struct Arrivals {
    listener: TcpListener,
    nnodes: u32,
    silence: Duration,
    /// Connections whose first line has not come.
    strangers: Vec<Link>,
    waiting: Vec<Arrival>,
}

impl Arrivals {
    /// The listener does not block.
    pub(super) fn new(listener: TcpListener, nnodes: u32, silence: Duration) -> Arrivals {
        Arrivals { listener, nnodes, silence, strangers: Vec::new(), waiting: Vec::new() }
    }

    /// Those whose place is free. `heard` is when a machine that holds a place was heard of last: one that is heard of after
    /// another one came for its place is there, and the other one is refused; one that is gone makes room.
    pub(super) fn admit(&mut self, heard: impl Fn(u32) -> Option<Instant>) -> Vec<Arrival> {
        while let Ok((stream, _)) = self.listener.accept() {
            self.strangers.extend(Link::new(stream, self.silence));
        }
        for link in std::mem::take(&mut self.strangers) {
            self.get_to_know(link);
        }
        let mut admitted: Vec<Arrival> = Vec::new();
        for mut arrival in std::mem::take(&mut self.waiting) {
            let said = arrival.link.receive();
            arrival.said.extend(said);
            let number = arrival.node_rank;
            // One that came to say why it does not take part may be gone already.
            let has_gone = arrival.link.lost().is_some();
            if has_gone && !(arrival.leaves() && heard(number).is_none()) {
                continue;
            }
            match heard(number) {
                None if admitted.iter().all(|other| other.node_rank != number) => {
                    admitted.push(arrival);
                }
                Some(heard) if heard > arrival.came + ON_ITS_WAY => {
                    let problem = format!("node rank {number} is taken by another machine");
                    refuse(number, &mut arrival.link, problem);
                }
                _ => {
                    arrival.tell_to_wait(
                        "another launcher of it is connected, which may be gone without a word",
                    );
                    self.waiting.push(arrival);
                }
            }
        }
        admitted
    }

    /// The first line of a connection says who it is; more may have come with it.
    fn get_to_know(&mut self, mut link: Link) {
        let mut messages = link.receive().into_iter();
        let (node_rank, nnodes, version) = match messages.next() {
            Some(Message::Hello { node_rank, nnodes, version }) => (node_rank, nnodes, version),
            None if link.lost().is_none() => return self.strangers.push(link),
            _ => return,
        };
        match self.problem_of(node_rank, nnodes, &version) {
            Some(problem) => refuse(node_rank, &mut link, problem),
            None => {
                let (said, came) = (messages.collect(), Instant::now());
                self.waiting.push(Arrival { node_rank, link, said, came, is_told: false });
            }
        }
    }

    fn problem_of(&self, node_rank: u32, nnodes: u32, version: &str) -> Option<String> {
        let ours = env!("CARGO_PKG_VERSION");
        if version != ours {
            return Some(format!("expected version {ours} of the launcher, found {version}"));
        }
        if nnodes != self.nnodes {
            return Some(format!("expected --nnodes {}, found {nnodes}", self.nnodes));
        }
        let is_wrong = node_rank == 0 || node_rank >= nnodes;
        is_wrong
            .then(|| format!("expected a node rank from 1 to {}, found {node_rank}", nnodes - 1))
    }

    /// All that wait.
    pub(super) fn links(&mut self) -> impl Iterator<Item = &mut Link> {
        self.waiting.iter_mut().map(|arrival| &mut arrival.link)
    }
}

impl Arrival {
    fn leaves(&self) -> bool {
        let leaves = |message: &Message| {
            matches!(message, Message::Leaving { .. } | Message::Away { .. } | Message::Ask { .. })
        };
        self.said.iter().any(leaves)
    }

    /// Says so here and there, once.
    pub(super) fn tell_to_wait(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_told, true) {
            say(&format!("machine {} came again and waits: {why}", self.node_rank));
            self.link.send(&Message::Wait { why: why.to_owned() });
        }
    }
}

fn refuse(node_rank: u32, link: &mut Link, problem: String) {
    say(&format!("machine {node_rank} is refused: {problem}"));
    link.send(&Message::Refused { problem });
}
