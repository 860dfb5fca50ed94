//! A run from its start to its end: what is built when, what is loaded, which loop goes.
//! Knows nothing of pictures or `.so` files.

use std::time::{Duration, Instant};

use snaphook_hooks::{Dispatcher, hook_table};
use snaphook_plugin_api::HookPoint;
use snaphook_report::Kind;

use crate::clock::Phase;
use crate::log::{VisBackends, VisSettings};
use crate::loops::{self, EvalStage};
use crate::machine::{Machine, stage};
use crate::optim::OptimWrapper;
use crate::progress_bar::TrainingBar;
use crate::record::RecordKeeper;
use crate::saving;
use crate::settings::{Start, TrainSettings};
use crate::{Evaluation, RunError};
use snaphook_schedules::{ScheduleContext, Schedules};

/// A machine with its hooks.
pub struct Run {
    /// What hooks can reach.
    pub machine: Machine,
    /// The hooks.
    pub dispatcher: Dispatcher,
    bar: Option<TrainingBar>,
    record: Option<RecordKeeper>,
}

impl Run {
    /// A run that has not begun.
    pub fn new(machine: Machine, dispatcher: Dispatcher) -> Run {
        Run { machine, dispatcher, bar: None, record: None }
    }

    /// Trains by `train_cfg`, validating and saving on the way.
    ///
    /// Errors: a wrong section of the config, a checkpoint that does not fit, a batch that cannot be
    /// read, a hook that asks for the end. Hooks hear of it at `on_exception`.
    pub fn train(&mut self, start: &Start) -> Result<(), RunError> {
        let result = self.try_train(start);
        self.finish(result)
    }

    /// Tests the model by `test_dataloader` and `test_evaluator`.
    ///
    /// Errors: as [`Run::train`].
    pub fn test(&mut self, start: &Start) -> Result<Evaluation, RunError> {
        let result = self.try_test(start);
        self.finish(result)
    }

    /// Whether the checkpoint that the run would start from fits it, and what it would write is known, before
    /// anything is written.
    ///
    /// Errors: a checkpoint that is missing, damaged, or of another model or optimizer; a wrong `visualizer`.
    pub fn check_start(&mut self, start: &Start) -> Result<(), RunError> {
        self.machine.vis_settings = VisSettings::from_config(&self.machine.config)?;
        saving::check(self, start)
    }

    fn try_train(&mut self, start: &Start) -> Result<(), RunError> {
        let settings = TrainSettings::from_config(&self.machine.config)?;
        if self.machine.optim.is_none() {
            self.prepare()?;
        }
        self.open_files(Kind::Train)?;
        self.call(HookPoint::BeforeRun)?;
        self.init_weights()?;
        saving::start(self, start)?;
        self.machine.first_iter = self.machine.progress.iter;
        self.bar = TrainingBar::new(&self.machine);
        let began = Instant::now();
        loops::train(self, &settings)?;
        let in_loop = began.elapsed();
        self.bar = None;
        self.call(HookPoint::AfterRun)?;
        self.log_costs(in_loop);
        Ok(())
    }

    fn try_test(&mut self, start: &Start) -> Result<Evaluation, RunError> {
        self.machine.messages.keep_at_least(self.machine.history_window());
        self.open_files(Kind::Test)?;
        self.call(HookPoint::BeforeRun)?;
        self.init_weights()?;
        saving::start(self, start)?;
        let evaluation = loops::evaluate(self, EvalStage::Test)?;
        self.call(HookPoint::AfterRun)?;
        Ok(evaluation)
    }

    fn finish<T>(&mut self, result: Result<T, RunError>) -> Result<T, RunError> {
        self.bar = None;
        self.machine.log.set_bar(None);
        if let Err(error) = &result {
            self.machine.log.last_error(&error.to_string());
            self.machine.payload = loops::exception_payload(error);
            let told = self.dispatcher.call(HookPoint::OnException, None, &mut self.machine);
            // The first error is the one that ends the run.
            if let Err(second) = told {
                self.machine.log.warn(format!("While the run was ending: {second}"));
            }
        }
        self.machine.progress.stage = stage::IDLE;
        let Some(mut record) = self.record.take() else { return result };
        let written = record.finish(result.as_ref().err(), &mut self.machine, &self.dispatcher);
        // The first error is the one that ends the run.
        if result.is_ok() { written.and(result) } else { result }
    }

    /// Builds optimizer and schedules by the config, and sets the run's limits; [`Run::train`] does it
    /// when it was not done before.
    ///
    /// Errors: a wrong `train_cfg`, `optim_wrapper` or `param_scheduler`, an empty data set.
    pub fn prepare(&mut self) -> Result<(), RunError> {
        let settings = TrainSettings::from_config(&self.machine.config)?;
        let Some(data) = &self.machine.task.train_data else {
            return Err(RunError::config("train_dataloader", "missing, and it is needed to train"));
        };
        let batches = data.batches() as u64;
        if batches == 0 {
            let text = "no batch: the data set is empty, or smaller than one batch with drop_last";
            return Err(RunError::config("train_dataloader", text));
        }
        let progress = &mut self.machine.progress;
        progress.by_epoch = 1;
        progress.max_epochs = settings.max_epochs;
        progress.max_iters = settings.max_epochs * batches;
        progress.epoch_length = batches;
        let config = &self.machine.config;
        let mut optim =
            OptimWrapper::build(&config["optim_wrapper"], self.machine.task.model.state())?;
        let context = ScheduleContext {
            max_epochs: settings.max_epochs,
            max_iters: settings.max_epochs * batches,
            epoch_length: batches,
        };
        self.machine.messages.keep_at_least(self.machine.history_window());
        self.machine.schedules =
            Some(Schedules::build(&config["param_scheduler"], context, &mut optim)?);
        self.machine.optim = Some(optim);
        Ok(())
    }

    fn open_files(&mut self, kind: Kind) -> Result<(), RunError> {
        let vis_data = self.machine.info.vis_data();
        std::fs::create_dir_all(&vis_data).map_err(|error| RunError::file(&vis_data, error))?;
        let (settings, timestamp) = (&self.machine.vis_settings, &self.machine.info.timestamp);
        self.machine.visuals = Some(VisBackends::open(settings, &vis_data, timestamp)?);
        self.record = Some(RecordKeeper::start(kind, &mut self.machine, &self.dispatcher)?);
        self.machine.log.info(hook_table(|point| self.dispatcher.rows(point)));
        Ok(())
    }

    fn init_weights(&mut self) -> Result<(), RunError> {
        let seed = self.machine.info.seed;
        let failed = |source| RunError::Model { stage: "initialisation", iter: 0, source };
        self.machine.task.model.init_weights(seed).map_err(failed)
    }

    /// Calls a point that has no batch.
    pub(crate) fn call(&mut self, point: HookPoint) -> Result<(), RunError> {
        self.call_hooks(point, None)
    }

    /// Calls a point of a batch.
    pub(crate) fn call_batch(&mut self, point: HookPoint, batch_idx: u64) -> Result<(), RunError> {
        self.call_hooks(point, Some(batch_idx))
    }

    fn call_hooks(&mut self, point: HookPoint, batch_idx: Option<u64>) -> Result<(), RunError> {
        let outer = self.machine.clock.enter(Phase::Hooks);
        let result = self.dispatcher.call(point, batch_idx, &mut self.machine);
        self.machine.clock.enter(outer);
        result?;
        match &mut self.record {
            Some(record) => record.after(point, &mut self.machine, &self.dispatcher),
            None => Ok(()),
        }
    }

    /// Moves the progress bar.
    pub(crate) fn show_progress(&mut self) {
        if let Some(bar) = &mut self.bar {
            bar.update(&mut self.machine);
        }
    }

    /// Tells what hooks cost, the dearest first, as a share of the time spent in the loop.
    fn log_costs(&self, in_loop: Duration) {
        let costs = self.dispatcher.costs();
        let total: Duration = costs.iter().map(|cost| cost.spent).sum();
        let share = |spent: Duration| 100.0 * spent.as_secs_f64() / in_loop.as_secs_f64().max(1e-9);
        let dear: Vec<_> = costs
            .iter()
            .filter(|cost| cost.calls > 0)
            .take(5)
            .map(|cost| {
                let each = 1e6 * cost.spent.as_secs_f64() / cost.calls as f64;
                let name = &cost.row.type_name;
                format!("{name} {:.2} % ({each:.1} us a call)", share(cost.spent))
            })
            .collect();
        self.machine.log.info(format!(
            "Hooks took {:.2} % of {:.1} s of training: {}",
            share(total),
            in_loop.as_secs_f64(),
            dear.join(", ")
        ));
    }
}
