//! The smallest run that has the whole machine in it, for benchmarks of the machine alone.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use snaphook_hooks::{Dispatcher, OnError, Priority, built_in, hook_specs};
use snaphook_plugin_api::host::LogLevel;
use snaphook_runner::log::{Console, RunLogger};
use snaphook_runner::{
    AnyBatch, AnyPredictions, BoxError, DataSource, Layer, Losses, Machine, Model, ModelState,
    ModuleInfo, Run, RunNames, Scope, Start, StepContext, Task,
};
use tch::{Device, Kind, Tensor};

/// A model that is one vector of weights, whose loss is the mean of their doubles.
pub(crate) struct Line {
    /// Its weights, for an optimizer.
    pub(crate) state: ModelState,
    weight: Tensor,
}

impl Line {
    /// One of so many weights.
    pub(crate) fn new(weights: i64) -> Line {
        let scope = Scope::root(Device::Cpu);
        let weight = scope.parameter("weight", &[weights], Layer::Other);
        Line { state: scope.finish(), weight }
    }

    /// The loss of every batch.
    pub(crate) fn loss(&self) -> Tensor {
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

/// Empty batches, with the moments at which they were asked for.
pub(crate) struct Nothing {
    iterations: u64,
    left: u64,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Nothing {
    /// So many batches an epoch.
    pub(crate) fn new(iterations: u64) -> Nothing {
        let asked = Arc::new(Mutex::new(Vec::with_capacity(iterations as usize + 1)));
        Nothing { iterations, left: 0, asked }
    }
}

impl DataSource for Nothing {
    fn batches(&self) -> usize {
        self.iterations as usize
    }
    fn samples(&self) -> usize {
        self.iterations as usize
    }
    fn start_epoch(&mut self, _: u64, start: u64) -> Result<(), BoxError> {
        self.left = self.iterations - start;
        Ok(())
    }
    fn next_batch(&mut self) -> Option<Result<AnyBatch, BoxError>> {
        self.asked.lock().unwrap().push(Instant::now());
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

/// Trains a [`Line`] for an epoch of so many iterations with the default hooks; the moments at which batches were asked for,
/// the last at the end of the epoch, and how long all of the training took.
pub(crate) fn train(
    config: Json,
    work_dir: &Path,
    weights: i64,
    iterations: u64,
) -> (Vec<Instant>, Duration) {
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
    let data = Nothing::new(iterations);
    let asked = data.asked.clone();
    let task = Task {
        model: Box::new(Line::new(weights)),
        train_data: Some(Box::new(data)),
        validation: Vec::new(),
        test: Vec::new(),
        painter: None,
    };
    let log = RunLogger::new(Console::Silent, LogLevel::Info);
    let mut run = Run::new(Machine::new(log, config, info.create().unwrap(), task), dispatcher);
    run.prepare().unwrap();
    let began = Instant::now();
    run.train(&Start::Fresh).unwrap();
    let whole = began.elapsed();
    (std::mem::take(&mut *asked.lock().unwrap()), whole)
}
