//! What the machine itself costs in an iteration: a run with the default hooks against a bare loop with the same model, data
//! and optimizer, in one process, in turns. Prints microseconds per iteration, and the same for MMEngine where it is installed.
//!
//! ```sh
//! cargo bench -p snaphook-runner --bench iteration            # ours
//! PEER_PYTHON=/path/to/python cargo bench -p snaphook-runner --bench iteration
//! ```
//!
//! `PEER_PYTHON` has `torch==2.11.0` and `mmengine==0.10.7`; `iteration_mmengine.py` beside this file is what it runs.
#![allow(clippy::unwrap_used)] // a benchmark that cannot run is to say where

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use snaphook_hooks::{Dispatcher, OnError, Priority, built_in, hook_specs};
use snaphook_plugin_api::host::LogLevel;
use snaphook_runner::log::{Console, RunLogger};
use snaphook_runner::optim::OptimWrapper;
use snaphook_runner::{
    AnyBatch, AnyPredictions, BoxError, DataSource, Layer, Losses, Machine, Model, ModelState,
    ModuleInfo, Run, RunNames, Scope, Start, StepContext, Task,
};
use tch::{Device, Kind, Tensor};

const ITERATIONS: u64 = 3000;
const ROUNDS: usize = 5;

/// One weight, so that next to nothing is computed.
struct Line {
    state: ModelState,
    weight: Tensor,
}

impl Line {
    fn new() -> Line {
        let scope = Scope::root(Device::Cpu);
        let weight = scope.parameter("weight", &[1], Layer::Other);
        Line { state: scope.finish(), weight }
    }

    fn loss(&self) -> Tensor {
        (&self.weight * 2.0).mean(Kind::Float)
    }
}

impl Model for Line {
    fn state(&self) -> &ModelState {
        &self.state
    }
    fn set_training(&mut self, _: bool) {}
    fn init_weights(&mut self, _: u64) -> Result<(), BoxError> {
        Ok(())
    }
    fn loss(&mut self, _: &AnyBatch, _: &StepContext) -> Result<Losses, BoxError> {
        Ok(Losses(vec![("loss_line".to_owned(), Line::loss(self))]))
    }
    fn predict(&mut self, _: &AnyBatch) -> Result<AnyPredictions, BoxError> {
        Ok(Box::new(()))
    }
    fn modules(&self) -> Vec<ModuleInfo> {
        Vec::new()
    }
    fn set_attribute(&mut self, _: &str, _: &str, _: &Json) -> Result<(), BoxError> {
        Ok(())
    }
    fn call(&mut self, _: &str, _: &Json) -> Result<Json, BoxError> {
        Ok(Json::Null)
    }
}

/// Empty batches.
#[derive(Default)]
struct Nothing {
    left: u64,
}

impl DataSource for Nothing {
    fn batches(&self) -> usize {
        ITERATIONS as usize
    }
    fn samples(&self) -> usize {
        ITERATIONS as usize
    }
    fn start_epoch(&mut self, _: u64, start: u64) -> Result<(), BoxError> {
        self.left = ITERATIONS - start;
        Ok(())
    }
    fn next_batch(&mut self) -> Option<Result<AnyBatch, BoxError>> {
        self.left = self.left.checked_sub(1)?;
        Some(Ok(Box::new(())))
    }
    fn end_epoch(&mut self) {}
    fn meta(&self) -> Json {
        Json::Null
    }
    fn set_epoch(&mut self, _: u64) {}
    fn skip_transforms(&mut self, _: &[String]) -> Result<(), BoxError> {
        Ok(())
    }
    fn set_pipeline(&mut self, _: &Json) -> Result<(), BoxError> {
        Ok(())
    }
}

fn config() -> Json {
    json!({
        "train_cfg": { "type": "EpochBasedTrainLoop", "max_epochs": 1 },
        "optim_wrapper": { "type": "OptimWrapper", "optimizer": { "type": "SGD", "lr": 0.1 } },
        "default_hooks": { "logger": { "type": "LoggerHook", "interval": 50 }, "checkpoint": { "type": "CheckpointHook", "interval": 1_000_000_000, "by_epoch": false, "save_last": false } },
        "log_processor": { "window_size": 50 },
    })
}

/// Seconds of a whole run with the default hooks, without what happens once.
fn machine(work_dir: &Path) -> Duration {
    let config = config();
    let mut dispatcher = Dispatcher::default();
    for spec in hook_specs(&config).unwrap() {
        let hook = (built_in::find(&spec.type_name).unwrap().construct)(&spec.kwargs).unwrap();
        let own = hook.default_priority().map_or(Priority::NORMAL, Priority);
        dispatcher.register(hook, own, OnError::Stop);
    }
    let info = RunNames {
        config_path: Path::new("line.py"),
        work_dir: Some(work_dir),
        experiment_name: None,
        seed: 0,
        device: Device::Cpu,
    };
    let task = Task {
        model: Box::new(Line::new()),
        train_data: Some(Box::new(Nothing::default())),
        validation: Vec::new(),
        test: Vec::new(),
        painter: None,
    };
    let log = RunLogger::new(Console::Silent, LogLevel::Info);
    let mut run = Run::new(Machine::new(log, config, info.create().unwrap(), task), dispatcher);
    run.prepare().unwrap();
    let began = Instant::now();
    run.train(&Start::Fresh).unwrap();
    began.elapsed()
}

/// The same steps with nothing around them.
fn bare() -> Duration {
    let model = Line::new();
    let mut optim = OptimWrapper::build(&config()["optim_wrapper"], &model.state).unwrap();
    let began = Instant::now();
    for iter in 0..ITERATIONS {
        let loss = model.loss();
        optim.scale_loss(&loss, iter, ITERATIONS).backward();
        optim.step();
        optim.zero_grad();
    }
    began.elapsed()
}

fn mmengine() {
    let Some(python) = std::env::var_os("PEER_PYTHON") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/iteration_mmengine.py");
    let output = Command::new(python).arg(script).arg(ITERATIONS.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

fn main() {
    tch::set_num_threads(1);
    let folder = tempfile::tempdir().unwrap();
    let micros = |spent: Duration| spent.as_secs_f64() * 1e6 / ITERATIONS as f64;
    // The fastest of some rounds each, in turns: what else runs on the machine only adds.
    let (mut with, mut without) = (f64::INFINITY, f64::INFINITY);
    for round in 0..ROUNDS {
        without = without.min(micros(bare()));
        with = with.min(micros(machine(&folder.path().join(round.to_string()))));
    }
    println!("bare loop       {without:8.2} us an iteration");
    println!("with the machine{with:8.2} us an iteration");
    println!(
        "the machine's own cost: {:.2} us, {:.2} times the bare loop",
        with - without,
        with / without
    );
    mmengine();
}
