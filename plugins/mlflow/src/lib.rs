//! `MlflowHook`: scalars, parameters and the course of a run go to an MLflow server. Knows nothing of how it shows them.
//!
//! Source: the REST API 2.0 of MLflow, <https://mlflow.org/docs/latest/rest-api.html>; names of arguments as
//! `MLflowVisBackend` in `mmengine/visualization/vis_backend.py` has them.

mod api;
mod outbox;
mod parameters;

use api::{Api, Server};
use outbox::{Outbox, Work};
use parameters::flattened;
use snaphook_plugin_api::prelude::*;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Writes losses, learning rate, metrics and the config to a run of an MLflow server, and its state at the end.
///
/// The state is FINISHED, FAILED, or KILLED where the run was asked to end (exit code 75), until it goes on. Requests are
/// made in the background and tried again; what cannot be delivered is a warning in the log, and never ends a run. A
/// resumed run goes on in the same MLflow run. A user and a password, or a token, come from the environment, as for
/// MLflow's own programs: `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`.
#[derive(Kwargs)]
pub struct MlflowHook {
    /// The server, such as `http://127.0.0.1:5000`; `MLFLOW_TRACKING_URI` without it.
    #[kwarg]
    tracking_uri: Option<String>,
    /// The experiment, which is made when it is not there.
    #[kwarg(default = "Default")]
    exp_name: String,
    /// The name of the run; the one of the run folder without it.
    #[kwarg]
    run_name: Option<String>,
    /// Further tags, by name.
    #[kwarg]
    tags: Option<Json>,
    /// Write scalars of the training every this many iterations.
    #[kwarg(default = 10, min = 1)]
    interval: u64,
    /// How long a request that fails is made again, in minutes; the end of the run waits so long at most and for the try that is on its way, and one that was asked
    /// for by a signal five seconds.
    #[kwarg(default = 2.0, min = 0.0)]
    retry_minutes: f64,
    outbox: Option<Outbox>,
    /// The run on the server, of this process or of the one that was resumed.
    run_id: Option<String>,
    /// Its tag there, which a checkpoint can have before the server has answered.
    mark: Option<String>,
    /// Whether the server was told of an end other than a failure.
    has_ended: bool,
}

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A wait at the end that takes longer is told.
const TELL_AFTER: Duration = Duration::from_secs(1);

// The last of all, so that it knows how the run ended: what else can fail at the end comes before.
#[hook(priority = "LOWEST", cost_us = 2000)]
impl Hook for MlflowHook {
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        if runner.distributed().rank() != 0 {
            return Ok(());
        }
        self.open()
    }

    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        self.begin(runner)
    }

    fn before_test(&mut self, runner: &mut Runner) -> HookResult {
        self.begin(runner)
    }

    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        if self.outbox.is_none() || !runner.every_n_train_iters(self.interval) {
            return Ok(());
        }
        let mut metrics = Vec::new();
        for name in step.outputs.names() {
            // Outputs of more than one element are no losses.
            metrics.extend(
                step.outputs.value(&name).ok().map(|value| (format!("train/{name}"), value)),
            );
        }
        metrics.extend(runner.learning_rate().map(|rate| ("train/lr".to_owned(), rate)));
        self.metrics(runner.iter() + 1, metrics);
        Ok(())
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        let named = |(name, value): (&str, f64)| (format!("val/{name}"), value);
        self.metrics(runner.iter(), metrics.iter().map(named).collect());
        Ok(())
    }

    fn after_test_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        let named = |(name, value): (&str, f64)| (format!("test/{name}"), value);
        self.metrics(runner.iter(), metrics.iter().map(named).collect());
        Ok(())
    }

    fn on_exception(&mut self, runner: &mut Runner, _: &RunError) -> HookResult {
        // What fails after the end makes of a finished run a failed one.
        if std::mem::take(&mut self.has_ended) {
            self.open()?;
            self.begin(runner)?;
        }
        self.end(runner, "FAILED");
        Ok(())
    }

    fn after_run(&mut self, runner: &mut Runner) -> HookResult {
        let state = if times_asked(runner) > 0 { "KILLED" } else { "FINISHED" };
        self.has_ended = self.outbox.is_some();
        self.end(runner, state);
        Ok(())
    }

    fn save_state(&self) -> Option<HookState> {
        let known = self.outbox.as_ref().and_then(Outbox::run_id);
        let run_id = known.or_else(|| self.run_id.clone());
        if run_id.is_none() && self.mark.is_none() {
            return None;
        }
        Some(HookState { version: 1, data: json!({ "run_id": run_id, "mark": self.mark }) })
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        self.run_id = state.data["run_id"].as_str().map(str::to_owned);
        self.mark = state.data["mark"].as_str().map(str::to_owned);
        Ok(())
    }
}

impl MlflowHook {
    fn open(&mut self) -> HookResult {
        let uri = self.tracking_uri.clone().or_else(|| std::env::var("MLFLOW_TRACKING_URI").ok());
        let uri = uri.filter(|uri| uri.starts_with("http://") || uri.starts_with("https://"));
        let uri = uri.ok_or_else(|| {
            HookError::fatal(
                "MlflowHook.tracking_uri: expected the URL of an MLflow server (start one with mlflow server), found none",
            )
        })?;
        let patience = Duration::try_from_secs_f64(self.retry_minutes * 60.0);
        let server = Server::new(&uri, TIMEOUT, patience.unwrap_or(Duration::MAX));
        self.outbox = Some(Outbox::open(Api::new(server))?);
        Ok(())
    }

    fn begin(&mut self, runner: &mut Runner) -> HookResult {
        let Some(outbox) = &self.outbox else { return Ok(()) };
        let (run, config) = (runner.run().info()?, runner.run().config()?);
        let mut tags = vec![("snaphook.version".to_owned(), run.version)];
        for (name, value) in self.tags.iter().filter_map(Json::as_object).flatten() {
            tags.push((
                name.clone(),
                value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            ));
        }
        let is_resumed = self.mark.is_some();
        let mark = self.mark.get_or_insert_with(|| new_mark(run.seed)).clone();
        outbox.push(Work::Begin {
            experiment: self.exp_name.clone(),
            name: self.run_name.clone().unwrap_or(run.experiment_name),
            resumed: self.run_id.clone(),
            mark,
            is_resumed,
            at: now_ms(),
            tags,
        });
        outbox.push(Work::Parameters(flattened(&config)));
        Ok(())
    }

    fn metrics(&self, step: u64, values: Vec<(String, f64)>) {
        if let Some(outbox) = &self.outbox {
            outbox.push(Work::Metrics { at: now_ms(), step, values });
        }
    }

    fn end(&mut self, runner: &mut Runner, state: &'static str) {
        let Some(outbox) = self.outbox.take() else { return };
        outbox.push(Work::End { state, at: now_ms() });
        let (asked, began, mut is_told) = (times_asked(runner), Instant::now(), false);
        let closed = outbox.close(asked > 0, || {
            if !is_told && began.elapsed() > TELL_AFTER {
                is_told = true;
                runner.info("Waiting until MLflow has heard of the end");
            }
            times_asked(runner) > asked
        });
        self.run_id = closed.or(self.run_id.take());
    }
}

/// How often this process was asked to end.
fn times_asked(runner: &mut Runner) -> u64 {
    // An older host does not tell.
    runner.control().interruption().ok().flatten().map_or(0, |interruption| interruption.times)
}

/// A name that no other run has.
fn new_mark(seed: u64) -> String {
    format!("{:x}-{:x}-{seed:x}", now_ms(), std::process::id())
}

/// Milliseconds since 1970, as MLflow counts.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

export_plugin!(MlflowHook);
