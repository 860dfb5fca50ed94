//! A run from its start to its end: what is built when, what is loaded, which loop goes.
//! Knows nothing of pictures or `.so` files.

mod end;

use std::time::{Duration, Instant};

use snaphook_hooks::{Dispatcher, hook_table};
use snaphook_optimizers::AutoScale;
use snaphook_plugin_api::HookPoint;
use snaphook_report::Kind;

use crate::checkpoint;
use crate::clock::Phase;
use crate::log::{VisBackends, VisSettings};
use crate::loops::{self, EvalStage};
use crate::machine::{Machine, stage};
use crate::optim::{OptimError, OptimWrapper};
use crate::panics;
use crate::progress_bar::TrainingBar;
use crate::ranks::Occasion;
use crate::record::RecordKeeper;
use crate::saving;
use crate::settings::{EvalSettings, Length, Start, TrainSettings};
use crate::workdir::WorkFolderLock;
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
    sanity_batches: u64,
    lock: Option<WorkFolderLock>,
    /// The last point that was called.
    last_point: Option<HookPoint>,
    /// Whether all of the training was done, and hooks heard of its end.
    is_over: bool,
}

impl Run {
    /// A run that has not begun.
    pub fn new(machine: Machine, dispatcher: Dispatcher) -> Run {
        Run {
            machine,
            dispatcher,
            bar: None,
            record: None,
            sanity_batches: 0,
            lock: None,
            last_point: None,
            is_over: false,
        }
    }

    /// Trains by `train_cfg`, validating and saving on the way.
    ///
    /// Errors: a wrong section of the config, a checkpoint that does not fit, a batch that cannot be
    /// read, a hook that asks for the end. Hooks hear of it at `on_exception`.
    pub fn train(&mut self, start: &Start) -> Result<(), RunError> {
        let result = self.guarded(|run| run.try_train(start));
        self.finish(result)
    }

    /// A panic ends the run as any error does: hooks hear of it, and the record is closed.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Run) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        let result = panics::caught(|| work(self));
        result.unwrap_or_else(|message| {
            Err(RunError::Panic { place: self.stage_and_iteration(), message })
        })
    }

    fn stage_and_iteration(&self) -> String {
        format!("{}, {}", stage_name(self.machine.progress.stage), self.machine.clock.running())
    }

    /// Runs a few batches of every validation set before training, see [`Run::train`]; 0 by default.
    pub fn check_validation_first(&mut self, batches: u64) {
        self.sanity_batches = batches;
    }

    /// Tests the model by `test_dataloader` and `test_evaluator`.
    ///
    /// Errors: as [`Run::train`].
    pub fn test(&mut self, start: &Start) -> Result<Evaluation, RunError> {
        let result = self.guarded(|run| run.try_test(start));
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

    /// Takes the work folder for this training, as far as it is there already and something will be saved into it.
    ///
    /// Errors: another training has it.
    pub fn claim_work_folder(&mut self) -> Result<(), RunError> {
        let machine = &self.machine;
        let saves = machine.ranks.is_main() && !machine.is_trial && machine.fast.is_none();
        if saves && self.lock.is_none() {
            self.lock = WorkFolderLock::take(&machine.info.work_dir)?;
        }
        Ok(())
    }

    /// A run that starts anew where another one has saved deserves a word.
    fn warn_of_earlier_run(&self, start: &Start) {
        let work_dir = &self.machine.info.work_dir;
        let is_fresh = matches!(start, Start::Fresh | Start::Weights(_)) && self.lock.is_some();
        if is_fresh && checkpoint::find_last(work_dir).is_ok_and(|last| last.is_some()) {
            self.machine.log.warn(format!(
                "{} has checkpoints of an earlier run: new ones of the same names take their place (go on with \
                 --resume, or give --work-dir)",
                work_dir.display()
            ));
        }
    }

    fn try_train(&mut self, start: &Start) -> Result<(), RunError> {
        self.claim_work_folder()?;
        self.warn_of_earlier_run(start);
        let settings = TrainSettings::from_config(&self.machine.config)?;
        self.machine.eval_settings = EvalSettings::from_config(&self.machine.config)?;
        if self.machine.optim.is_none() {
            self.prepare()?;
        }
        self.check_metrics()?;
        self.open_files(Kind::Train)?;
        self.call(HookPoint::BeforeRun)?;
        if self.needs_start_values(start)? {
            self.init_weights()?;
        }
        saving::start(self, start)?;
        let machine = &mut self.machine;
        machine.ranks.start_training(machine.task.model.state())?;
        self.machine.first_iter = self.machine.progress.iter;
        if let Some(record) = &mut self.record {
            record.started(&mut self.machine, &self.dispatcher)?;
        }
        if self.sanity_batches > 0 {
            let checked = loops::sanity_check(self, self.sanity_batches);
            self.machine.ranks.agree_on(Occasion::Start, checked)?;
        }
        self.bar = TrainingBar::new(&self.machine);
        let began = Instant::now();
        loops::train(self, &settings)?;
        let in_loop = began.elapsed();
        self.bar = None;
        self.call(HookPoint::AfterRun)?;
        self.is_over = true;
        self.log_costs(in_loop);
        Ok(())
    }

    fn try_test(&mut self, start: &Start) -> Result<Evaluation, RunError> {
        self.machine.eval_settings = EvalSettings::from_config(&self.machine.config)?;
        self.machine.messages.keep_at_least(self.machine.history_window());
        self.open_files(Kind::Test)?;
        self.call(HookPoint::BeforeRun)?;
        // A test takes all weights from its checkpoint; files of trained weights need not be there.
        if *start == Start::Fresh {
            self.init_weights()?;
        }
        saving::start(self, start)?;
        let evaluation = loops::evaluate(self, EvalStage::Test)?;
        self.call(HookPoint::AfterRun)?;
        Ok(evaluation)
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
            let text = match (data.samples(), self.machine.ranks.world()) {
                (0, _) => "no batch: the data set is empty".to_owned(),
                (samples, 1) => {
                    format!("no batch: {samples} samples are less than one batch with drop_last")
                }
                (samples, world) => format!(
                    "no batch: {samples} samples are less than one batch of {world} processes with drop_last, or one sample \
                     for each with round_up=False"
                ),
            };
            return Err(RunError::config("train_dataloader", text));
        }
        let (max_epochs, max_iters) = settings.limits(batches);
        let progress = &mut self.machine.progress;
        progress.by_epoch = u32::from(matches!(settings.length, Length::Epochs(_)));
        progress.max_epochs = max_epochs;
        progress.max_iters = max_iters;
        progress.epoch_length = batches;
        let config = &self.machine.config;
        let mut optim =
            OptimWrapper::build(&config["optim_wrapper"], self.machine.task.model.state())?;
        if let Some(scale) = AutoScale::read(config).map_err(OptimError::from)? {
            let scale = scale.over_ranks(self.machine.ranks.world() as u64);
            optim.scale_learning_rates(scale.factor());
            let AutoScale { base_batch_size, batch_size } = scale;
            self.machine.log.info(format!(
                "LR is set based on batch size of {base_batch_size} and the current batch size is {batch_size}. \
                 Scaling the original LR by {}.",
                scale.factor()
            ));
        }
        let context = ScheduleContext { max_epochs, max_iters, epoch_length: batches };
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
        if self.machine.ranks.is_main() {
            self.machine.visuals = Some(VisBackends::open(settings, &vis_data, timestamp)?);
            self.record = Some(RecordKeeper::start(kind, &mut self.machine, &self.dispatcher)?);
        }
        self.machine.log.info(hook_table(|point| self.dispatcher.rows(point)));
        Ok(())
    }

    /// A resumed run takes all weights from its checkpoint; files of trained weights need not be there any more.
    fn needs_start_values(&self, start: &Start) -> Result<bool, RunError> {
        Ok(match start {
            Start::Resume(_) => false,
            Start::ResumeLast => checkpoint::find_last(&self.machine.info.work_dir)?.is_none(),
            Start::Fresh | Start::Weights(_) => true,
        })
    }

    pub(crate) fn init_weights(&mut self) -> Result<(), RunError> {
        let seed = self.machine.info.seed;
        self.machine.task.model.init_weights(seed).map_err(RunError::StartValues)
    }

    /// Calls a point that has no batch.
    pub(crate) fn call(&mut self, point: HookPoint) -> Result<(), RunError> {
        self.call_hooks(point, None, Turns::UntilError)
    }

    /// Calls a point of a batch.
    pub(crate) fn call_batch(&mut self, point: HookPoint, batch_idx: u64) -> Result<(), RunError> {
        self.call_hooks(point, Some(batch_idx), Turns::UntilError)
    }

    fn call_hooks(
        &mut self,
        point: HookPoint,
        batch_idx: Option<u64>,
        turns: Turns,
    ) -> Result<(), RunError> {
        self.last_point = Some(point);
        let outer = self.machine.clock.enter(Phase::Hooks);
        let (hooks, machine) = (&mut self.dispatcher, &mut self.machine);
        let result = match turns {
            Turns::UntilError => hooks.call(point, batch_idx, machine),
            Turns::All => hooks.call_to_the_end(point, batch_idx, machine),
        };
        self.machine.clock.enter(outer);
        result?;
        match &mut self.record {
            Some(record) => record.after(point, &mut self.machine, &self.dispatcher),
            None => Ok(()),
        }
    }

    /// Calls a point at which every hook has its turn, whatever one of them says; the first error comes back.
    pub(crate) fn call_to_the_end(&mut self, point: HookPoint) -> Result<(), RunError> {
        self.call_hooks(point, None, Turns::All)
    }

    /// The same for a point of a batch.
    pub(crate) fn call_batch_to_the_end(
        &mut self,
        point: HookPoint,
        batch_idx: u64,
    ) -> Result<(), RunError> {
        self.call_hooks(point, Some(batch_idx), Turns::All)
    }

    /// Shows how far a validation is.
    pub(crate) fn show_evaluation(&mut self, done: u64) {
        let batches = self.machine.progress.epoch_length;
        if let Some(bar) = &mut self.bar {
            bar.validating(done, batches);
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
        if self.machine.progress.iter == self.machine.first_iter {
            return;
        }
        let costs = self.dispatcher.costs();
        let total: Duration = costs.iter().map(|cost| cost.spent).sum();
        let share = |spent: Duration| 100.0 * spent.as_secs_f64() / in_loop.as_secs_f64().max(1e-9);
        let dear: Vec<_> = costs
            .iter()
            .filter_map(|cost| {
                let (point, spent, calls) = cost.points.first()?;
                let each = 1e6 * spent.as_secs_f64() / *calls as f64;
                let (name, share) = (&cost.row.type_name, share(cost.spent));
                Some(format!("{name} {share:.2} % ({}: {each:.1} us a call)", point.name()))
            })
            .take(5)
            .collect();
        self.machine.log.info(format!(
            "Hooks took {:.2} % of {:.1} s of training: {}",
            share(total),
            in_loop.as_secs_f64(),
            dear.join(", ")
        ));
    }
}

/// Which hooks are called when one of them fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turns {
    /// Those before it.
    UntilError,
    /// All the same.
    All,
}

fn stage_name(number: u32) -> &'static str {
    match number {
        stage::TRAIN => "training",
        stage::VAL => "validation",
        stage::TEST => "test",
        _ => "start or end",
    }
}
