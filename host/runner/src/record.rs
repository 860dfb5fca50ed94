//! Keeps `run.json` of the run's folder true: what the run is, where it stands, where its time went.
//! Knows nothing of who reads it.

use std::time::{Duration, Instant};

use chrono::{DateTime, Local, SecondsFormat};
use snaphook_hooks::Dispatcher;
use snaphook_plugin_api::HookPoint;
use snaphook_report::{
    Environment, HookCost, Kind, PhaseTime, Position, ReportError, RunRecord, Status, Validation,
};

use crate::RunError;
use crate::machine::Machine;

/// How old the file may become while an epoch goes on.
const PERIOD: Duration = Duration::from_secs(30);

/// Writes the record at the start, at the end of epochs and evaluations, twice a minute, and at the end.
pub(crate) struct RecordKeeper {
    record: RunRecord,
    began: (Instant, DateTime<Local>),
    written: Instant,
}

impl RecordKeeper {
    /// The record of a run that begins now, written into its folder.
    ///
    /// Errors: the folder cannot be written.
    pub(crate) fn start(
        kind: Kind,
        machine: &mut Machine,
        hooks: &Dispatcher,
    ) -> Result<RecordKeeper, RunError> {
        let environment = Environment {
            threads: tch::get_num_threads().try_into().unwrap_or(0),
            device: format!("{:?}", machine.info.device).to_lowercase(),
            snaphook: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: "2.11.0".to_owned(),
            ..Environment::here()
        };
        let record = RunRecord {
            kind,
            environment,
            experiment: machine.info.experiment_name.clone(),
            config: machine.info.config_path.clone(),
            seed: machine.info.seed,
            ..RunRecord::default()
        };
        let now = Instant::now();
        let mut keeper = RecordKeeper { record, began: (now, Local::now()), written: now };
        keeper.write(machine, hooks)?;
        Ok(keeper)
    }

    /// Once the run knows where it starts from.
    ///
    /// Errors: the file cannot be written.
    pub(crate) fn started(
        &mut self,
        machine: &mut Machine,
        hooks: &Dispatcher,
    ) -> Result<(), RunError> {
        if machine.resumed_from.is_some() { self.write(machine, hooks) } else { Ok(()) }
    }

    /// After a hook point: writes when it is time to.
    ///
    /// Errors: the file cannot be written.
    pub(crate) fn after(
        &mut self,
        point: HookPoint,
        machine: &mut Machine,
        hooks: &Dispatcher,
    ) -> Result<(), RunError> {
        if point == HookPoint::AfterValEpoch {
            let progress = machine.progress;
            let validation = Validation { epoch: progress.epoch, iter: progress.iter };
            self.record.validations.push(validation);
        }
        let is_due = match point {
            HookPoint::AfterTrainEpoch | HookPoint::AfterVal | HookPoint::AfterTest => true,
            HookPoint::AfterTrainIter => self.written.elapsed() >= PERIOD,
            _ => false,
        };
        if is_due { self.write(machine, hooks) } else { Ok(()) }
    }

    /// The last time.
    ///
    /// Errors: the file cannot be written.
    pub(crate) fn finish(
        &mut self,
        error: Option<&RunError>,
        machine: &mut Machine,
        hooks: &Dispatcher,
    ) -> Result<(), RunError> {
        (self.record.status, self.record.reason) = match (error, &machine.stop) {
            (Some(error @ RunError::Interrupted { .. }), _) => {
                (Status::Interrupted, Some(error.to_string()))
            }
            (Some(error), _) => (Status::Failed, Some(error.to_string())),
            (None, Some(reason)) => (Status::Stopped, Some(reason.clone())),
            (None, None) => (Status::Done, None),
        };
        self.write(machine, hooks)
    }

    fn write(&mut self, machine: &mut Machine, hooks: &Dispatcher) -> Result<(), RunError> {
        let (instant, time) = self.began;
        let stamp = |time: DateTime<Local>| time.to_rfc3339_opts(SecondsFormat::Secs, false);
        let record = &mut self.record;
        record.started = stamp(time);
        record.written = stamp(Local::now());
        record.seconds = instant.elapsed().as_secs_f64();
        record.resumed_from.clone_from(&machine.resumed_from);
        record.resumed_experiment.clone_from(&machine.resumed_experiment);
        let progress = machine.progress;
        record.position = Position {
            epoch: progress.epoch,
            iter: progress.iter,
            max_epochs: progress.max_epochs,
            max_iters: progress.max_iters,
            iters_here: progress.iter.saturating_sub(machine.first_iter),
        };
        let phase = |(name, seconds): (&str, f64)| PhaseTime { name: name.to_owned(), seconds };
        record.phases = machine.clock.seconds().into_iter().map(phase).collect();
        record.hooks = hooks.costs().into_iter().map(cost).collect();
        self.written = Instant::now();
        self.record.write(&machine.info.run_dir).map_err(RunError::from)
    }
}

fn cost(cost: snaphook_hooks::HookCost) -> HookCost {
    HookCost {
        name: cost.row.type_name,
        source: cost.row.source,
        priority: cost.row.priority.0,
        calls: cost.calls,
        seconds: cost.spent.as_secs_f64(),
    }
}

impl From<ReportError> for RunError {
    fn from(error: ReportError) -> RunError {
        match error {
            ReportError::File { path, source } => RunError::file(path, source),
            other => RunError::file("run.json", std::io::Error::other(other)),
        }
    }
}
