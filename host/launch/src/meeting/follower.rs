//! The launcher of any other machine: finds machine 0, and does what it says. Knows nothing of processes.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::link::Link;
use super::message::Message;
use super::{Beginning, Decision, News, OwnEnd, RoundPlace, Standing, Summary, next_signal};
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
    /// Whether it was said that machine 0 is gone.
    is_missed: bool,
    /// Since when machine 0 is looked for, if it has said nothing since.
    sought: Instant,
}

impl Follower {
    pub(super) fn connect(plan: &LaunchPlan, caught: &Caught) -> Result<Follower, LaunchError> {
        say(&format!("machine {} looks for machine 0 at {}", plan.node_rank, plan.master));
        let sought = Instant::now();
        let link = find(plan, caught, sought, None)?;
        let (node_rank, waiting) = (plan.node_rank, Vec::new());
        Ok(Follower { link, node_rank, waiting, is_stopped: false, is_missed: false, sought })
    }

    pub(super) fn begin(
        &mut self,
        plan: &LaunchPlan,
        standing: &Standing,
        caught: &Caught,
    ) -> Result<Beginning, LaunchError> {
        (self.is_stopped, self.is_missed) = (false, false);
        let ready = Message::Ready { ranks: plan.ranks_here, standing: standing.clone() };
        self.link.send(&ready);
        let mut is_told = false;
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
                if self.link.has_spoken() {
                    say(&format!("the launcher of machine 0 is gone: {why}; looking for it again"));
                    self.sought = Instant::now();
                } else if !std::mem::replace(&mut is_told, true) {
                    say(&format!("no launcher at {} yet: {why}; looking for it", plan.master));
                }
                // What answers and leaves again is tried as long as what does not answer.
                let last = io::Error::other(why.to_owned());
                self.link = find(plan, caught, self.sought, Some(last))?;
                self.link.send(&ready);
            }
            wait(caught)?;
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
            news = self.link.lost().map(leader_is_gone).map(News::Lost);
            self.is_stopped = news.is_some();
            self.is_missed = news.is_some();
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

    pub(super) fn go_away(&mut self, why: String) {
        self.link.send(&Message::Away { why });
    }

    /// Says that all ranks here have ended, and waits for what machine 0 makes of it; without it there is no decision.
    pub(super) fn await_decision(&mut self, own: &OwnEnd, caught: &Caught) -> Summary {
        let OwnEnd { end, asked, caught: mut here } = *own;
        self.link.send(&Message::Ended { end, asked });
        let mut summary = Summary { end, asked, failure: None, decision: None, reason: None };
        loop {
            for message in self.take() {
                match message {
                    Message::Stop { failure } => summary.failure = Some(failure),
                    Message::Again => summary.decision = Some(Decision::Again),
                    Message::Ask { signal, .. } if asks_for_an_end(signal) => {
                        summary.asked = Some(signal);
                    }
                    Message::Over { code, reason } => {
                        summary.decision = Some(Decision::Over(code));
                        summary.reason = Some(reason);
                    }
                    _ => {}
                }
            }
            if summary.decision.is_some() {
                return summary;
            }
            if let Some(failure) = self.link.lost().map(leader_is_gone) {
                let is_first = end != RoundEnd::Failed && summary.failure.is_none();
                summary.end = RoundEnd::Failed;
                match is_first {
                    true => summary.failure = Some(failure),
                    false if self.is_missed => {}
                    false => say(&failure.summary),
                }
                return summary;
            }
            let Some(signal) = next_signal(caught) else { continue };
            let name = signal_name(signal);
            if !asks_for_an_end(signal) {
                say(&format!(
                    "{name}: the ranks of this machine have ended; waiting for the other machines"
                ));
                continue;
            }
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
            here = Some(signal);
            summary.asked = here;
        }
    }
}

fn leader_is_gone(why: &str) -> Failure {
    Failure::of_launchers(format!("the launcher of machine 0 is gone: {why}"))
}

/// Errors: a signal that asks for an end.
fn wait(caught: &Caught) -> Result<(), LaunchError> {
    match next_signal(caught).filter(|signal| asks_for_an_end(*signal)) {
        Some(signal) => Err(LaunchError::Interrupted { signal, machine: None, saved: None }),
        None => Ok(()),
    }
}

/// Connects to machine 0, and says who this is. `last` is what became of the last attempt.
fn find(
    plan: &LaunchPlan,
    caught: &Caught,
    sought: Instant,
    mut last: Option<io::Error>,
) -> Result<Link, LaunchError> {
    while last.is_none() || sought.elapsed() <= plan.patience.join {
        let next = Instant::now() + BETWEEN_ATTEMPTS;
        while last.is_some() && Instant::now() < next {
            wait(caught)?;
        }
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
