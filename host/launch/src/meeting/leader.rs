//! The launcher of machine 0: waits for the others, and decides. Knows nothing of processes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::arrivals::Arrivals;
use super::link::Link;
use super::message::Message;
use super::{Decision, News, OwnEnd, RoundPlace, Standing, Summary, next_signal};
use crate::ending::{FAILED, Failure, RoundEnd, signal_name};
use crate::output::say;
use crate::port::ClaimedPort;
use crate::signals::{Caught, INTERRUPT, asks_for_an_end};
use crate::{Endpoint, LaunchError, LaunchPlan};

/// Before those that are waited for are named, and named again when they are others.
const A_WHILE: Duration = Duration::from_secs(2);

/// For machines to come that are only to hear that the job is over.
const LATE: Duration = Duration::from_secs(60);

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
    /// For which machines it was told to wait.
    told: Vec<u32>,
}

/// What was heard of the round that runs.
#[derive(Default)]
struct Heard {
    failure: Option<Failure>,
    /// Whether it is that a launcher is gone.
    is_loss: bool,
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
    /// Signals that other machines caught: which machine, and whether the signal is meant for the second time.
    asks: VecDeque<(u32, i32, bool)>,
    /// Machines that came, if only to leave again.
    met: BTreeSet<u32>,
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
            met: BTreeSet::new(),
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
        self.machines.values_mut().for_each(|machine| machine.told.clear());
        let began = Instant::now();
        let (mut told, mut tell_at) = (Vec::new(), began + A_WHILE);
        let (master, nnodes) = (&plan.master, plan.nnodes);
        if standing.restart == 0 {
            say(&format!("waiting at {master} for {} of {nnodes} machines", nnodes - 1));
        }
        loop {
            self.look();
            // First: the next round, whose machines may all be there, would forget it.
            if let Some((number, signal, _)) = self.asks.pop_front() {
                return Err(self.interrupted(signal, Some(number), standing));
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
            if tell_at <= Instant::now() {
                tell_at = Instant::now() + A_WHILE;
                self.tell_waiting(plan, (&missing, &mut told), standing.restart);
            }
            if let Some(signal) = next_signal(caught).filter(|signal| asks_for_an_end(*signal)) {
                return Err(self.interrupted(signal, None, standing));
            }
        }
        self.start(plan, standing)
    }

    fn interrupted(
        &self,
        signal: i32,
        machine: Option<u32>,
        mut standing: Standing,
    ) -> LaunchError {
        for (_, theirs) in self.machines.values().filter_map(|other| other.ready.clone()) {
            standing.and(theirs);
        }
        LaunchError::Interrupted { signal, machine, saved: standing.saved }
    }

    fn missing(&self, nnodes: u32) -> Vec<u32> {
        let is_here =
            |number: &u32| self.machines.get(number).is_some_and(|machine| machine.ready.is_some());
        (1..nnodes).filter(|number| !is_here(number)).collect()
    }

    /// Here and where machines wait with this one, where it is not known yet.
    fn tell_waiting(
        &mut self,
        plan: &LaunchPlan,
        (missing, told): (&[u32], &mut Vec<u32>),
        restart: u32,
    ) {
        let again = if restart == 0 { "" } else { " to come again" };
        let why = format!("for {}{again}", machines(missing));
        if told != missing {
            say(&format!("waiting at {} {why}", plan.master));
            *told = missing.to_vec();
        }
        for machine in self.machines.values_mut().filter(|machine| machine.ready.is_some()) {
            if machine.told != missing {
                machine.link.send(&Message::Wait { why: why.clone() });
                machine.told = missing.to_vec();
            }
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
                self.round.is_loss |= self.round.failure.is_none();
                self.round.failure.get_or_insert(Failure::of_launchers(summary));
            }
        }
        let machines = &self.machines;
        let arrivals = self.arrivals.admit(|number| Some(machines.get(&number)?.link.heard()));
        for mut arrival in arrivals {
            if self.is_in_round {
                arrival.tell_to_wait("the ranks of the others have not ended yet");
            }
            let (link, stage, told) = (arrival.link, Stage::Waiting, Vec::new());
            let machine = Machine { link, stage, ready: None, told };
            self.met.insert(arrival.node_rank);
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
            Message::Ask { signal, at_once } if asks_for_an_end(signal) => {
                self.round.asked = Some(signal);
                self.asks.push_back((number, signal, at_once));
                self.pass_on(signal, at_once, Some(number));
            }
            Message::Leaving { failure } => {
                if machine.stage == Stage::Running {
                    machine.stage = Stage::Ended;
                    self.round.failure.get_or_insert(failure.clone());
                }
                self.left.get_or_insert(failure);
            }
            Message::Away { why } => {
                machine.ready = None;
                say(&format!("machine {number}: {why}; it may come again"));
            }
            _ => {}
        }
    }

    fn running(&mut self) -> impl Iterator<Item = (u32, &mut Link)> {
        let running =
            self.machines.iter_mut().filter(|(_, machine)| machine.stage == Stage::Running);
        running.map(|(number, machine)| (*number, &mut machine.link))
    }

    /// To all that take part in the round, also where the ranks have ended.
    fn tell_all_but(&mut self, whose: Option<u32>, message: &Message) {
        for (number, machine) in &mut self.machines {
            if machine.stage != Stage::Waiting && Some(*number) != whose {
                machine.link.send(message);
            }
        }
    }

    /// To all but the one that said so.
    pub(super) fn pass_on(&mut self, signal: i32, at_once: bool, whose: Option<u32>) {
        self.tell_all_but(whose, &Message::Ask { signal, at_once });
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
        self.asks.pop_front().map(|(_, signal, at_once)| News::Asked { signal, at_once })
    }

    pub(super) fn stop(&mut self, failure: &Failure) {
        if std::mem::replace(&mut self.round.is_told, true) {
            return;
        }
        self.round.failure.get_or_insert_with(|| failure.clone());
        self.tell_all_but(None, &Message::Stop { failure: failure.clone() });
    }

    /// Waits for the ranks of all machines to end.
    pub(super) fn end_round(&mut self, own: &OwnEnd, caught: &Caught) -> Summary {
        if own.end != RoundEnd::Failed && self.round.is_loss {
            // Seen when somebody had all killed here, which counts.
            self.round.failure = None;
        }
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
            let Some(signal) = next_signal(caught) else { continue };
            let (name, others) = (signal_name(signal), machines(&running));
            if !asks_for_an_end(signal) {
                say(&format!("{name}: the ranks of this machine have ended; waiting for {others}"));
                continue;
            }
            is_told = true;
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
                here = Some(signal);
            }
        }
        let end = self.round.ends.iter().copied().fold(own.end, RoundEnd::and);
        let end = if self.round.failure.is_some() { RoundEnd::Failed } else { end };
        let failure = self.round.failure.clone().filter(|_| !has_failed);
        let asked = here.or(own.asked).or(self.round.asked);
        Summary { end, asked, failure, decision, reason: None }
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

    /// Machines that have never come hear it when they come, for a while.
    pub(super) fn tell_late(&mut self, plan: &LaunchPlan, failure: &Failure, caught: &Caught) {
        let most = LATE.min(plan.patience.join);
        let until = Instant::now() + most;
        let mut is_told = false;
        loop {
            let absent: Vec<u32> = (1..plan.nnodes).filter(|one| !self.met.contains(one)).collect();
            if absent.is_empty() || until <= Instant::now() {
                return;
            }
            if !std::mem::replace(&mut is_told, true) {
                let (others, most) = (machines(&absent), most.as_secs_f64());
                say(&format!("waiting for {others} to hear it, at most {most} s"));
            }
            if next_signal(caught).is_some_and(asks_for_an_end) {
                return;
            }
            let met = self.met.len();
            self.look();
            if self.met.len() > met {
                self.announce(Decision::Over(failure.code), &failure.summary);
            }
        }
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
