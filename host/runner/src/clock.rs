//! Where the time of a run goes: one phase at a time, added up; on request also written down one by one, for a
//! trace. Knows nothing of what a phase does.
//!
//! The operations of a GPU go on in the background: there a phase is the time until they were handed over, and
//! the waiting shows up in the phase that first needs a value.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use snaphook_heartbeat::Heartbeat;
use snaphook_libtorch::Operators;

use crate::Machine;

/// What a run does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Starting, ending, and what is in no other phase.
    Other,
    /// Waiting for a training batch.
    Data,
    Forward,
    Backward,
    /// Clipping and the optimizer's step.
    Optimizer,
    /// In hooks, of all stages.
    Hooks,
    /// Validation or test: their data, predictions and metrics.
    Evaluation,
    /// Collecting and writing checkpoints, as far as the run waits for it.
    Checkpoint,
}

impl Phase {
    pub(crate) const ALL: [Phase; 8] = [
        Phase::Other,
        Phase::Data,
        Phase::Forward,
        Phase::Backward,
        Phase::Optimizer,
        Phase::Hooks,
        Phase::Evaluation,
        Phase::Checkpoint,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Other => "other",
            Phase::Data => "data",
            Phase::Forward => "forward",
            Phase::Backward => "backward",
            Phase::Optimizer => "optimizer",
            Phase::Hooks => "hooks",
            Phase::Evaluation => "evaluation",
            Phase::Checkpoint => "checkpoint",
        }
    }
}

/// Adds up the time of each phase.
#[derive(Debug)]
pub(crate) struct Clock {
    phase: Phase,
    since: Instant,
    spent: [Duration; Phase::ALL.len()],
    trace: Option<Trace>,
    heartbeat: Heartbeat,
    running: Running,
}

/// The training iteration that runs, waits for its data or ran last, with its epoch: from 1, as lines of a log have them.
/// Nothing before the first one of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Running(Option<(u64, u64)>);

impl Running {
    /// Epoch and iteration, from 1; `None` before the first one of this process.
    pub(crate) fn counted(self) -> Option<(u64, u64)> {
        self.0
    }
}

impl fmt::Display for Running {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((epoch, iteration)) => write!(formatter, "epoch {epoch}, iteration {iteration}"),
            None => formatter.write_str("before the first iteration"),
        }
    }
}

impl Machine {
    /// From now on writes into this record which phase the run is in.
    pub fn beat_into(&mut self, heartbeat: Heartbeat) {
        for phase in Phase::ALL {
            heartbeat.name_phase(phase as usize, phase.name());
        }
        self.clock.heartbeat = heartbeat;
        self.clock.run_iteration(self.clock.running);
        self.ranks.watch(heartbeat);
    }

    /// The next training iteration begins; returns the one before, to go back to it where there is none.
    pub(crate) fn next_iteration(&mut self) -> Running {
        let next = (self.progress.epoch + 1, self.progress.iter + 1);
        self.clock.run_iteration(Running(Some(next)))
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            phase: Phase::Other,
            since: Instant::now(),
            spent: [Duration::ZERO; Phase::ALL.len()],
            trace: None,
            heartbeat: Heartbeat::default(),
            running: Running::default(),
        }
    }
}

impl Clock {
    /// Begins a phase; returns the one that ends, to go back to it.
    pub(crate) fn enter(&mut self, phase: Phase) -> Phase {
        let now = Instant::now();
        let took = now - self.since;
        self.spent[self.phase as usize] += took;
        if let Some(trace) = &mut self.trace {
            trace.add(Track::Phase, self.phase.name().to_owned(), self.since, took, Json::Null);
        }
        self.since = now;
        self.heartbeat.enter_phase(phase as usize);
        std::mem::replace(&mut self.phase, phase)
    }

    /// Shows those who watch that something moves, where no phase begins or ends for long.
    pub(crate) fn beat(&self) {
        self.heartbeat.enter_phase(self.phase as usize);
    }

    /// Shows those who watch that the run is over, and what is left to do may take long.
    pub(crate) fn enter_end(&self) {
        self.heartbeat.enter_end();
    }

    /// This iteration runs from now on; returns the one before.
    pub(crate) fn run_iteration(&mut self, running: Running) -> Running {
        let (epoch, iteration) = running.0.unwrap_or_default();
        self.heartbeat.enter_iteration(epoch, iteration);
        std::mem::replace(&mut self.running, running)
    }

    /// The iteration that runs.
    pub(crate) fn running(&self) -> Running {
        self.running
    }

    /// Seconds of each phase so far, with its name.
    pub(crate) fn seconds(&mut self) -> Vec<(&'static str, f64)> {
        let phase = self.phase;
        self.enter(phase);
        let second = |phase: Phase| (phase.name(), self.spent[phase as usize].as_secs_f64());
        Phase::ALL.into_iter().map(second).collect()
    }

    /// Writes down every phase from now on, at most `limit` entries.
    pub(crate) fn start_trace(&mut self, limit: usize) {
        let phase = self.phase;
        self.enter(phase);
        self.trace = Some(Trace { began: self.since, events: Vec::new(), limit, lost: 0 });
    }

    /// What was written down since [`Clock::start_trace`]; `None` without it.
    pub(crate) fn take_trace(&mut self) -> Option<Trace> {
        let phase = self.phase;
        self.enter(phase);
        self.trace.take()
    }

    pub(crate) fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Writes down something that has ended, on a track of its own.
    pub(crate) fn note(&mut self, track: Track, name: String, began: Instant, details: Json) {
        if let Some(trace) = &mut self.trace {
            trace.add(track, name, began, began.elapsed(), details);
        }
    }
}

/// A row of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Track {
    Iteration,
    Phase,
    Hook,
    /// What one of libtorch's threads carries out.
    Operators {
        thread: u32,
    },
}

impl Track {
    /// Its number in a trace.
    fn id(self) -> u32 {
        match self {
            Track::Iteration => 1,
            Track::Phase => 2,
            Track::Hook => 3,
            Track::Operators { thread } => 4 + thread,
        }
    }

    fn label(self) -> String {
        match self {
            Track::Iteration => "iterations".to_owned(),
            Track::Phase => "phases".to_owned(),
            Track::Hook => "hooks".to_owned(),
            Track::Operators { thread: 0 } => "operators".to_owned(),
            Track::Operators { thread } => format!("operators, thread {}", thread + 1),
        }
    }
}

/// What was written down of a stretch of time.
#[derive(Debug)]
pub(crate) struct Trace {
    began: Instant,
    events: Vec<Event>,
    limit: usize,
    lost: u64,
}

#[derive(Debug)]
struct Event {
    track: Track,
    name: String,
    start: Duration,
    took: Duration,
    details: Json,
}

impl Trace {
    fn add(&mut self, track: Track, name: String, began: Instant, took: Duration, details: Json) {
        let Some(start) = began.checked_duration_since(self.began) else { return };
        if self.events.len() >= self.limit {
            self.lost += 1;
            return;
        }
        self.events.push(Event { track, name, start, took, details });
    }

    /// Puts in what was heard of libtorch, a row for each of its threads.
    pub(crate) fn add_operators(&mut self, operators: Operators) {
        self.lost += operators.lost;
        for operator in operators.all {
            let Some(start) = operator.began.checked_duration_since(self.began) else { continue };
            let details = match operator.shapes {
                Json::Null => Json::Null,
                shapes => json!({ "Input Dims": shapes }),
            };
            let track = Track::Operators { thread: operator.thread };
            let (name, took) = (operator.name, operator.took);
            self.events.push(Event { track, name, start, took, details });
        }
    }

    /// Entries that went over the limit.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Chrome's trace format, which Perfetto reads as well.
    ///
    /// Units: `ts` and `dur` are microseconds since the trace began. Source: "Trace Event Format", complete events
    /// (`X`) and metadata (`M`).
    pub(crate) fn to_json(&self, process: &str) -> Json {
        let name = |track: Track| json!({ "ph": "M", "pid": 1, "tid": track.id(), "name": "thread_name", "args": { "name": track.label() } });
        let mut events = vec![
            json!({ "ph": "M", "pid": 1, "name": "process_name", "args": { "name": process } }),
            name(Track::Iteration),
            name(Track::Phase),
            name(Track::Hook),
        ];
        let threads: BTreeSet<Track> = self.events.iter().map(|event| event.track).collect();
        let threads = threads.into_iter().filter(|track| track.id() > Track::Hook.id());
        events.extend(threads.map(name));
        let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
        events.extend(self.events.iter().map(|event| {
            let mut entry = json!({
                "ph": "X", "pid": 1, "tid": event.track.id(), "name": event.name,
                "ts": micros(event.start), "dur": micros(event.took),
            });
            if !event.details.is_null() {
                entry["args"] = event.details.clone();
            }
            entry
        }));
        json!({ "displayTimeUnit": "ms", "traceEvents": events })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_to_all_of_the_time() {
        let began = Instant::now();
        let mut clock = Clock { since: began, ..Clock::default() };
        let outer = clock.enter(Phase::Data);
        assert_eq!(clock.enter(Phase::Hooks), Phase::Data);
        clock.enter(outer);
        let total: f64 = clock.seconds().iter().map(|(_, seconds)| seconds).sum();
        // The parts are rounded to f64 one by one: nanoseconds stay, and less is not told.
        assert!((total - (clock.since - began).as_secs_f64()).abs() < 1e-9);
    }

    #[test]
    fn iterations_are_told_as_lines_of_a_log_count_them() {
        let mut clock = Clock::default();
        assert_eq!(clock.running().to_string(), "before the first iteration");
        let before = clock.run_iteration(Running(Some((1, 50))));
        assert_eq!(clock.running().to_string(), "epoch 1, iteration 50");
        clock.run_iteration(before);
        assert_eq!(clock.running(), Running::default());
    }

    #[test]
    fn a_trace_holds_phases_and_notes_and_no_more_than_its_limit() {
        let mut clock = Clock::default();
        clock.start_trace(3);
        let began = Instant::now();
        clock.enter(Phase::Data);
        clock.enter(Phase::Forward);
        clock.note(Track::Hook, "TimerHook".into(), began, json!({ "point": "before_run" }));
        clock.enter(Phase::Other);
        let trace = clock.take_trace().unwrap();
        assert!(!clock.is_traced());
        assert_eq!(trace.lost(), 2);
        let json = trace.to_json("run");
        let events: Vec<_> =
            json["traceEvents"].as_array().unwrap().iter().filter(|e| e["ph"] == "X").collect();
        let names: Vec<_> = events.iter().map(|event| event["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["other", "data", "TimerHook"]);
        assert_eq!(events[2]["args"]["point"], "before_run");
        assert!(events.iter().all(|event| event["ts"].as_f64() >= Some(0.0)));
    }
}
