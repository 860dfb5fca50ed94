//! Takes over what a checkpoint says: counters, optimizer, schedules, messages and the states of hooks.

use serde_json::{Map, Value as Json};
use snaphook_hooks::SavedHook;
use snaphook_plugin_api::HookState;
use snaphook_schedules::LoadedSchedules;

use super::edits;
use super::place::{self, Data, Done, Pace};
use crate::checkpoint::Checkpoint;
use crate::machine::Machine;
use crate::run::Run;
use crate::{Order, Rest, RunError};

/// Everything but the weights.
pub(super) fn restore(run: &mut Run, checkpoint: &Checkpoint) -> Result<(), RunError> {
    let machine = &mut run.machine;
    machine.progress.epoch = checkpoint.meta["epoch"].as_u64().unwrap_or(0);
    machine.progress.iter = checkpoint.meta["iter"].as_u64().unwrap_or(0);
    machine.is_validation_pending =
        checkpoint.meta["validation_pending"] == true && !machine.task.validation.is_empty();
    let saved_iter = machine.progress.iter;
    let length = checkpoint.meta["epoch_length"].as_u64();
    let world = checkpoint.meta["world_size"].as_u64().unwrap_or(1);
    let is_resized =
        world != machine.ranks.world() as u64 || has_other_steps(machine, &checkpoint.meta);
    if is_resized && length.is_some() {
        resize(machine, &checkpoint.meta, world)?;
    } else if length.is_some_and(|length| length != machine.progress.epoch_length) {
        recount(machine, length.unwrap_or(0));
    }
    for change in edits::of_plugins(&checkpoint.meta["plugins"], &machine.plugins) {
        machine.log.warn(change);
    }
    let edits = edits::of_settings(&checkpoint.meta["cfg"], &machine.config);
    if !edits.is_empty() {
        let edits = edits.join("; ");
        machine.log.warn(format!("Edited since the save, the edited ones hold: {edits}"));
    }
    if checkpoint.meta["dataset_meta"] != machine.data_meta("train") {
        machine.log.warn("The checkpoint was trained on a data set with other classes or colours");
    }
    if has_other_data(machine, &checkpoint.meta) {
        machine.log.warn(
            "The checkpoint was trained on other pictures or other annotations than this run's: its place in the data is \
             kept, and batches are not those that its run would have seen",
        );
    }
    let entries = std::mem::take(&mut machine.entries);
    let has_moved = machine.progress.iter != saved_iter;
    restore_optimizer(machine, checkpoint, &entries, has_moved)?;
    // A checkpoint that was imported has none.
    if let Some(messages) = entries.get("messages") {
        machine.messages.load(messages)?;
    }
    restore_hooks(run, &entries)
}

/// Whether a batch had another size, as far as the checkpoint tells.
fn has_other_steps(machine: &Machine, meta: &Json) -> bool {
    let now = machine.config["train_dataloader"]["batch_size"].as_u64();
    matches!((meta["batch_size"].as_u64(), now), (Some(saved), Some(now)) if saved != now)
}

/// Goes on with data of another size: by epochs from the beginning of the one that was reached, by iterations at the same
/// iteration.
fn recount(machine: &mut Machine, length: u64) {
    let now = machine.progress.epoch_length;
    let what = if machine.progress.by_epoch != 0 {
        machine.progress.iter = machine.progress.epoch * now;
        "iterations are counted anew from its epoch".to_owned()
    } else {
        format!("iteration {} stays, and later ones see other samples", machine.progress.iter)
    };
    machine.log.warn(format!(
        "The checkpoint's epochs had {length} batches, this run's have {now}: {what}"
    ));
}

/// Goes on with another number of ranks or of samples a step than the checkpoint was saved with: by epochs at the place in
/// the data that was reached, by iterations at the same iteration.
///
/// Errors: a learning rate that was scaled by the batch size over all ranks would be another one.
fn resize(machine: &mut Machine, meta: &Json, world: u64) -> Result<(), RunError> {
    let now = machine.ranks.world() as u64;
    let number = |value: &Json| value.as_u64().unwrap_or(1);
    let here = number(&machine.config["train_dataloader"]["batch_size"]);
    // Checkpoints of one process did not tell it at first.
    let before = world * meta["batch_size"].as_u64().unwrap_or(here);
    let after = now * here;
    if machine.config["auto_scale_lr"]["enable"] == true && before != after {
        let message = format!(
            "the checkpoint's step had {before} samples over {}, this run's has {after} over {now}, and the \
             learning rate was scaled by it (resume with as many samples a step, or set it to False)",
            ranks(world)
        );
        return Err(RunError::config("auto_scale_lr.enable", message));
    }
    let progress = &machine.progress;
    let length = number(&meta["epoch_length"]);
    let done = Done {
        epochs: (progress.by_epoch != 0).then_some(progress.epoch),
        iterations: progress.iter,
    };
    let paces = [
        Pace { world, step: before.max(1), length },
        Pace { world: now, step: after.max(1), length: progress.epoch_length },
    ];
    let place = place::go_on(done, paces, data(machine, meta));
    machine.progress.iter = place.iteration;
    let [saved_by, has] = match world == now {
        true => ["with".to_owned(), String::new()],
        false => [format!("by {} with", ranks(world)), format!("{now} with ")],
    };
    machine.log.warn(format!(
        "The checkpoint was saved {saved_by} {before} samples a step, this run has {has}{after}: {}",
        place.words
    ));
    Ok(())
}

/// `1 rank`, `2 ranks`.
fn ranks(count: u64) -> String {
    format!("{count} rank{}", if count == 1 { "" } else { "s" })
}

fn data(machine: &Machine, meta: &Json) -> Data {
    let data = machine.task.train_data.as_ref();
    Data {
        samples: data.map_or(0, |data| data.samples() as u64),
        order: data.map_or(Order::Passes(Rest::Repeated), |data| data.order()),
        is_same: !has_other_data(machine, meta) && has_same_order(machine, meta),
    }
}

/// Whether samples come in the order of the checkpoint's run, drawn alike.
fn has_same_order(machine: &Machine, meta: &Json) -> bool {
    let (was, is) = (&meta["cfg"]["train_dataloader"], &machine.config["train_dataloader"]);
    let parts = ["sampler", "batch_sampler", "drop_last"];
    parts.iter().all(|part| was[part] == is[part])
        && meta["seed"].as_u64().is_none_or(|seed| seed == machine.info.seed)
}

/// Whether both this run's data and the checkpoint's are known, and differ.
fn has_other_data(machine: &Machine, meta: &Json) -> bool {
    let now = machine.task.train_data.as_ref().and_then(|data| data.fingerprint());
    matches!((meta["data"].as_str(), now), (Some(saved), Some(now)) if saved != now)
}

/// Takes over optimizer and schedules; what was edited since the save holds, and is told.
fn restore_optimizer(
    machine: &mut Machine,
    checkpoint: &Checkpoint,
    entries: &Map<String, Json>,
    has_moved: bool,
) -> Result<(), RunError> {
    let (Some(optim), Some(schedules)) = (&mut machine.optim, &mut machine.schedules) else {
        return Ok(());
    };
    let Some(saved) = &checkpoint.optimizer else {
        machine.log.warn("The checkpoint has no optimizer state: momentum starts from nothing");
        schedules.replay(machine.progress.epoch, machine.progress.iter, optim)?;
        return Ok(());
    };
    let mut edits = optim.load(saved)?.edits;
    match entries.get("param_schedulers").filter(|plans| !plans.is_null()) {
        Some(plans) => {
            if let LoadedSchedules::Edited { changes } = schedules.load(plans)? {
                edits.extend(changes);
            }
        }
        None if schedules.is_empty() => {}
        None => {
            machine.log.warn(
                "The checkpoint has no schedules: their values are those that the config gives for this moment",
            );
            schedules.replay(machine.progress.epoch, machine.progress.iter, optim)?;
        }
    }
    let has_edits = !edits.is_empty();
    if has_edits {
        let edits = edits.join("; ");
        machine.log.warn(format!(
            "Optimizer or schedule were edited since the save, the edited ones hold: {edits}"
        ));
    }
    // What follows a metric does not depend on how iterations are counted.
    if has_edits || (has_moved && !schedules.follow_a_metric()) {
        schedules.replay(machine.progress.epoch, machine.progress.iter, optim)?;
    }
    Ok(())
}

fn restore_hooks(run: &mut Run, entries: &Map<String, Json>) -> Result<(), RunError> {
    let states = entries.get("hooks").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let saved = |state: &Json| SavedHook {
        type_name: state["type"].as_str().unwrap_or_default().to_owned(),
        source: state["source"].as_str().unwrap_or_default().to_owned(),
        arguments: state["arguments"].clone(),
        state: HookState {
            version: state["version"].as_u64().unwrap_or(1) as u32,
            data: state["data"].clone(),
        },
    };
    let states = states.iter().map(saved).collect();
    for left in run.dispatcher.load_states(states, &mut run.machine)? {
        run.machine.log.warn(format!(
            "The checkpoint has a state of hook {}, which this run does not have",
            left.type_name
        ));
    }
    Ok(())
}
