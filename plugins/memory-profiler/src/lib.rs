//! `MemoryProfilerHook`: how much memory the system, this process and its GPU use, and whether it grows without end.
//! Knows nothing of what the memory is used for.
//!
//! Source: `mmdet/engine/hooks/memory_profiler_hook.py`, with the figures of `psutil` 7. Where we differ: after the first
//! line comes the sentence that MMDetection's documentation explains such a line with (there the free swap memory stands
//! where the used one is meant; here the used one does). GPU memory, scalars and the warning of a leak are ours.

mod gpu;
mod growth;
mod memory;

use gpu::GpuMemory;
use growth::Growth;
use memory::Memory;
use snaphook_plugin_api::prelude::*;
use std::path::Path;

/// Logs how much memory the system and the process use, and warns when the process grows without end.
#[derive(Kwargs)]
pub struct MemoryProfilerHook {
    /// Log every this many batches of an epoch.
    #[kwarg(default = 50, min = 1)]
    interval: u64,
    /// Whether a second line tells the memory of the GPU that the model is on, as `nvidia-smi` knows it. Starting that
    /// program takes some tens of milliseconds each time.
    #[kwarg(default = false)]
    gpu: bool,
    /// Whether the figures are written as scalars, `memory/used_memory` and so on, in MB and per cent.
    #[kwarg(default = false)]
    scalars: bool,
    /// Warn when the process has grown at this many reports in a row; 0 never warns.
    #[kwarg(default = 10)]
    leak_reports: u64,
    growth: Growth,
    has_explained: bool,
}

#[hook(cost_us = 5000)]
impl Hook for MemoryProfilerHook {
    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        let done = runner.iter() + 1;
        self.report(runner, step.batch_idx, done)
    }

    fn after_val_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        let done = runner.iter() + step.batch_idx + 1;
        self.report(runner, step.batch_idx, done)
    }

    fn after_test_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        self.report(runner, step.batch_idx, step.batch_idx + 1)
    }
}

impl MemoryProfilerHook {
    fn report(&mut self, runner: &mut Runner, batch_idx: u64, step: u64) -> HookResult {
        if !runner.every_n_inner_iters(batch_idx, self.interval) {
            return Ok(());
        }
        let memory = Memory::now()?;
        runner.info(&memory.line());
        if !self.has_explained {
            runner.info(&memory.sentence());
            self.has_explained = true;
        }
        let gpu = if self.gpu { self.report_gpu(runner) } else { None };
        if self.scalars {
            let mut values = memory.scalars();
            gpu.iter().for_each(|gpu| gpu.add_to(&mut values));
            runner.visuals().add_scalars(&Json::Object(values), step)?;
        }
        if let Some(warning) = self.growth.watch(memory.process_bytes(), self.leak_reports) {
            runner.warn(&warning);
        }
        Ok(())
    }

    /// A machine without a GPU, or without `nvidia-smi`, is told once and then left in peace.
    fn report_gpu(&mut self, runner: &mut Runner) -> Option<GpuMemory> {
        let mut read = || -> Result<GpuMemory, String> {
            let device = runner.run().info().map_err(|error| error.to_string())?.device;
            let mut memory = GpuMemory::of(&device, Path::new("nvidia-smi"))?;
            // In a container the driver may not know this process; the allocator knows what it holds.
            if let Ok(Some(own)) = runner.device().memory(false) {
                memory.complete(own.reserved);
            }
            Ok(memory)
        };
        match read() {
            Ok(memory) => {
                runner.info(&memory.line());
                Some(memory)
            }
            Err(why) => {
                runner.warn(&format!("GPU memory is not shown: {why}"));
                self.gpu = false;
                None
            }
        }
    }
}

export_plugin!(MemoryProfilerHook);

#[cfg(test)]
mod tests {
    use super::MemoryProfilerHook;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::services::ids;
    use snaphook_plugin_api::testing::FakeRunner;

    fn hook(kwargs: Json) -> MemoryProfilerHook {
        MemoryProfilerHook::from_kwargs("MemoryProfilerHook", &kwargs).unwrap()
    }

    #[test]
    fn a_line_comes_after_each_interval_and_the_sentence_once() {
        let (mut run, mut hook) = (FakeRunner::new(), hook(json!({ "interval": 2 })));
        for batch_idx in 0..5 {
            run.run_point(&mut hook, HookPoint::AfterTrainIter, Some(batch_idx)).unwrap();
        }
        run.run_point(&mut hook, HookPoint::AfterValIter, Some(1)).unwrap();
        run.run_point(&mut hook, HookPoint::AfterTestIter, Some(1)).unwrap();
        let logged = run.logged();
        let count = |begin: &str| logged.iter().filter(|line| line.starts_with(begin)).count();
        assert_eq!(count("Memory information available_memory: "), 4);
        assert_eq!((count("The system has "), logged.len()), (1, 5));
        assert!(run.calls().is_empty());
    }

    #[test]
    fn figures_are_written_as_scalars_when_asked_for() {
        let (mut run, mut hook) =
            (FakeRunner::new().iter(7), hook(json!({ "interval": 1, "scalars": true })));
        run.run_point(&mut hook, HookPoint::AfterTrainIter, Some(0)).unwrap();
        let written = run.calls_of(ids::VISUAL, "scalars");
        assert_eq!(written[0]["step"], 8);
        let values = written[0]["values"].as_object().unwrap();
        assert_eq!(values.len(), 7);
        assert!(values["memory/current_process_memory"].as_f64().unwrap() > 0.0);
    }

    #[test]
    fn a_run_without_a_gpu_says_so_once_and_goes_on() {
        let (mut run, mut hook) = (FakeRunner::new(), hook(json!({ "interval": 1, "gpu": true })));
        for batch_idx in 0..3 {
            run.run_point(&mut hook, HookPoint::AfterTrainIter, Some(batch_idx)).unwrap();
        }
        let about_gpus = run.logged().into_iter().filter(|line| line.contains("GPU")).count();
        assert_eq!(about_gpus, 1, "{:?}", run.logged());
    }
}
