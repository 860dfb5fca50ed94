//! Writes the log lines and the scalar records. Knows nothing of where the numbers come from.

use std::path::{Path, PathBuf};

use serde_json::{Map, json};
use snaphook_plugin_api::prelude::*;

use super::registry::Checked;
use super::upload::{self, Suffixes};
use crate::log_processor::LogProcessor;
use crate::{
    Fields, IterationNumbers, LineHeader, iteration_line, number, python_json, summary_line,
};

/// Logs every so many iterations, and the metrics of a validation or test.
///
/// Lines and records are MMEngine's. Source: `mmengine/hooks/logger_hook.py`,
/// `mmengine/runner/log_processor.py`.
#[derive(Kwargs)]
pub struct LoggerHook {
    /// Iterations between lines.
    #[kwarg(default = 10, min = 1)]
    interval: u64,
    /// Whether the rest of an epoch that the interval does not divide goes without a line.
    #[kwarg(default = true)]
    ignore_last: bool,
    /// Iterations between lines with the experiment's name.
    #[kwarg(default = 1000, min = 1)]
    interval_exp_name: u64,
    /// Whether losses in lines of the training are means over all processes of the run, where there are several; otherwise
    /// they are those of rank 0, as in MMEngine.
    #[kwarg(default = false)]
    mean_over_ranks: bool,
    /// A folder that the run's files are copied to at its end, below the name of the work folder.
    #[kwarg]
    out_dir: Option<String>,
    /// How the names of the copied files end: a text or a list.
    #[kwarg]
    out_suffix: Option<Json>,
    /// Whether the copied files stay in the run's folder too.
    #[kwarg(default = true)]
    keep_local: bool,
    /// Whether the step of a metric record is the epoch.
    #[kwarg(default = true)]
    log_metric_by_epoch: bool,
    /// Taken for MMEngine's configs: only local folders are written, so that it must be None.
    #[kwarg]
    file_client_args: Option<Json>,
    /// Taken for MMEngine's configs: only local folders are written, so that it must be None or `local`.
    #[kwarg]
    backend_args: Option<Json>,
    processor: LogProcessor,
    experiment_name: String,
    work_dir: PathBuf,
    run_dir: PathBuf,
    timestamp: String,
}

impl LoggerHook {
    fn is_due(&self, runner: &Runner, batch_idx: u64) -> bool {
        let last = runner.end_of_epoch(batch_idx)
            && (!self.ignore_last || runner.epoch_length() <= self.interval);
        runner.every_n_inner_iters(batch_idx, self.interval) || last
    }

    fn line(
        &self,
        runner: &mut Runner,
        header: &LineHeader,
        fields: &Fields,
        memory_mb: Option<u64>,
    ) -> Result<String, HookError> {
        let (rates, fields) = fields.iter().cloned().partition(|(name, _)| name.ends_with("lr"));
        let eta_s = runner.messages().info("eta")?.and_then(|eta| eta.as_f64());
        let digits = self.processor.num_digits;
        Ok(iteration_line(header, &IterationNumbers { rates, eta_s, memory_mb, fields, digits }))
    }

    fn eval_iteration(&self, runner: &mut Runner, stage: &str, batch_idx: u64) -> HookResult {
        if runner.every_n_inner_iters(batch_idx, self.interval) {
            let fields = self.processor.iteration(runner, stage, batch_idx + 1)?;
            let header = self.eval_header(runner, stage, batch_idx + 1);
            let memory_mb = gpu_memory_mb(runner);
            let line = self.line(runner, &header, &fields, memory_mb)?;
            runner.info(&line);
        }
        Ok(())
    }

    fn summary(
        &self,
        runner: &mut Runner,
        stage: &str,
        metrics: &Metrics,
    ) -> Result<Fields, HookError> {
        let mut fields = self.processor.summary(runner, stage, metrics)?;
        self.name_in_full(&mut fields, stage);
        let header = self.eval_header(runner, stage, runner.epoch_length());
        runner.info(&summary_line(&header, &fields, self.processor.num_digits));
        Ok(fields)
    }

    /// With a hierarchy, names in records begin with their stage.
    fn name_in_full(&self, fields: &mut Fields, stage: &str) {
        if self.processor.log_with_hierarchy {
            fields.iter_mut().for_each(|(name, _)| *name = format!("{stage}/{name}"));
        }
    }

    fn train_header(&self, runner: &Runner, batch: u64) -> LineHeader {
        let progress = runner.progress();
        if !self.processor.by_epoch {
            return LineHeader::TrainIter {
                iter: progress.iter + 1,
                max_iters: progress.max_iters,
            };
        }
        LineHeader::TrainEpoch {
            epoch: progress.epoch + 1,
            max_epochs: progress.max_epochs,
            batch,
            batches: progress.epoch_length,
        }
    }

    fn eval_header(&self, runner: &Runner, stage: &str, batch: u64) -> LineHeader {
        let batches = runner.epoch_length();
        let word = match (stage, self.processor.by_epoch) {
            ("test", true) => "Epoch(test)",
            ("test", false) => "Iter(test)",
            (_, false) => "Iter(val)",
            _ => {
                let max_epochs = Some(runner.max_epochs()).filter(|most| *most > 0);
                return LineHeader::ValEpoch { epoch: runner.epoch(), max_epochs, batch, batches };
            }
        };
        LineHeader::Plain { word, batch, batches }
    }

    fn suffixes(&self) -> Result<Suffixes, HookError> {
        Suffixes::read(self.out_suffix.as_ref())
    }
}

/// Most megabytes of the GPU that tensors took since the last call; none on a CPU, or where the host cannot tell.
fn gpu_memory_mb(runner: &mut Runner) -> Option<u64> {
    let memory = runner.device().memory(true).ok().flatten()?;
    Some(memory.peak / (1 << 20))
}

/// Every process writes lines at the same iterations, so that all of them are here.
fn average_losses(runner: &mut Runner, fields: &mut Fields) -> HookResult {
    if runner.distributed().world_size() == 1 {
        return Ok(());
    }
    let mut losses: Vec<_> = fields.iter_mut().filter(|(name, _)| name.contains("loss")).collect();
    let own: Vec<_> = losses.iter().map(|(_, value)| *value).collect();
    let means = runner.distributed().all_reduce_mean(&own)?;
    losses.iter_mut().zip(means).for_each(|((_, value), mean)| *value = mean);
    Ok(())
}

fn record(fields: &Fields) -> Map<String, Json> {
    fields.iter().map(|(name, value)| (name.clone(), number(*value))).collect()
}

impl Checked for LoggerHook {
    fn check(&self) -> HookResult {
        upload::check("file_client_args", self.file_client_args.as_ref())?;
        upload::check("backend_args", self.backend_args.as_ref())?;
        if let Some(out_dir) = &self.out_dir {
            upload::below(out_dir, Path::new(""))?;
        }
        self.suffixes().map(drop)
    }
}

#[hook(priority = "BELOW_NORMAL")]
impl Hook for LoggerHook {
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        let info = runner.run().info()?;
        self.experiment_name = info.experiment_name;
        self.work_dir = info.work_dir;
        self.run_dir = info.run_dir;
        self.timestamp = info.timestamp;
        self.processor = LogProcessor::from_config(&runner.run().config()?["log_processor"])?;
        if let Some(folder) = &mut self.out_dir {
            *folder = upload::below(folder, &self.work_dir)?;
            runner
                .info(&format!("Text logs will be saved to {folder} after the training process."));
        }
        Ok(())
    }

    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        let batch_idx = step.batch_idx;
        if runner.every_n_train_iters(self.interval_exp_name) || runner.end_of_epoch(batch_idx) {
            runner.info(&format!("Exp name: {}", self.experiment_name));
        }
        if !self.is_due(runner, batch_idx) {
            return Ok(());
        }
        let mut fields = self.processor.iteration(runner, "train", batch_idx + 1)?;
        if self.mean_over_ranks {
            average_losses(runner, &mut fields)?;
        }
        let header = self.train_header(runner, batch_idx + 1);
        let memory_mb = gpu_memory_mb(runner);
        let line = self.line(runner, &header, &fields, memory_mb)?;
        runner.info(&line);
        self.name_in_full(&mut fields, "train");
        let mut record = record(&fields);
        let step = runner.iter() + 1;
        if self.processor.by_epoch {
            record.insert("epoch".to_owned(), json!(runner.epoch() + 1));
        }
        record.insert("iter".to_owned(), json!(step));
        record.extend(memory_mb.map(|memory| ("memory".to_owned(), json!(memory))));
        Ok(runner.visuals().add_scalars(&Json::Object(record), step)?)
    }

    fn after_val_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        self.eval_iteration(runner, "val", step.batch_idx)
    }

    fn after_test_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        self.eval_iteration(runner, "test", step.batch_idx)
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        let fields = self.summary(runner, "val", metrics)?;
        let step = if self.log_metric_by_epoch { runner.epoch() } else { runner.iter() };
        Ok(runner.visuals().add_scalars(&Json::Object(record(&fields)), step)?)
    }

    fn after_test_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        let fields = self.summary(runner, "test", metrics)?;
        if runner.distributed().rank() > 0 {
            return Ok(());
        }
        let path = self.run_dir.join(format!("{}.json", self.timestamp));
        let text = python_json(&Json::Object(record(&fields)));
        std::fs::write(&path, text)
            .map_err(|error| HookError::fatal(format!("{}: {error}", path.display())))
    }

    fn after_run(&mut self, runner: &mut Runner) -> HookResult {
        let Some(folder) = &self.out_dir else { return Ok(()) };
        if runner.distributed().rank() > 0 {
            return Ok(());
        }
        // Once the page about the run is written as well.
        let suffixes = self.suffixes()?.texts().to_vec();
        let copy = json!({ "to": folder, "suffixes": suffixes, "keep_local": self.keep_local });
        Ok(runner.call("snaphook.run/1", "copy_at_end", copy).map(drop)?)
    }
}
