//! `MemoryProfilerHook`: how much memory the system and this process use, from Linux's `/proc`. Knows nothing of
//! GPU memory.
//!
//! Source: `mmdet/engine/hooks/memory_profiler_hook.py`, with the figures of `psutil`.

use snaphook_plugin_api::prelude::*;
use std::fs::read_to_string;

/// Logs how much memory the system and the process use.
#[derive(Kwargs)]
pub struct MemoryProfilerHook {
    /// Log every this many batches of an epoch.
    #[kwarg(default = 50, min = 1)]
    interval: u64,
}

#[hook]
impl Hook for MemoryProfilerHook {
    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        self.report(runner, step.batch_idx)
    }

    fn after_val_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        self.report(runner, step.batch_idx)
    }

    fn after_test_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        self.report(runner, step.batch_idx)
    }
}

impl MemoryProfilerHook {
    fn report(&self, runner: &Runner, batch_idx: u64) -> HookResult {
        if runner.every_n_inner_iters(batch_idx, self.interval) {
            let (system, process) =
                (read_to_string("/proc/meminfo")?, read_to_string("/proc/self/status")?);
            runner.info(&Memory::read(&system, &process)?.line());
        }
        Ok(())
    }
}

/// Units: kilobytes, as `/proc` has them.
struct Memory {
    total: u64,
    available: u64,
    free: u64,
    cached: u64,
    swap_total: u64,
    swap_free: u64,
    process: u64,
}

impl Memory {
    fn read(system: &str, process: &str) -> Result<Memory, HookError> {
        Ok(Memory {
            total: field(system, "MemTotal")?,
            available: field(system, "MemAvailable")?,
            free: field(system, "MemFree")?,
            cached: field(system, "Buffers")?
                + field(system, "Cached")?
                + field(system, "SReclaimable")?,
            swap_total: field(system, "SwapTotal")?,
            swap_free: field(system, "SwapFree")?,
            process: field(process, "VmRSS")?,
        })
    }

    fn line(&self) -> String {
        let used = self.total.saturating_sub(self.free + self.cached);
        let swap_used = self.swap_total.saturating_sub(self.swap_free);
        format!(
            "Memory information available_memory: {} MB, used_memory: {} MB, memory_utilization: {:.1} %, \
             available_swap_memory: {} MB, used_swap_memory: {} MB, swap_memory_utilization: {:.1} %, \
             current_process_memory: {} MB",
            megabytes(self.available),
            megabytes(used),
            percent(self.total.saturating_sub(self.available), self.total),
            megabytes(self.swap_free),
            megabytes(swap_used),
            percent(swap_used, self.swap_total),
            megabytes(self.process),
        )
    }
}

fn field(text: &str, name: &str) -> Result<u64, HookError> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| HookError::new(format!("/proc: expected a line '{name}', found none")))
}

fn megabytes(kilobytes: u64) -> u64 {
    (kilobytes + 512) / 1024
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

export_plugin!(MemoryProfilerHook);

#[cfg(test)]
mod tests {
    use super::{Memory, MemoryProfilerHook};
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::testing::FakeRunner;

    #[test]
    fn line_has_the_names_and_units_of_mmdetection() {
        let system = "MemTotal: 262144000 kB\nMemFree: 200000000 kB\nMemAvailable: 252272640 kB\n\
                      Buffers: 1000000 kB\nCached: 50000000 kB\nSReclaimable: 1511232 kB\n\
                      SwapTotal: 8388608 kB\nSwapFree: 5877760 kB\n";
        let memory = Memory::read(system, "Name: x\nVmRSS:\t 5564416 kB\n").unwrap();
        assert_eq!(
            memory.line(),
            "Memory information available_memory: 246360 MB, used_memory: 9407 MB, memory_utilization: 3.8 %, \
             available_swap_memory: 5740 MB, used_swap_memory: 2452 MB, swap_memory_utilization: 29.9 %, \
             current_process_memory: 5434 MB"
        );
        assert!(Memory::read("", "").is_err());
    }

    #[test]
    fn one_line_comes_after_each_interval() {
        let (mut run, mut hook) = (FakeRunner::new(), MemoryProfilerHook { interval: 2 });
        for batch_idx in 0..5 {
            run.run_point(&mut hook, HookPoint::AfterTrainIter, Some(batch_idx)).unwrap();
        }
        run.run_point(&mut hook, HookPoint::AfterValIter, Some(1)).unwrap();
        assert_eq!(run.logged().len(), 3);
        assert!(run.logged()[0].starts_with("Memory information available_memory: "));
    }
}
