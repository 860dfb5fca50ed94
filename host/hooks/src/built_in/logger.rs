//! Writes the log lines and the scalar records. Knows nothing of where the numbers come from.

use serde_json::{Map, json};
use snaphook_plugin_api::prelude::*;

use crate::{Fields, LineHeader, iteration_line, summary_line};

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
    /// Whether the step of a metric record is the epoch.
    #[kwarg(default = true)]
    log_metric_by_epoch: bool,
    window: u64,
    experiment_name: String,
    run_dir: std::path::PathBuf,
    timestamp: String,
}

const DEFAULT_WINDOW: u64 = 10;

impl LoggerHook {
    fn is_due(&self, runner: &Runner, batch_idx: u64) -> bool {
        let last = runner.end_of_epoch(batch_idx)
            && (!self.ignore_last || runner.epoch_length() <= self.interval);
        runner.every_n_inner_iters(batch_idx, self.interval) || last
    }

    fn fields(&self, runner: &mut Runner, stage: &str) -> Result<Fields, HookError> {
        let prefix = format!("{stage}/");
        let mut fields = Fields::new();
        for key in runner.messages().keys()? {
            let Some(name) = key.strip_prefix(&prefix) else { continue };
            let value = if is_averaged(name) {
                runner.messages().mean(&key, self.window)
            } else {
                runner.messages().current(&key)
            };
            fields.extend(value.map(|value| (name.to_owned(), value)));
        }
        Ok(fields)
    }

    fn eta(&self, runner: &mut Runner) -> Result<Option<f64>, HookError> {
        Ok(runner.messages().info("eta")?.and_then(|eta| eta.as_f64()))
    }

    fn eval_iteration(&self, runner: &mut Runner, stage: &str, batch_idx: u64) -> HookResult {
        if !runner.every_n_inner_iters(batch_idx, self.interval) {
            return Ok(());
        }
        let mut fields = self.fields(runner, stage)?;
        fields
            .retain(|(name, _)| name == "time" || name == "data_time" || name.starts_with("loss"));
        let eta = self.eta(runner)?;
        let header = eval_header(runner, stage, batch_idx + 1);
        runner.info(&iteration_line(&header, &Fields::new(), eta, &fields));
        Ok(())
    }

    fn summary(&self, runner: &mut Runner, stage: &str) -> Result<Fields, HookError> {
        let batches = runner.epoch_length();
        let mut fields = self.fields(runner, stage)?;
        fields.retain(|(name, _)| name != "time" && name != "data_time");
        for name in ["data_time", "time"] {
            let mean = runner.messages().mean(&format!("{stage}/{name}"), batches);
            fields.extend(mean.map(|value| (name.to_owned(), value)));
        }
        let header = eval_header(runner, stage, batches);
        runner.info(&summary_line(&header, &fields));
        Ok(fields)
    }
}

/// What MMEngine's `mean_pattern` matches.
fn is_averaged(name: &str) -> bool {
    name.contains("loss") || name.contains("time") || name.contains("grad_norm")
}

fn eval_header(runner: &Runner, stage: &str, batch: u64) -> LineHeader {
    let batches = runner.epoch_length();
    if stage == "test" {
        return LineHeader::Test { batch, batches };
    }
    let max_epochs = Some(runner.max_epochs()).filter(|most| *most > 0);
    LineHeader::ValEpoch { epoch: runner.epoch(), max_epochs, batch, batches }
}

fn record(fields: &Fields) -> Map<String, Json> {
    fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

#[hook(priority = "BELOW_NORMAL")]
impl Hook for LoggerHook {
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        let info = runner.run().info()?;
        self.experiment_name = info.experiment_name;
        self.run_dir = info.run_dir;
        self.timestamp = info.timestamp;
        let window = runner.run().config()?["log_processor"]["window_size"].as_u64();
        self.window = window.unwrap_or(DEFAULT_WINDOW);
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
        let fields = self.fields(runner, "train")?;
        let mut record = record(&fields);
        let (mut rates, others): (Fields, Fields) =
            fields.into_iter().partition(|(name, _)| name.ends_with("lr"));
        rates.sort_by(|a, b| a.0.cmp(&b.0));
        let header = LineHeader::TrainEpoch {
            epoch: runner.epoch() + 1,
            max_epochs: runner.max_epochs(),
            batch: batch_idx + 1,
            batches: runner.epoch_length(),
        };
        let eta = self.eta(runner)?;
        runner.info(&iteration_line(&header, &rates, eta, &others));
        let step = runner.iter() + 1;
        record.insert("epoch".to_owned(), json!(runner.epoch() + 1));
        record.insert("iter".to_owned(), json!(step));
        Ok(runner.visuals().add_scalars(&Json::Object(record), step)?)
    }

    fn after_val_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        self.eval_iteration(runner, "val", step.batch_idx)
    }

    fn after_test_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        self.eval_iteration(runner, "test", step.batch_idx)
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, _: &Metrics) -> HookResult {
        let fields = self.summary(runner, "val")?;
        let step = if self.log_metric_by_epoch { runner.epoch() } else { runner.iter() };
        Ok(runner.visuals().add_scalars(&Json::Object(record(&fields)), step)?)
    }

    fn after_test_epoch(&mut self, runner: &mut Runner, _: &Metrics) -> HookResult {
        let fields = self.summary(runner, "test")?;
        let path = self.run_dir.join(format!("{}.json", self.timestamp));
        let text = Json::Object(record(&fields)).to_string();
        std::fs::write(&path, text)
            .map_err(|error| HookError::fatal(format!("{}: {error}", path.display())))
    }
}
