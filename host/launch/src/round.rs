//! One round: the ranks of this machine from their start to the end of the last one. Knows nothing of other rounds.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::ending::{Failure, RankEnd, RoundEnd, START_AGAIN, signal_name};
use crate::meeting::{News, Peers, RoundPlace};
use crate::output::say;
use crate::rank::Rank;
use crate::report::{RoundReport, adopt, indented};
use crate::roles::Guard;
use crate::signals::{Caught, INTERRUPT, asks_for_an_end};
use crate::start::{heartbeat_file, rank_start};
use crate::watch::{Alarm, Watch};
use crate::{LaunchError, LaunchPlan};

/// How often ranks are looked at, when no signal wakes the launcher.
const PAUSE: Duration = Duration::from_millis(20);

/// The number of SIGKILL.
const KILLED: i32 = 9;

/// For output that is still on its way when ranks have ended; a process that left a rank's group may hold it open for ever.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(1);

/// For a rank to end that others name as the one that failed.
const CAUSE_WAIT: Duration = Duration::from_secs(5);

/// What a round needs to know beside the plan.
pub(crate) struct RoundRequest<'a> {
    pub(crate) plan: &'a LaunchPlan,
    pub(crate) place: &'a RoundPlace,
    pub(crate) arguments: &'a [OsString],
    /// 0 at first.
    pub(crate) restart: u32,
}

/// The ranks of this machine.
pub(crate) struct Round<'a> {
    plan: &'a LaunchPlan,
    ranks: Vec<Rank>,
    watch: Watch,
    /// The signals that were passed on, the last one at the end.
    asked: Vec<i32>,
    /// The signal that was passed on since another machine was asked, until this one is.
    asked_elsewhere: Option<i32>,
    /// Ranks that have ended of which nothing was made yet, and until when their last words may come.
    unjudged: Vec<usize>,
    judged_at: Option<Instant>,
    /// The last signal that this launcher caught.
    caught: Option<i32>,
    /// The first rank that ended because of another one.
    blaming: Option<Blaming>,
    failure: Option<Failure>,
    kill_at: Option<Instant>,
    is_saving: bool,
    /// Whether the user had everything killed.
    is_killed: bool,
}

/// A rank that ended because of another one, which may end until then, and then is the one to be told.
struct Blaming {
    index: usize,
    cause: u32,
    until: Instant,
}

impl<'a> Round<'a> {
    /// Starts all ranks.
    pub(crate) fn start(
        request: &RoundRequest<'a>,
        guard: &mut Guard,
    ) -> Result<Round<'a>, LaunchError> {
        let plan = request.plan;
        let mut ranks = Vec::new();
        for local_rank in 0..plan.ranks_here {
            // Of an earlier launch with the same folder.
            let _ = std::fs::remove_file(heartbeat_file(request, local_rank));
            ranks.push(Rank::start(rank_start(request, local_rank), guard)?);
        }
        let records =
            ranks.iter().map(|rank| (rank.rank, heartbeat_file(request, rank.local_rank)));
        let watch = Watch::new(records, plan.patience, Instant::now());
        let watch = watch.beside_others(plan.nnodes > 1);
        Ok(Round {
            plan,
            ranks,
            watch,
            asked: Vec::new(),
            asked_elsewhere: None,
            unjudged: Vec::new(),
            judged_at: None,
            failure: None,
            caught: None,
            blaming: None,
            kill_at: None,
            is_saving: false,
            is_killed: false,
        })
    }

    /// Watches until the last rank has ended.
    pub(crate) fn watch(
        mut self,
        caught: &Caught,
        peers: &mut Peers,
        guard: &mut Guard,
    ) -> RoundReport {
        while !self.is_over() {
            let signal = caught.next(PAUSE);
            // First, so that nothing is passed on to ranks that are no more.
            self.look_for_ends(guard);
            if let Some(signal) = signal {
                self.asked_here(signal, peers);
            }
            guard.reap_orphans();
            // First: what others were asked or failed with may be why ranks ended here.
            self.hear(peers);
            self.judge(peers);
            self.look_for_causes(peers);
            self.look_for_hangs(peers);
            self.look_for_stopped(peers);
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.kill_at = None;
                self.kill_the_rest();
            }
        }
        let ends = self.ranks.iter().filter_map(Rank::end);
        let end = match &self.failure {
            Some(_) => RoundEnd::Failed,
            None => RoundEnd::of(ends, self.asked.last().copied()),
        };
        let asked = self.asked.last().copied();
        RoundReport { end, failure: self.failure, asked, caught: self.caught }
    }

    /// Whether all ranks have ended, and what that means is known.
    fn is_over(&self) -> bool {
        let is_judged = self.unjudged.is_empty() && self.blaming.is_none();
        is_judged && self.ranks.iter().all(|rank| rank.end().is_some())
    }

    fn hear(&mut self, peers: &mut Peers) {
        match peers.news() {
            // Whoever had all killed knows why the others leave.
            Some(News::Failed(_) | News::Lost(_)) if self.is_killed => {}
            Some(News::Failed(failure)) if self.failure.is_some() => {
                adopt(&mut self.failure, failure);
            }
            Some(News::Lost(failure)) if self.failure.is_some() => say(&failure.summary),
            Some(News::Failed(failure) | News::Lost(failure)) => {
                let failure = self.with_standing(failure, &[]);
                self.fail(failure);
            }
            Some(News::Asked { signal, at_once: true }) => self.kill_all(signal),
            // Ranks that were asked need not hear it again.
            Some(News::Asked { signal, .. }) if self.asked.is_empty() => {
                self.pass_on(signal, "of another machine");
                self.asked_elsewhere = Some(signal);
            }
            Some(News::Asked { .. }) | None => {}
        }
    }

    /// The launcher caught a signal.
    fn asked_here(&mut self, signal: i32, peers: &mut Peers) {
        if asks_for_an_end(signal) {
            self.caught = Some(signal);
        }
        if self.asked_elsewhere == Some(signal) {
            self.asked_elsewhere = None;
            // Whoever asks all machines at once asks each rank once.
            return say(&format!("{}: was passed on already", signal_name(signal)));
        }
        if signal == INTERRUPT && self.asked.last() == Some(&INTERRUPT) {
            peers.ask(signal, true);
            return self.kill_all(signal);
        }
        if asks_for_an_end(signal) {
            // Before the ranks here, which those elsewhere may follow.
            peers.ask(signal, false);
        }
        self.pass_on(signal, "");
    }

    fn pass_on(&mut self, signal: i32, whose: &str) {
        let space = if whose.is_empty() { "" } else { " " };
        let (name, running) = (signal_name(signal), self.running());
        let are_over = self.ranks.iter().all(|rank| rank.end().is_some());
        match (are_over, self.plan.nnodes) {
            (true, 1) => {}
            (true, _) => {
                let passed_on = match asks_for_an_end(signal) {
                    true => "; passed on to the other machines",
                    false => "",
                };
                say(&format!(
                    "{name}{space}{whose}: the ranks of this machine have ended{passed_on}"
                ));
            }
            _ => say(&format!("{name}{space}{whose}: passed on to {running}")),
        }
        if let Some(signal) = Signal::from_named_raw(signal) {
            self.ranks.iter().for_each(|rank| rank.send(signal));
        }
        if asks_for_an_end(signal) {
            self.asked_for(signal);
        }
    }

    /// Ctrl-C, a second time.
    fn kill_all(&mut self, signal: i32) {
        let name = signal_name(signal);
        match self.ranks.iter().any(|rank| rank.end().is_none()) {
            true => say(&format!("{name} again: killing {}", self.running())),
            false => say(&format!("{name} again: ending at once")),
        }
        self.ranks.iter().for_each(Rank::kill);
        self.asked.push(signal);
        self.is_killed = true;
        self.blaming = None;
    }

    /// Ranks were asked to end with this signal.
    fn asked_for(&mut self, signal: i32) {
        self.asked.push(signal);
        self.watch.ranks_are_asked(Instant::now());
    }

    /// A rank whose process is stopped cannot hear that all are to end, and all others wait for it: it is let go on once, and
    /// ended when it stays stopped all the same. One that is stopped for a moment goes on and saves.
    fn look_for_stopped(&mut self, peers: &mut Peers) {
        let (now, grace) = (Instant::now(), self.plan.patience.grace);
        let Some(signal) = self.asked.last().copied() else { return };
        if self.failure.is_some() || self.is_killed {
            return;
        }
        for rank in &mut self.ranks {
            if rank.let_go_on() {
                say(&format!("rank {} is stopped: let go on, so that it can end", rank.rank));
            }
        }
        let mut stopped = self.ranks.iter_mut().map(|rank| rank.stopped_for(now));
        let Some(index) = stopped.position(|time| time >= grace) else { return };
        let summary = format!(
            "rank {} was stopped for {} s after {} (--grace): killed",
            self.ranks[index].rank,
            grace.as_secs_f64(),
            signal_name(signal)
        );
        let details = self.standing(index).into_iter().collect();
        self.ranks[index].kill();
        let failure = Failure { summary, details, code: RankEnd::Signal(KILLED).exit_code() };
        peers.tell(&failure);
        self.fail(failure);
    }

    /// What a rank that runs does, if it stands still.
    fn standing(&mut self, index: usize) -> Option<String> {
        let rank = &self.ranks[index];
        let state = rank.state().filter(|_| rank.end().is_none())?;
        self.watch.standing(rank.rank, Instant::now(), state)
    }

    /// The failure of a rank with those for which it may have waited: `named` by it, or stopped.
    fn with_standing(&mut self, failure: Failure, named: &[u32]) -> Failure {
        let of_interest = |rank: &Rank| rank.is_stopped() || named.contains(&rank.rank);
        let indices: Vec<usize> =
            (0..self.ranks.len()).filter(|index| of_interest(&self.ranks[*index])).collect();
        let standing: Vec<String> =
            indices.into_iter().filter_map(|index| self.standing(index)).collect();
        if standing.is_empty() {
            return failure;
        }
        let summary =
            format!("{}, and these stand still: {}", failure.summary, standing.join("; "));
        Failure { summary, ..failure }
    }

    fn running(&self) -> String {
        match self.ranks.iter().filter(|rank| rank.end().is_none()).count() {
            1 => "1 rank".to_owned(),
            count => format!("{count} ranks"),
        }
    }

    fn look_for_ends(&mut self, guard: &mut Guard) {
        for index in 0..self.ranks.len() {
            if self.ranks[index].has_just_ended(guard) {
                self.unjudged.push(index);
                self.judged_at.get_or_insert(Instant::now() + LAST_WORDS_WAIT);
            }
        }
    }

    /// Looks at all ranks that have ended, once their last words are there.
    fn judge(&mut self, peers: &mut Peers) {
        let are_heard = self.unjudged.iter().all(|index| self.ranks[*index].has_said_all());
        let is_time = self.judged_at.is_some_and(|at| are_heard || at <= Instant::now());
        if !is_time {
            return;
        }
        self.judged_at = None;
        let mut ended = std::mem::take(&mut self.unjudged);
        // Of several that ended together, one that blames no other is the cause, or the one that fell silent first.
        ended.sort_by_cached_key(|index| {
            let rank = &self.ranks[*index];
            (rank.follows().is_some(), rank.last_output())
        });
        for index in ended {
            let Some(end) = self.ranks[index].end() else { continue };
            let asks_again = end == RankEnd::Code(START_AGAIN.into());
            let is_told = self.failure.is_none() && !self.is_killed;
            if is_told && end.is_failure(&self.asked) {
                if let Some(signal) = end.interrupted_by().filter(|_| self.is_left_alone()) {
                    self.let_all_end(index, signal, peers);
                } else if let Some(cause) = self.awaited_cause(index) {
                    let until = Instant::now() + CAUSE_WAIT;
                    self.blaming.get_or_insert(Blaming { index, cause, until });
                } else {
                    self.tell_failure_of(index, peers);
                }
            } else if asks_again && self.is_left_alone() {
                self.let_all_save(index, peers);
            }
        }
    }

    /// The rank because of which this one ended, if it has not ended yet: it serves the others until they have heard why. Of a
    /// rank of another machine that machine tells the failure.
    fn awaited_cause(&self, index: usize) -> Option<u32> {
        self.ranks[index].follows().filter(|cause| self.is_awaited(*cause))
    }

    fn is_awaited(&self, cause: u32) -> bool {
        match self.ranks.iter().find(|rank| rank.rank == cause) {
            Some(rank) => rank.end().is_none(),
            None => self.plan.nnodes > 1,
        }
    }

    /// A rank that ended because of another one is told after all, when nothing is told of that one.
    fn look_for_causes(&mut self, peers: &mut Peers) {
        let Some(Blaming { index, cause, until }) = self.blaming else { return };
        let is_judged = self.unjudged.is_empty() && !self.is_awaited(cause);
        if self.failure.is_some() {
            self.blaming = None;
        } else if is_judged || until <= Instant::now() {
            self.blaming = None;
            self.tell_failure_of(index, peers);
        }
    }

    /// A rank failed by itself: tells everybody.
    fn tell_failure_of(&mut self, index: usize, peers: &mut Peers) {
        let place = self.watch.place(self.ranks[index].rank);
        let failure = self.ranks[index].failure(place);
        let named = self.ranks[index].waited_for();
        let failure = self.with_standing(failure, &named);
        peers.tell(&failure);
        self.fail(failure);
    }

    fn look_for_hangs(&mut self, peers: &mut Peers) {
        if self.failure.is_some() {
            return;
        }
        let ranks = &self.ranks;
        let state = |number: u32| {
            let rank = ranks.iter().find(|rank| rank.rank == number && rank.end().is_none());
            rank.and_then(Rank::state)
        };
        match self.watch.look(Instant::now(), state) {
            None => {}
            Some(Alarm::Warning(text)) => say(&text),
            Some(Alarm::End(failure)) => {
                peers.tell(&failure);
                self.fail(failure);
            }
        }
    }

    /// Whether nobody has asked the ranks to end so far.
    fn is_left_alone(&self) -> bool {
        self.asked.is_empty() && self.failure.is_none() && !self.is_saving
    }

    /// One rank saved because it alone was asked to: the others are to save, too.
    fn let_all_save(&mut self, index: usize, peers: &mut Peers) {
        self.is_saving = true;
        peers.ask(Signal::TERM.as_raw(), false);
        if self.ranks.iter().any(|rank| rank.end().is_none()) {
            let (rank, others) = (self.ranks[index].rank, self.running());
            say(&format!(
                "rank {rank} saved and asks to be started again; asking {others} to save"
            ));
            self.ranks.iter().for_each(|rank| rank.send(Signal::TERM));
            self.asked_for(Signal::TERM.as_raw());
        }
    }

    /// Somebody interrupted one rank: the others are to end, too.
    fn let_all_end(&mut self, index: usize, signal: i32, peers: &mut Peers) {
        let rank = &self.ranks[index];
        if let Some(end) = rank.end() {
            let rank = rank.rank;
            say(&format!("rank {rank} {end}: the job was interrupted"));
        }
        peers.ask(signal, false);
        self.pass_on(signal, "of that rank");
        self.asked_elsewhere = Some(signal);
    }

    /// Shows the reason first, then ends what still runs.
    fn fail(&mut self, failure: Failure) {
        if self.failure.is_some() {
            return;
        }
        say(&format!("{}{}", failure.summary, indented(&failure.details)));
        if self.ranks.iter().any(|rank| rank.end().is_none()) {
            let seconds = self.plan.patience.grace.as_secs_f64();
            say(&format!("ending {} (killed after {seconds} s)", self.running()));
        }
        for rank in &self.ranks {
            rank.send(Signal::TERM);
            // One that is stopped could not hear it.
            rank.send(Signal::CONT);
        }
        self.failure = Some(failure);
        self.kill_at = Some(Instant::now() + self.plan.patience.grace);
    }

    fn kill_the_rest(&self) {
        let left: Vec<String> = self
            .ranks
            .iter()
            .filter(|rank| rank.end().is_none())
            .map(|rank| rank.rank.to_string())
            .collect();
        if !left.is_empty() {
            say(&format!("still there, killed: rank {}", left.join(", ")));
        }
        self.ranks.iter().for_each(Rank::kill);
    }
}
