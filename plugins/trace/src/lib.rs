//! `TraceHook`: one JSON line for every hook point, to see and to test the order of a run. Knows nothing of what
//! happens in it.

use snaphook_plugin_api::prelude::*;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// Writes one JSON line for every hook point: `point`, `epoch`, `iter`, and `batch_idx` where there is one.
#[derive(Kwargs)]
pub struct TraceHook {
    /// The file; written anew by each run, and with `.rank1` and so on at its end by further processes.
    #[kwarg(required)]
    out: PathBuf,
    file: Option<File>,
}

impl TraceHook {
    fn line(&mut self, runner: &mut Runner, point: &str, batch_idx: Option<u64>) -> HookResult {
        let progress = runner.progress();
        let mut line = json!({ "point": point, "epoch": progress.epoch, "iter": progress.iter });
        if let Some(batch_idx) = batch_idx {
            line["batch_idx"] = batch_idx.into();
        }
        // One write per line, so that a run that is killed leaves whole lines.
        self.file(runner)?.write_all(format!("{line}\n").as_bytes())?;
        Ok(())
    }

    fn file(&mut self, runner: &mut Runner) -> Result<&mut File, HookError> {
        if self.file.is_none() {
            let mut path = self.out.clone().into_os_string();
            match runner.distributed().rank() {
                0 => {}
                rank => path.push(format!(".rank{rank}")),
            }
            let path = PathBuf::from(path);
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let made =
                folder.map_or(Ok(()), std::fs::create_dir_all).and_then(|()| File::create(&path));
            self.file = Some(made.map_err(|error| format!("{}: {error}", path.display()))?);
        }
        self.file.as_mut().ok_or_else(|| HookError::new("trace file: expected open, found closed"))
    }
}

macro_rules! trace {
    (
        $($plain:ident)*; $($batch:ident: $batch_type:ty,)*; $($other:ident: $other_type:ty,)*
    ) => {
        #[hook(cost_us = 500)]
        impl Hook for TraceHook {
            $(fn $plain(&mut self, runner: &mut Runner) -> HookResult {
                self.line(runner, stringify!($plain), None)
            })*
            $(fn $batch(&mut self, runner: &mut Runner, batch: $batch_type) -> HookResult {
                self.line(runner, stringify!($batch), Some(batch.batch_idx))
            })*
            $(fn $other(&mut self, runner: &mut Runner, _: $other_type) -> HookResult {
                self.line(runner, stringify!($other), None)
            })*
        }
    };
}

trace! {
    before_run after_run before_train after_train before_val after_val before_test after_test
    before_train_epoch after_train_epoch before_val_epoch before_test_epoch;
    before_train_iter: &Batch, after_train_iter: &TrainStep,
    before_val_iter: &Batch, after_val_iter: &EvalStep,
    before_test_iter: &Batch, after_test_iter: &EvalStep,
    after_backward: &Batch, before_optim_step: &Batch, after_optim_step: &Batch,;
    after_val_epoch: &Metrics, after_test_epoch: &Metrics,
    before_save_checkpoint: &mut Checkpoint, after_save_checkpoint: &SavedCheckpoint,
    after_load_checkpoint: &mut Checkpoint, on_exception: &RunError,
    fetch_checkpoint: &WantedCheckpoint,
}

export_plugin!(TraceHook);

#[cfg(test)]
mod tests {
    use super::TraceHook;
    use snaphook_plugin_api::host::HookType;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::testing::FakeRunner;

    #[test]
    fn every_point_is_traced() {
        assert_eq!(TraceHook::POINTS.len(), HookPoint::ALL.len());
    }

    #[test]
    fn lines_have_the_counters_and_the_batch() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("traces/trace.jsonl");
        let mut hook = TraceHook { out: out.clone(), file: None };
        let mut run = FakeRunner::new().epoch(1).iter(7);
        run.run_point(&mut hook, HookPoint::BeforeTrainEpoch, None).unwrap();
        run.run_point(&mut hook, HookPoint::AfterTrainIter, Some(3)).unwrap();
        assert_eq!(
            std::fs::read_to_string(out).unwrap(),
            "{\"point\":\"before_train_epoch\",\"epoch\":1,\"iter\":7}\n\
             {\"point\":\"after_train_iter\",\"epoch\":1,\"iter\":7,\"batch_idx\":3}\n"
        );
    }
}
