//! What goes into a checkpoint and what comes back out of one. How it lies on disk is `checkpoint`'s matter.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value as Json, json};
use snaphook_hooks::{Dispatcher, HookFault, Host, source_label};
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::{HookError, HookPoint, HookState};

use crate::RunError;
use crate::checkpoint::{self, Checkpoint, LoadReport};
use crate::clock::{Phase, Track};
use crate::machine::{Machine, SaveRequest};
use crate::run::Run;
use crate::settings::Start;
use snaphook_schedules::LoadedSchedules;

const EMA: &str = "ema";

impl Host for Machine {
    type Error = RunError;

    fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    fn carry_out(&mut self, hooks: &mut Dispatcher) -> Result<(), RunError> {
        let outer = self.clock.enter(Phase::Checkpoint);
        let mut result = Ok(());
        while let (Ok(()), Some(request)) = (&result, self.requests.pop_front()) {
            result = save(hooks, self, &request);
        }
        self.clock.enter(outer);
        result
    }

    fn hook_returned(&mut self, hook: &dyn HookInstance, point: HookPoint, began: Instant) {
        if self.clock.is_traced() {
            let details = json!({ "point": point.name() });
            self.clock.note(Track::Hook, hook.type_name().to_owned(), began, details);
        }
    }
}

fn save(
    hooks: &mut Dispatcher,
    machine: &mut Machine,
    request: &SaveRequest,
) -> Result<(), RunError> {
    machine.entries = Map::new();
    hooks.call(HookPoint::BeforeSaveCheckpoint, None, machine)?;
    let states = hook_states(hooks, machine)?;
    let checkpoint = collect(machine, request, states);
    let path = checkpoint::save(&checkpoint, &machine.info.work_dir, &request.name)?;
    if request.last {
        checkpoint::write_last(&machine.info.work_dir, &path)?;
    }
    let saved = json!({
        "path": path,
        "epoch": checkpoint.meta["epoch"],
        "iter": checkpoint.meta["iter"],
        "is_best": request.best.is_some(),
        "best": request.best,
    });
    // The point at which a hook asked for the checkpoint goes on afterwards, with what it carries.
    let outer = std::mem::replace(&mut machine.payload, saved);
    let result = hooks.call(HookPoint::AfterSaveCheckpoint, None, machine);
    machine.payload = outer;
    result
}

fn collect(machine: &mut Machine, request: &SaveRequest, states: Json) -> Checkpoint {
    let state = machine.task.model.state();
    let mut checkpoint = Checkpoint {
        meta: meta(machine, request),
        model: state
            .entries()
            .iter()
            .map(|entry| (entry.name.clone(), entry.tensor.detach()))
            .collect(),
        ..Checkpoint::default()
    };
    if let Some(averager) = &mut machine.averager {
        // The weights that people use are the averaged ones; the raw ones lie beside them for a resume.
        let (averaged, raw) = averager.split(state);
        checkpoint.model = averaged;
        checkpoint.tensors.insert(EMA.to_owned(), raw);
        machine.entries.insert("ema".to_owned(), averager.save());
    }
    if request.optimizer.unwrap_or(true) {
        checkpoint.optimizer = machine.optim.as_ref().map(|optim| optim.save());
    }
    if request.schedules.unwrap_or(true) {
        let schedules = machine.schedules.as_ref().map_or(Json::Null, |schedules| schedules.save());
        machine.entries.insert("param_schedulers".to_owned(), schedules);
    }
    machine.entries.insert("messages".to_owned(), machine.messages.save());
    machine.entries.insert("hooks".to_owned(), states);
    checkpoint.entries = std::mem::take(&mut machine.entries);
    checkpoint
}

fn meta(machine: &Machine, request: &SaveRequest) -> Json {
    json!({
        "epoch": request.epoch.unwrap_or(machine.progress.epoch),
        "iter": request.iter.unwrap_or(machine.progress.iter),
        "epoch_length": machine.task.train_data.as_ref().map(|data| data.batches()),
        "seed": machine.info.seed,
        "experiment_name": machine.info.experiment_name,
        "snaphook_version": env!("CARGO_PKG_VERSION"),
        "dataset_meta": machine.data_meta("train"),
        "plugins": machine.plugins,
        "cfg": machine.config,
    })
}

fn fault(
    hook: &dyn HookInstance,
    point: HookPoint,
    error: HookError,
    machine: &Machine,
) -> RunError {
    let source = source_label(hook.source());
    RunError::from(Box::new(HookFault {
        hook: format!("{} ({source})", hook.type_name()),
        point,
        epoch: machine.progress.epoch,
        iter: machine.progress.iter,
        error,
    }))
}

/// The states of all hooks that have one, by type and position among hooks of the same type.
fn hook_states(hooks: &mut Dispatcher, machine: &Machine) -> Result<Json, RunError> {
    let mut states = Vec::new();
    for hook in hooks.hooks_mut() {
        let state = hook.save_state();
        let state =
            state.map_err(|error| fault(hook, HookPoint::BeforeSaveCheckpoint, error, machine))?;
        if let Some(HookState { version, data }) = state {
            let source = source_label(hook.source());
            states.push(json!({ "type": hook.type_name(), "source": source, "version": version, "data": data }));
        }
    }
    Ok(Json::Array(states))
}

/// Loads or resumes as asked, and says what was done.
pub(crate) fn start(run: &mut Run, start: &Start) -> Result<(), RunError> {
    let work_dir = run.machine.info.work_dir.clone();
    for leftover in checkpoint::clean_leftovers(&work_dir)? {
        run.machine
            .log
            .info(format!("Removed what an interrupted run had left: {}", leftover.display()));
    }
    match start {
        Start::Fresh => Ok(()),
        Start::Weights(path) => load_weights(run, path),
        Start::Resume(path) => resume(run, path),
        Start::ResumeLast => match checkpoint::find_last(&work_dir)? {
            Some(path) => resume(run, &path),
            None => {
                let place = work_dir.display();
                run.machine.log.warn(format!(
                    "--resume: there is no checkpoint in {place}, training starts from the beginning"
                ));
                Ok(())
            }
        },
    }
}

/// The checkpoint that a run would start from, before anything is built: its file and what it says
/// of the run (`seed`).
///
/// Errors: a checkpoint that cannot be read.
pub fn peek(start: &Start, work_dir: &Path) -> Result<Option<(PathBuf, Json)>, RunError> {
    let path = match start {
        Start::Resume(path) | Start::Weights(path) => path.clone(),
        Start::ResumeLast => match checkpoint::find_last(work_dir)? {
            Some(path) => path,
            None => return Ok(None),
        },
        Start::Fresh => return Ok(None),
    };
    let meta = checkpoint::read_meta(&path)?;
    Ok(Some((path, meta)))
}

/// Whether what the run would start from fits it, before anything is written. The model's weights are
/// changed by it, and are made anew when the run starts.
pub(crate) fn check(run: &mut Run, start: &Start) -> Result<(), RunError> {
    let Some((path, _)) = peek(start, &run.machine.info.work_dir)? else { return Ok(()) };
    let checkpoint = checkpoint::load(&path)?;
    let machine = &mut run.machine;
    let state = machine.task.model.state();
    if let Start::Weights(_) = start {
        return fit_weights(machine, &checkpoint, &path).map(|_| ());
    }
    let weights = checkpoint.tensors.get(EMA).unwrap_or(&checkpoint.model);
    checkpoint::load_into(weights, state, &path)?.require_whole(&path)?;
    if let (Some(optim), Some(saved)) = (&mut machine.optim, &checkpoint.optimizer) {
        // What was edited is told when the run resumes.
        let _ = optim.load(saved)?;
    }
    Ok(())
}

/// Puts weights into the model. A test measures this model and no other; a training may start from whatever
/// fits.
fn fit_weights(
    machine: &Machine,
    checkpoint: &Checkpoint,
    path: &Path,
) -> Result<LoadReport, RunError> {
    let report = checkpoint::load_into(&checkpoint.model, machine.task.model.state(), path)?;
    let lacks_weights = !report.missing.is_empty() || !report.mismatched.is_empty();
    if machine.task.train_data.is_none() && lacks_weights {
        report.require_whole(path)?;
    }
    Ok(report)
}

fn load(run: &mut Run, path: &Path) -> Result<Checkpoint, RunError> {
    let mut checkpoint = checkpoint::load(path)?;
    run.machine.entries = std::mem::take(&mut checkpoint.entries);
    run.call(HookPoint::AfterLoadCheckpoint)?;
    Ok(checkpoint)
}

fn load_weights(run: &mut Run, path: &Path) -> Result<(), RunError> {
    let checkpoint = load(run, path)?;
    let report = fit_weights(&run.machine, &checkpoint, path)?;
    for line in report.lines() {
        run.machine.log.warn(line);
    }
    if let Some(averager) = &mut run.machine.averager {
        averager.copy_from(run.machine.task.model.state());
    }
    run.machine.log.info(format!("Load checkpoint from {}", path.display()));
    Ok(())
}

fn resume(run: &mut Run, path: &Path) -> Result<(), RunError> {
    let mut checkpoint = load(run, path)?;
    let machine = &mut run.machine;
    let state = machine.task.model.state();
    let raw = checkpoint.tensors.remove(EMA);
    match (&mut machine.averager, raw) {
        (Some(averager), Some(raw)) => {
            checkpoint::load_into(&raw, state, path)?.require_whole(path)?;
            averager.load(&machine.entries["ema"], &checkpoint.model)?;
        }
        (None, Some(raw)) => {
            checkpoint::load_into(&raw, state, path)?.require_whole(path)?;
        }
        (averager, None) => {
            checkpoint::load_into(&checkpoint.model, state, path)?.require_whole(path)?;
            if let Some(averager) = averager {
                machine.log.warn(
                    "The checkpoint has no averaged weights: the average starts from its weights",
                );
                averager.copy_from(state);
            }
        }
    }
    restore(run, &checkpoint)?;
    run.machine.resumed_from = Some(path.to_owned());
    let progress = run.machine.progress;
    run.machine.log.info(format!(
        "Resumed from {} (epoch {}, iteration {})",
        path.display(),
        progress.epoch,
        progress.iter
    ));
    Ok(())
}

fn restore(run: &mut Run, checkpoint: &Checkpoint) -> Result<(), RunError> {
    let machine = &mut run.machine;
    machine.progress.epoch = checkpoint.meta["epoch"].as_u64().unwrap_or(0);
    machine.progress.iter = checkpoint.meta["iter"].as_u64().unwrap_or(0);
    let length = checkpoint.meta["epoch_length"].as_u64();
    if length.is_some_and(|length| length != machine.progress.epoch_length) {
        machine.log.warn(format!(
            "The checkpoint's epochs had {} batches, this run's have {}: iterations are counted anew from its epoch",
            length.unwrap_or(0),
            machine.progress.epoch_length
        ));
        machine.progress.iter = machine.progress.epoch * machine.progress.epoch_length;
    }
    for change in plugin_changes(&checkpoint.meta["plugins"], &machine.plugins) {
        machine.log.warn(change);
    }
    if checkpoint.meta["dataset_meta"] != machine.data_meta("train") {
        machine.log.warn("The checkpoint was trained on a data set with other classes or colours");
    }
    let entries = std::mem::take(&mut machine.entries);
    restore_optimizer(machine, checkpoint, &entries)?;
    machine.messages.load(&entries["messages"])?;
    restore_hooks(run, &entries)
}

/// What differs between the plugins of a checkpoint and those of this run, a sentence each.
fn plugin_changes(saved: &Json, now: &[Json]) -> Vec<String> {
    let saved = saved.as_array().map_or(&[][..], Vec::as_slice);
    let text = |plugin: &Json, key: &str| plugin[key].as_str().unwrap_or("?").to_owned();
    let changed = |plugin: &Json| {
        let old = saved
            .iter()
            .find(|old| old["name"] == plugin["name"] && old["type"] == plugin["type"])?;
        let is_same = old["sha256"] == plugin["sha256"];
        (!is_same).then(|| {
            format!(
                "Plugin {} is another one than when the checkpoint was saved: version {} then, {} now ({})",
                text(plugin, "name"),
                text(old, "version"),
                text(plugin, "version"),
                text(plugin, "path")
            )
        })
    };
    now.iter().filter_map(changed).collect()
}

/// Takes over optimizer and schedules; what was edited since the save holds, and is told.
fn restore_optimizer(
    machine: &mut Machine,
    checkpoint: &Checkpoint,
    entries: &Map<String, Json>,
) -> Result<(), RunError> {
    let (Some(optim), Some(schedules)) = (&mut machine.optim, &mut machine.schedules) else {
        return Ok(());
    };
    let Some(saved) = &checkpoint.optimizer else {
        machine.log.warn("The checkpoint has no optimizer state: momentum starts from nothing");
        return Ok(());
    };
    let mut edits = optim.load(saved)?.edits;
    let plans = entries.get("param_schedulers").filter(|plans| !plans.is_null());
    if let Some(plans) = plans
        && let LoadedSchedules::Edited { changes } = schedules.load(plans)?
    {
        edits.extend(changes);
    }
    if !edits.is_empty() {
        let edits = edits.join("; ");
        machine.log.warn(format!(
            "Optimizer or schedule were edited since the save, the edited ones hold: {edits}"
        ));
        schedules.replay(machine.progress.epoch, machine.progress.iter, optim)?;
    }
    Ok(())
}

fn restore_hooks(run: &mut Run, entries: &Map<String, Json>) -> Result<(), RunError> {
    let mut saved: Vec<Json> =
        entries.get("hooks").and_then(Json::as_array).cloned().unwrap_or_default();
    for hook in run.dispatcher.hooks_mut() {
        let Some(index) = saved.iter().position(|state| state["type"] == hook.type_name()) else {
            continue;
        };
        let state = saved.remove(index);
        let version = state["version"].as_u64().unwrap_or(1) as u32;
        let loaded = hook.load_state(HookState { version, data: state["data"].clone() });
        loaded.map_err(|error| fault(hook, HookPoint::AfterLoadCheckpoint, error, &run.machine))?;
    }
    for state in saved {
        let kind = &state["type"];
        run.machine.log.warn(format!(
            "The checkpoint has a state of hook {kind}, which this run does not have"
        ));
    }
    Ok(())
}
