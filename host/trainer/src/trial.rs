//! Carries out the flags for quick trials. Knows nothing of how a run goes.

use snaphook_cli::args::{Amount as Asked, TrialArguments};
use snaphook_hooks::{duration, hook_table};
use snaphook_runner::{Amount, FastRun, Run, RunError};

/// Makes a run the trial that was asked for.
pub(crate) fn apply(trial: &TrialArguments, run: &mut Run) {
    let task = &mut run.machine.task;
    if let Some(batches) = trial.overfit_batches {
        task.overfit(amount(batches));
    }
    let is_limited = trial.overfit_batches.is_some() || trial.limit_train_batches.is_some();
    task.limit(trial.limit_train_batches.map(amount), trial.limit_val_batches.map(amount));
    run.machine.is_trial = is_limited;
    if let Some(batches) = trial.fast_dev_run {
        run.make_fast(FastRun { batches });
    }
    run.check_validation_first(trial.sanity_val.unwrap_or(0));
}

fn amount(asked: Asked) -> Amount {
    match asked {
        Asked::Batches(batches) => Amount::Batches(batches),
        Asked::Share(share) => Amount::Share(share),
    }
}

/// Tells the order of hooks and what a step costs; writes nothing, and calls no hook but the built-in ones before the run,
/// which know what is wrong with their arguments.
///
/// Errors: a batch that cannot be read, a model that cannot compute it; what the start of a training would refuse.
pub(crate) fn dry_run(run: &mut Run) -> Result<(), RunError> {
    let log = run.machine.log.clone();
    log.info(hook_table(|point| run.dispatcher.rows(point)));
    run.try_start()?;
    let progress = run.machine.progress;
    let cost = run.try_steps()?;
    let memory = cost.peak_memory_bytes.map_or(String::new(), |bytes| {
        format!(", at most {:.2} GB of memory in this process", bytes as f64 / 1e9)
    });
    log.info(format!(
        "The first batch took {:.2} s to read, the first step {:.2} s, the next ones {:.3} s{memory}",
        cost.first_batch.as_secs_f64(),
        cost.first_step.as_secs_f64(),
        cost.step.as_secs_f64()
    ));
    log.info(format!(
        "{} iterations at this pace take {}, without validations and waits for data",
        progress.max_iters,
        duration((cost.step.as_secs_f64() * progress.max_iters as f64).round())
    ));
    log.info(
        "Everything could be built, and a few steps could be trained; no run was begun (--dry-run)",
    );
    Ok(())
}
