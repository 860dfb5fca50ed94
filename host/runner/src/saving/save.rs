//! Saves: collects copies of all state, hands them to the thread that writes, and tells hooks when they are on the disk.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Map, Value as Json, json};
use snaphook_hooks::{Dispatcher, Host, SavedHook};
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::{HookPoint, HookState};
use tch::{Device, Tensor, no_grad};

use super::{GRADIENTS, gradients};
use crate::RunError;
use crate::checkpoint::{self, Checkpoint, EMA, Job, Supplement, Written};
use crate::clock::{Phase, Track};
use crate::machine::{Machine, SaveRequest, SavedMoment};
use crate::run::Run;

/// A best checkpoint may wait behind a regular one; more copies of the state than these are not kept.
const MOST_IN_FLIGHT: usize = 2;

impl Host for Machine {
    type Error = RunError;

    fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    fn carry_out(&mut self, hooks: &mut Dispatcher) -> Result<(), RunError> {
        let outer = self.clock.enter(Phase::Checkpoint);
        let mut result = Ok(());
        while let (Ok(()), Some(request)) = (&result, self.requests.pop_front()) {
            if self.fast.is_some() {
                self.log.info(format!("{} is not saved: --fast-dev-run", request.name));
                continue;
            }
            result = save(hooks, self, &request);
        }
        self.clock.enter(outer);
        result
    }

    fn hook_called(&mut self, hook: &dyn HookInstance, point: HookPoint) {
        if self.ranks.are_many() {
            self.caller = Some((hook.type_name().to_owned(), point));
        }
    }

    fn hook_returned(&mut self, hook: &dyn HookInstance, point: HookPoint, began: Instant) {
        if self.clock.is_traced() {
            let details = json!({ "point": point.name() });
            self.clock.note(Track::Hook, hook.type_name().to_owned(), began, details);
        }
    }

    fn drop_requests(&mut self) {
        self.requests.clear();
    }
}

/// Saves as a hook, or the end of the run, asked. The state is copied when this returns; writing it goes on.
pub(super) fn save(
    hooks: &mut Dispatcher,
    machine: &mut Machine,
    request: &SaveRequest,
) -> Result<(), RunError> {
    // Hooks that count checkpoints have heard of the one before when they are asked for their state.
    if request.last || machine.writer.in_flight() >= MOST_IN_FLIGHT {
        wait_for_all(hooks, machine)?;
    }
    machine.entries = Map::new();
    hooks
        .call(HookPoint::BeforeSaveCheckpoint, None, machine)
        .map_err(|error| of_this_iteration(error, machine))?;
    let gathered = gradients::gather(machine, request)?;
    let folder = request.folder.clone().unwrap_or_else(|| machine.home().to_owned());
    let path = folder.join(&request.name);
    // Hooks run on every rank, rank 0 writes. A hook that cannot tell its state leaves the moment unsaved.
    let is_main = machine.ranks.is_main();
    let states = is_main.then(|| hook_states(hooks, machine, request.interim)).transpose()?;
    if request.last {
        // On every rank, so that all of them know alike whether a moment is saved.
        machine.saved = Some(moment(machine, request, path.clone()));
        machine.saved_state = None;
    }
    let Some(states) = states else {
        machine.entries = Map::new();
        return Ok(());
    };
    let checkpoint = collect(machine, request, states, gathered);
    if !machine.ranks.is_parted() {
        // The copies have waited for the GPUs, perhaps in vain.
        machine.ranks.check()?;
    }
    let details = json!({
        "epoch": checkpoint.meta["epoch"],
        "iter": checkpoint.meta["iter"],
        "is_best": request.best.is_some(),
        "best": request.best,
        "is_regular": request.last && !request.interim,
        "is_interim": request.interim,
    });
    if request.interim {
        machine.interim.push(path);
    }
    if request.last && machine.is_validation_pending {
        machine.saved_state = Some(checkpoint::state_json(&checkpoint));
    }
    machine.writer.start(Job {
        checkpoint,
        folder,
        name: request.name.clone(),
        last_in: request.last.then(|| machine.home().to_owned()),
        details,
    })?;
    Ok(())
}

fn moment(machine: &Machine, request: &SaveRequest, path: PathBuf) -> SavedMoment {
    SavedMoment {
        epoch: request.epoch.unwrap_or(machine.progress.epoch),
        iter: request.iter.unwrap_or(machine.progress.iter),
        is_validation_pending: machine.is_validation_pending,
        path,
    }
}

/// Tells hooks of the checkpoints that have reached the disk by now.
///
/// Errors: one could not be written; a hook that asks for the end.
pub(crate) fn tell_finished(run: &mut Run) -> Result<(), RunError> {
    while let Some(written) = run.machine.writer.finished() {
        tell(&mut run.dispatcher, &mut run.machine, written?)?;
    }
    Ok(())
}

/// Waits until all checkpoints are on the disk, and tells hooks.
///
/// Errors: as [`tell_finished`].
pub(crate) fn settle(run: &mut Run) -> Result<(), RunError> {
    wait_for_all(&mut run.dispatcher, &mut run.machine)
}

fn wait_for_all(hooks: &mut Dispatcher, machine: &mut Machine) -> Result<(), RunError> {
    while let Some(written) = machine.writer.wait() {
        tell(hooks, machine, written?)?;
    }
    Ok(())
}

fn tell(hooks: &mut Dispatcher, machine: &mut Machine, written: Written) -> Result<(), RunError> {
    let Written { path, details: mut saved, moved } = written;
    if let Some(moved) = moved {
        machine.log.warn(format!(
            "{} was there and is no checkpoint: it is called {} now",
            path.display(),
            moved.display()
        ));
    }
    let is_interim = saved["is_interim"] == true;
    if is_interim || saved["is_regular"] == true {
        // What earlier interruptions left is in the way now: this one goes further.
        let (own, old): (Vec<_>, Vec<_>) =
            std::mem::take(&mut machine.interim).into_iter().partition(|interim| *interim == path);
        machine.interim = own;
        old.into_iter().try_for_each(|interim| machine.writer.remove(interim))?;
    }
    saved["path"] = json!(path);
    // The point at which the run stands goes on afterwards, with what it carries.
    let outer = std::mem::replace(&mut machine.payload, saved);
    let result = hooks.call(HookPoint::AfterSaveCheckpoint, None, machine);
    machine.payload = outer;
    result.map_err(|error| of_this_iteration(error, machine))
}

/// A hook that failed at a save, with the iteration that runs, or ran last: checkpoints are saved before and after it counts
/// as finished.
fn of_this_iteration(error: RunError, machine: &Machine) -> RunError {
    match (error, machine.clock.running().counted()) {
        (RunError::Hook(mut fault), Some((epoch, iteration))) => {
            (fault.epoch, fault.iter) = (epoch - 1, iteration - 1);
            RunError::Hook(fault)
        }
        (error, _) => error,
    }
}

fn collect(
    machine: &mut Machine,
    request: &SaveRequest,
    states: Json,
    gathered: Vec<(String, Tensor)>,
) -> Checkpoint {
    let state = machine.task.model.state();
    let mut checkpoint = Checkpoint {
        meta: meta(machine, request),
        model: state
            .entries()
            .iter()
            .map(|entry| (entry.name.clone(), copy(&entry.tensor)))
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
    if !gathered.is_empty() {
        checkpoint.tensors.insert(GRADIENTS.to_owned(), gathered);
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

/// After a validation: what it changed goes into the checkpoint of this moment, if there is one.
///
/// Errors: a hook that cannot tell its state.
pub(crate) fn add_validation(run: &mut Run) -> Result<(), RunError> {
    let machine = &mut run.machine;
    let progress = machine.progress;
    let Some(saved) = machine.saved.clone().filter(|saved| {
        (saved.epoch, saved.iter) == (progress.epoch, progress.iter) && saved.is_validation_pending
    }) else {
        return Ok(());
    };
    let Some(mut state) = machine.saved_state.clone() else {
        // Rank 0 wrote it, and adds to it.
        machine.saved = Some(SavedMoment { is_validation_pending: false, ..saved });
        return Ok(());
    };
    let states = hook_states(&mut run.dispatcher, machine, false)?;
    state["meta"]["validation_pending"] = false.into();
    if let (Some(optim), false) = (&machine.optim, state["optimizer"].is_null()) {
        state["optimizer"] = optim.save_scalars();
    }
    if let (Some(schedules), true) =
        (&machine.schedules, state["entries"].get("param_schedulers").is_some())
    {
        state["entries"]["param_schedulers"] = schedules.save();
    }
    state["entries"]["messages"] = machine.messages.save();
    state["entries"]["hooks"] = states;
    let checkpoint = saved.path.clone();
    machine.saved = Some(SavedMoment { is_validation_pending: false, ..saved });
    Ok(machine.writer.add(Supplement { checkpoint, state })?)
}

fn meta(machine: &Machine, request: &SaveRequest) -> Json {
    json!({
        "epoch": request.epoch.unwrap_or(machine.progress.epoch),
        "iter": request.iter.unwrap_or(machine.progress.iter),
        "world_size": machine.ranks.world(),
        "batch_size": machine.config["train_dataloader"]["batch_size"],
        "epoch_length": machine.task.train_data.as_ref().map(|data| data.batches()),
        "seed": machine.info.seed,
        "experiment_name": machine.info.experiment_name,
        "snaphook_version": env!("CARGO_PKG_VERSION"),
        "dataset_meta": machine.data_meta("train"),
        "data": machine.task.train_data.as_ref().and_then(|data| data.fingerprint()),
        "plugins": machine.plugins,
        "validation_pending": machine.is_validation_pending || machine.wants_validation,
        "interim": request.interim,
        "cfg": machine.config,
    })
}

/// A copy on the CPU that nobody else changes.
fn copy(tensor: &Tensor) -> Tensor {
    no_grad(|| tensor.detach().to_device_(Device::Cpu, tensor.kind(), false, true))
}

/// The states of all hooks that have one, by type, arguments and position among hooks of the same type.
fn hook_states(
    hooks: &mut Dispatcher,
    machine: &mut Machine,
    is_last_resort: bool,
) -> Result<Json, RunError> {
    let states = hooks.save_states(machine, is_last_resort)?;
    let state = |hook: SavedHook| {
        let HookState { version, data } = hook.state;
        json!({ "type": hook.type_name, "source": hook.source, "arguments": hook.arguments, "version": version,
            "data": data })
    };
    Ok(states.into_iter().map(state).collect())
}
