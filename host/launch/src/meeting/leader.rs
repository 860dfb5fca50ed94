//! The launcher of machine 0: waits for the others, and decides. Knows nothing of processes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::arrivals::Arrivals;
use super::link::Link;
use super::message::Message;
use super::{Decision, News, OwnEnd, PAUSE, RoundPlace, Standing, Summary};
use crate::ending::{FAILED, Failure, RoundEnd, signal_name};
use crate::output::say;
use crate::port::ClaimedPort;
use crate::signals::{Caught, INTERRUPT, asks_for_an_end};
use crate::{Endpoint, LaunchError, LaunchPlan};

/// Before those that are waited for are named.
const A_WHILE: Duration = Duration::from_secs(2);

/// Where a machine stands in the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It takes part in the next one.
    Waiting,
    Running,
    Ended,
}

/// Another machine.
struct Machine {
    link: Link,
    stage: Stage,
    /// Its ranks, once they may start, and how far it knows the job to be.
    ready: Option<(u32, Standing)>,
}

/// What was heard of the round that runs.
#[derive(Default)]
struct Heard {
    failure: Option<Failure>,
    /// Whether all machines know of it.
    is_told: bool,
    ends: Vec<RoundEnd>,
    /// The last signal that asked for an end on another machine.
    asked: Option<i32>,
}

/// Machine 0.
pub(crate) struct Leader {
    /// Held, so that no other job takes the port of the meeting.
    _claim: ClaimedPort,
    arrivals: Arrivals,
    machines: BTreeMap<u32, Machine>,
    round: Heard,
    /// Whether ranks run, or are about to end.
    is_in_round: bool,
    /// Signals that other machines caught, and whether they are meant for the second time.
    asks: VecDeque<(i32, bool)>,
    /// Why a machine will not take part any more.
    left: Option<Failure>,
}

impl Leader {
    pub(super) fn listen(plan: &LaunchPlan, caught: &Caught) -> Result<Leader, LaunchError> {
        let (claim, listener) = ClaimedPort::listening(plan.master.port, caught)?;
        let what = "the meeting of the launchers cannot be watched";
        listener.set_nonblocking(true).map_err(|source| LaunchError::System { what, source })?;
        Ok(Leader {
            _claim: claim,
            arrivals: Arrivals::new(listener, plan.nnodes, plan.patience.peers),
            machines: BTreeMap::new(),
            round: Heard::default(),
            is_in_round: false,
            asks: VecDeque::new(),
            left: None,
        })
    }

    pub(super) fn begin(
        &mut self,
        plan: &LaunchPlan,
        standing: Standing,
        caught: &Caught,
    ) -> Result<RoundPlace, LaunchError> {
        self.machines.values_mut().for_each(|machine| machine.stage = Stage::Waiting);
        self.is_in_round = false;
        let began = Instant::now();
        let (mut is_told, master, nnodes) = (false, &plan.master, plan.nnodes);
        if standing.restart == 0 {
            say(&format!("waiting at {master} for {} of {nnodes} machines", nnodes - 1));
        }
        loop {
            self.look();
            // First: the next round, whose machines may all be there, would forget it.
            if let Some((signal, _)) = self.asks.pop_front() {
                return Err(self.interrupted(signal, standing));
            }
            let missing = self.missing(plan.nnodes);
            if missing.is_empty() {
                break;
            }
            if let Some(Failure { summary, .. }) = &self.left {
                return Err(LaunchError::MachineLeft { problem: summary.clone() });
            }
            if began.elapsed() > plan.patience.join {
                let (nnodes, seconds) = (plan.nnodes, plan.patience.join.as_secs_f64());
                return Err(LaunchError::MachinesMissing { nnodes, missing, seconds });
            }
            if !is_told && began.elapsed() > A_WHILE {
                is_told = true;
                self.tell_waiting(plan, &missing, standing.restart);
            }
            if let Some(signal) = caught.next(PAUSE).filter(|signal| asks_for_an_end(*signal)) {
                return Err(self.interrupted(signal, standing));
            }
        }
        self.start(plan, standing)
    }

    fn interrupted(&self, signal: i32, mut standing: Standing) -> LaunchError {
        for (_, theirs) in self.machines.values().filter_map(|other| other.ready.clone()) {
            standing.and(theirs);
        }
        LaunchError::Interrupted { signal, saved: standing.saved }
    }

    fn missing(&self, nnodes: u32) -> Vec<u32> {
        let is_here =
            |number: &u32| self.machines.get(number).is_some_and(|machine| machine.ready.is_some());
        (1..nnodes).filter(|number| !is_here(number)).collect()
    }

    /// Here and where machines wait with this one.
    fn tell_waiting(&mut self, plan: &LaunchPlan, missing: &[u32], restart: u32) {
        let again = if restart == 0 { "" } else { " to come again" };
        let why = format!("for {}{again}", machines(missing));
        say(&format!("waiting at {} {why}", plan.master));
        for machine in self.machines.values_mut().filter(|machine| machine.ready.is_some()) {
            machine.link.send(&Message::Wait { why: why.clone() });
        }
    }

    fn start(
        &mut self,
        plan: &LaunchPlan,
        mut standing: Standing,
    ) -> Result<RoundPlace, LaunchError> {
        // Of machines that left while they were waited for and came again.
        self.round = Heard::default();
        self.is_in_round = true;
        self.asks.clear();
        let claim = ClaimedPort::from(plan.master.port.checked_add(1).unwrap_or(1024))?;
        let ready: Vec<_> = self
            .machines
            .values_mut()
            .filter_map(|machine| Some((machine.ready.take()?, machine)))
            .collect();
        let world_size = plan.ranks_here + ready.iter().map(|((ranks, _), _)| ranks).sum::<u32>();
        ready.iter().for_each(|((_, theirs), _)| standing.and(theirs.clone()));
        let mut first_rank = plan.ranks_here;
        for ((ranks, _), machine) in ready {
            let (port, standing) = (claim.port, standing.clone());
            machine.link.send(&Message::Start { first_rank, world_size, port, standing });
            machine.stage = Stage::Running;
            first_rank += ranks;
        }
        let master = Endpoint { host: plan.master.host.clone(), port: claim.port };
        let _claim = Some(claim);
        Ok(RoundPlace { first_rank: 0, world_size, master, standing, _claim })
    }

    /// Takes in what came, from known machines and new ones.
    fn look(&mut self) {
        let mut gone = Vec::new();
        let numbers: Vec<u32> = self.machines.keys().copied().collect();
        for number in numbers {
            let Some(machine) = self.machines.get_mut(&number) else { continue };
            for message in machine.link.receive() {
                self.hear(number, message);
            }
            let lost = self.machines.get(&number).and_then(|machine| machine.link.lost());
            gone.extend(lost.map(|why| (number, why.to_owned())));
        }
        for (number, why) in gone {
            let machine = self.machines.remove(&number);
            if machine.is_some_and(|machine| machine.stage == Stage::Running) {
                let summary = format!("the launcher of machine {number} is gone: {why}");
                self.round.failure.get_or_insert(Failure::of_launchers(summary));
            }
        }
        let machines = &self.machines;
        let arrivals = self.arrivals.admit(|number| Some(machines.get(&number)?.link.heard()));
        for mut arrival in arrivals {
            if self.is_in_round {
                arrival.tell_to_wait("the ranks of the others have not ended yet");
            }
            let machine = Machine { link: arrival.link, stage: Stage::Waiting, ready: None };
            self.machines.insert(arrival.node_rank, machine);
            arrival.said.into_iter().for_each(|message| self.hear(arrival.node_rank, message));
        }
    }

    fn hear(&mut self, number: u32, message: Message) {
        let Some(machine) = self.machines.get_mut(&number) else { return };
        match message {
            Message::Ready { ranks, standing } => machine.ready = Some((ranks, standing)),
            Message::Failed { failure } => {
                self.round.failure.get_or_insert(failure);
            }
            Message::Ended { end, asked } => {
                machine.stage = Stage::Ended;
                self.round.ends.push(end);
                self.round.asked = asked.or(self.round.asked);
            }
            Message::Ask { signal, at_once } => {
                self.round.asked = Some(signal);
                self.asks.push_back((signal, at_once));
                self.pass_on(signal, at_once, Some(number));
            }
            Message::Leaving { failure } => {
                if machine.stage == Stage::Running {
                    machine.stage = Stage::Ended;
                    self.round.failure.get_or_insert(failure.clone());
                }
                self.left.get_or_insert(failure);
            }
            _ => {}
        }
    }

    fn running(&mut self) -> impl Iterator<Item = (u32, &mut Link)> {
        let running =
            self.machines.iter_mut().filter(|(_, machine)| machine.stage == Stage::Running);
        running.map(|(number, machine)| (*number, &mut machine.link))
    }

    /// To all whose ranks run but the one that said so.
    pub(super) fn pass_on(&mut self, signal: i32, at_once: bool, whose: Option<u32>) {
        let others = self.running().filter(|(number, _)| Some(*number) != whose);
        others.for_each(|(_, link)| link.send(&Message::Ask { signal, at_once }));
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.is_some()
    }

    pub(super) fn news(&mut self) -> Option<News> {
        self.look();
        if let Some(failure) = self.round.failure.clone().filter(|_| !self.round.is_told) {
            self.stop(&failure);
            return Some(News::Failed(failure));
        }
        self.asks.pop_front().map(|(signal, at_once)| News::Asked { signal, at_once })
    }

    pub(super) fn stop(&mut self, failure: &Failure) {
        if std::mem::replace(&mut self.round.is_told, true) {
            return;
        }
        self.round.failure.get_or_insert_with(|| failure.clone());
        let message = Message::Stop { failure: failure.clone() };
        self.running().for_each(|(_, link)| link.send(&message));
    }

    /// Waits for the ranks of all machines to end.
    pub(super) fn end_round(&mut self, own: &OwnEnd, caught: &Caught) -> Summary {
        let has_failed = self.round.failure.is_some();
        let (mut here, mut decision) = (own.caught, None);
        let (mut is_told, began) = (false, Instant::now());
        while decision.is_none() {
            // Those of other machines were passed on already; no rank of this one is left.
            while self.news().is_some() {}
            let running: Vec<u32> = self.running().map(|(number, _)| number).collect();
            if running.is_empty() {
                break;
            }
            if !is_told && began.elapsed() > A_WHILE {
                is_told = true;
                let others = machines(&running);
                say(&format!("the ranks of this machine have ended; waiting for {others}"));
            }
            let Some(signal) = caught.next(PAUSE) else { continue };
            is_told = true;
            let (name, others) = (signal_name(signal), machines(&running));
            if signal == INTERRUPT && here == Some(INTERRUPT) {
                say(&format!("{name} again: ending at once, {others} too"));
                self.pass_on(signal, true, None);
                decision = Some(Decision::Over(RoundEnd::Signal(signal).exit_code(None)));
            } else if here == Some(signal) {
                say(&format!("{name}: waiting for {others} (SIGINT ends at once)"));
            } else {
                say(&format!(
                    "{name}: the ranks of this machine have ended; passed on to {others}, and waiting"
                ));
                self.pass_on(signal, false, None);
                here = Some(signal).filter(|signal| asks_for_an_end(*signal)).or(here);
            }
        }
        let end = self.round.ends.iter().copied().fold(own.end, RoundEnd::and);
        let end = if self.round.failure.is_some() { RoundEnd::Failed } else { end };
        let failure = self.round.failure.clone().filter(|_| !has_failed);
        Summary { end, asked: here.or(own.asked).or(self.round.asked), failure, decision }
    }

    pub(super) fn announce(&mut self, decision: Decision, reason: &str) {
        let message = match decision {
            Decision::Again => Message::Again,
            Decision::Over(code) => Message::Over { code, reason: reason.to_owned() },
        };
        let is_over = decision != Decision::Again;
        // One that came in between waits for the next round already.
        for machine in self.machines.values_mut() {
            if is_over || machine.stage != Stage::Waiting {
                machine.link.send(&message);
            }
        }
        if is_over {
            self.arrivals.links().for_each(|link| link.send(&message));
        }
    }

    pub(super) fn leave(&mut self, failure: &Failure) {
        self.stop(failure);
        self.announce(Decision::Over(failure.code), &failure.summary);
    }
}

impl Failure {
    /// Launchers have lost each other.
    pub(super) fn of_launchers(summary: String) -> Failure {
        Failure { summary, details: Vec::new(), code: FAILED }
    }
}

/// `machine 1`, or `machines 1, 2`.
fn machines(numbers: &[u32]) -> String {
    let words: Vec<_> = numbers.iter().map(u32::to_string).collect();
    format!("machine{} {}", if words.len() == 1 { "" } else { "s" }, words.join(", "))
}
