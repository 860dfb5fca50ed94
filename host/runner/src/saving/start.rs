//! Where a run starts from: nothing, weights, or a checkpoint with everything.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use snaphook_plugin_api::HookPoint;

use super::restore::restore;
use super::{GRADIENTS, gradients};
use crate::RunError;
use crate::checkpoint::{self, Checkpoint, EMA, LoadReport};
use crate::machine::Machine;
use crate::run::Run;
use crate::settings::Start;

/// Loads or resumes as asked, and says what was done.
pub(crate) fn start(run: &mut Run, start: &Start) -> Result<(), RunError> {
    let work_dir = run.machine.info.work_dir.clone();
    let leftovers = match run.machine.ranks.is_main() {
        true => checkpoint::clean_leftovers(&work_dir)?,
        false => Vec::new(),
    };
    for leftover in leftovers {
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
    if machine.task.train_data.is_none() && report.lacks_weights() {
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
    if let Some(gathered) = checkpoint.tensors.get(GRADIENTS) {
        if checkpoint.meta["iter"] == run.machine.progress.iter {
            let world = checkpoint.meta["world_size"].as_u64().unwrap_or(1);
            gradients::restore(&run.machine, gathered, world, path)?;
        } else {
            run.machine.log.warn("Gradients that were gathered for the next step are left out: iterations are counted anew");
        }
    }
    run.machine.resumed_from = Some(path.to_owned());
    run.machine.resumed_experiment = checkpoint.meta["experiment_name"].as_str().map(str::to_owned);
    if checkpoint.meta["interim"] == true {
        // Only what lies in this run's own folder is ever removed by it.
        let home = run.machine.home();
        let own = path.canonicalize().ok().filter(|path| path.parent() == Some(home));
        run.machine.interim.extend(own);
    }
    let progress = run.machine.progress;
    run.machine.log.info(format!(
        "Resumed from {} (epoch {}, iteration {})",
        path.display(),
        progress.epoch,
        progress.iter
    ));
    Ok(())
}
