//! The launcher of any other machine: finds machine 0, and does what it says. Knows nothing of processes.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::link::Link;
use super::message::Message;
use super::{Beginning, Decision, News, OwnEnd, PAUSE, RoundPlace, Standing, Summary};
use crate::ending::{Failure, RoundEnd, signal_name};
use crate::output::say;
use crate::signals::{Caught, INTERRUPT, asks_for_an_end};
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
        let link = find(plan, caught, Instant::now())?;
        Ok(Follower { link, node_rank: plan.node_rank, waiting: Vec::new(), is_stopped: false })
    }

    pub(super) fn begin(
        &mut self,
        plan: &LaunchPlan,
        standing: &Standing,
        caught: &Caught,
    ) -> Result<Beginning, LaunchError> {
        self.is_stopped = false;
        let ready = Message::Ready { ranks: plan.ranks_here, standing: standing.clone() };
        self.link.send(&ready);
        let mut lost_at = None;
        loop {
            let mut messages = self.take().into_iter();
            while let Some(message) = messages.next() {
                if let Message::Start { first_rank, world_size, port, standing } = message {
                    // What came with it is about this round already.
                    self.waiting.extend(messages);
                    let master = Endpoint { host: plan.master.host.clone(), port };
                    let _claim = None;
                    let place = RoundPlace { first_rank, world_size, master, standing, _claim };
                    return Ok(Beginning::Round(place));
                }
                if let Some(over) = self.hear_before_start(message)? {
                    return Ok(over);
                }
            }
            if let Some(why) = self.link.lost() {
                if self.link.is_foreign() {
                    let problem = format!("at {} is no launcher: {why}", plan.master);
                    return Err(LaunchError::CannotJoin { node_rank: self.node_rank, problem });
                }
                lost_at = lost_at.filter(|_| !self.link.has_spoken());
                if lost_at.is_none() {
                    say(&format!("the launcher of machine 0 is gone: {why}; looking for it again"));
                }
                self.link = find(plan, caught, *lost_at.get_or_insert_with(Instant::now))?;
                self.link.send(&ready);
            }
            wait(caught, PAUSE)?;
        }
    }

    fn hear_before_start(&self, message: Message) -> Result<Option<Beginning>, LaunchError> {
        match message {
            Message::Refused { problem } => {
                Err(LaunchError::CannotJoin { node_rank: self.node_rank, problem })
            }
            Message::Over { code, reason } => Ok(Some(Beginning::Over { code, reason })),
            Message::Wait { why } => {
                say(&format!("machine {} waits: {why}", self.node_rank));
                Ok(None)
            }
            // Of the last round.
            _ => Ok(None),
        }
    }

    fn take(&mut self) -> Vec<Message> {
        let mut messages = std::mem::take(&mut self.waiting);
        messages.extend(self.link.receive());
        messages
    }

    pub(super) fn news(&mut self) -> Option<News> {
        let mut news = None;
        for message in self.take() {
            match message {
                Message::Stop { failure } if news.is_none() && !self.is_stopped => {
                    self.is_stopped = true;
                    news = Some(News::Failed(failure));
                }
                Message::Ask { signal, at_once } if news.is_none() => {
                    news = Some(News::Asked { signal, at_once });
                }
                other => self.waiting.push(other),
            }
        }
        if news.is_none() && !self.is_stopped {
            news = self.link.lost().map(leader_is_gone).map(News::Failed);
            self.is_stopped = news.is_some();
        }
        news
    }

    pub(super) fn tell(&mut self, failure: &Failure) {
        self.link.send(&Message::Failed { failure: failure.clone() });
    }

    pub(super) fn ask(&mut self, signal: i32, at_once: bool) {
        self.link.send(&Message::Ask { signal, at_once });
    }

    pub(super) fn leave(&mut self, failure: Failure) {
        self.link.send(&Message::Leaving { failure });
    }

    /// Says that all ranks here have ended, and waits for what machine 0 makes of it; without it there is no decision.
    pub(super) fn await_decision(&mut self, own: &OwnEnd, caught: &Caught) -> Summary {
        let OwnEnd { end, asked, caught: mut here } = *own;
        self.link.send(&Message::Ended { end, asked });
        let mut summary = Summary { end, asked, failure: None, decision: None };
        loop {
            for message in self.take() {
                match message {
                    Message::Stop { failure } => summary.failure = Some(failure),
                    Message::Again => summary.decision = Some(Decision::Again),
                    Message::Ask { signal, .. } if asks_for_an_end(signal) => {
                        summary.asked = Some(signal);
                    }
                    Message::Over { code, .. } => summary.decision = Some(Decision::Over(code)),
                    _ => {}
                }
            }
            if summary.decision.is_some() {
                return summary;
            }
            if let Some(why) = self.link.lost() {
                summary.end = RoundEnd::Failed;
                summary.failure.get_or_insert_with(|| leader_is_gone(why));
                return summary;
            }
            let Some(signal) = caught.next(PAUSE) else { continue };
            let name = signal_name(signal);
            let (is_known, at_once) =
                (here == Some(signal), here == Some(signal) && signal == INTERRUPT);
            if !is_known || at_once {
                self.ask(signal, at_once);
            }
            if at_once {
                say(&format!("{name} again: ending at once, the other machines too"));
                summary.decision = Some(Decision::Over(RoundEnd::Signal(signal).exit_code(None)));
                return summary;
            }
            say(&match is_known {
                true => {
                    format!("{name}: waiting for the other machines (SIGINT twice ends at once)")
                }
                false => format!(
                    "{name}: the ranks of this machine have ended; passed on to the other machines, and waiting for them"
                ),
            });
            here = Some(signal).filter(|signal| asks_for_an_end(*signal)).or(here);
            summary.asked = here.or(summary.asked);
        }
    }
}

fn leader_is_gone(why: &str) -> Failure {
    Failure::of_launchers(format!("the launcher of machine 0 is gone: {why}"))
}

/// Errors: a signal that asks for an end.
fn wait(caught: &Caught, pause: Duration) -> Result<(), LaunchError> {
    match caught.next(pause).filter(|signal| asks_for_an_end(*signal)) {
        Some(signal) => Err(LaunchError::Interrupted { signal, saved: None }),
        None => Ok(()),
    }
}

/// Connects to machine 0, and says who this is.
fn find(plan: &LaunchPlan, caught: &Caught, began: Instant) -> Result<Link, LaunchError> {
    let mut last = None;
    // What answers and leaves again is tried as long as what does not answer.
    while last.is_none() || began.elapsed() <= plan.patience.join {
        match attempt(&plan.master, plan.patience.peers) {
            Ok(mut link) => {
                link.send(&Message::Hello {
                    node_rank: plan.node_rank,
                    nnodes: plan.nnodes,
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                });
                return Ok(link);
            }
            Err(error) => last = Some(error),
        }
        wait(caught, BETWEEN_ATTEMPTS)?;
    }
    let (master, seconds) = (plan.master.clone(), plan.patience.join.as_secs_f64());
    Err(LaunchError::NoLauncher { master, seconds, source: last })
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
