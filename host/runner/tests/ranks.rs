//! Runs with one rank and with several end with the same weights. Ranks are processes: a test starts its own program once for
//! each, with the test's name and a variable that says which rank it is.
#![allow(clippy::unwrap_used)] // outside #[test] functions, too

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value as Json, json};
use snaphook_c10d::{
    Group, GroupOptions, NormParameters, Store, normalize_over_ranks, set_default_group,
};
use snaphook_hooks::Dispatcher;
use snaphook_plugin_api::host::LogLevel;
use snaphook_runner::log::{Console, RunLogger};
use snaphook_runner::{
    AnyBatch, AnyPredictions, BoxError, DataSource, Layer, Losses, Machine, Model, ModelState,
    ModuleInfo, RankSettings, Ranks, Run, RunInfo, RunNames, Scope, Start, StepContext, Task,
};
use tch::{Device, Kind, Tensor, no_grad};

/// Samples of a step over all ranks.
const BATCH: i64 = 6;
const STEPS: u64 = 20;

/// Two convolutions, with or without a norm between them, and a line.
struct Net {
    state: ModelState,
    first: Tensor,
    second: Tensor,
    line: Tensor,
    spare: Tensor,
    norm: Option<[Tensor; 4]>,
    uses_spare: bool,
}

impl Net {
    fn new(has_norm: bool, uses_spare: bool) -> Net {
        let scope = Scope::root(Device::Cpu);
        let layer = |in_channels| Layer::Convolution { in_channels, groups: 1 };
        let first = scope.parameter("first", &[8, 3, 3, 3], layer(3));
        let norm = has_norm.then(|| {
            let one = Tensor::ones([8], tch::kind::FLOAT_CPU);
            [
                scope.parameter("norm.weight", &[8], Layer::Norm),
                scope.parameter("norm.bias", &[8], Layer::Norm),
                scope.buffer("norm.mean", one.zeros_like(), Layer::Norm),
                scope.buffer("norm.variance", one, Layer::Norm),
            ]
        });
        let second = scope.parameter("second", &[8, 8, 3, 3], layer(8));
        let line = scope.parameter("line", &[4, 8], Layer::Other);
        let spare = scope.parameter("spare", &[4], Layer::Other);
        Net { state: scope.finish(), first, second, line, spare, norm, uses_spare }
    }

    fn normalize(&self, x: Tensor) -> Tensor {
        let Some([weight, bias, mean, variance]) = &self.norm else { return x };
        let parameters = NormParameters {
            affine: Some((weight, bias)),
            running: Some((mean, variance)),
            momentum: 0.1,
            eps: 1e-5,
        };
        normalize_over_ranks(&x, &parameters, true).unwrap_or_else(|| {
            let (mean, variance) = (Some(mean), Some(variance));
            x.batch_norm(Some(weight), Some(bias), mean, variance, true, 0.1, 1e-5, false)
        })
    }
}

impl Model for Net {
    fn state(&self) -> &ModelState {
        &self.state
    }
    fn set_training(&mut self, _: bool) {}
    fn init_weights(&mut self, _: u64) -> Result<(), BoxError> {
        no_grad(|| {
            for (at, entry) in self.state.parameters().enumerate() {
                let count = entry.tensor.numel() as i64;
                let values = Tensor::arange(count, tch::kind::FLOAT_CPU) * 0.7 + at as f64;
                let values = (values.sin() * 0.3).view_as(&entry.tensor);
                entry.tensor.shallow_clone().copy_(&values);
            }
        });
        Ok(())
    }
    fn loss(&mut self, batch: &AnyBatch, _: &StepContext) -> Result<Losses, BoxError> {
        let samples: &Vec<i64> = batch.downcast_ref().ok_or("not my batch")?;
        let image = |at: &i64| {
            let places = Tensor::arange(3 * 8 * 8, tch::kind::FLOAT_CPU) * 0.37 + *at as f64;
            places.sin().view([3, 8, 8])
        };
        let images = Tensor::stack(&samples.iter().map(image).collect::<Vec<_>>(), 0);
        let conv = |x: &Tensor, weight: &Tensor| {
            x.conv2d(weight, None::<&Tensor>, [1, 1], [1, 1], [1, 1], 1)
        };
        let x = self.normalize(conv(&images, &self.first)).relu();
        let x = conv(&x, &self.second).relu().mean_dim([2, 3].as_slice(), false, Kind::Float);
        let mut x = x.linear(&self.line, None::<&Tensor>);
        if self.uses_spare {
            x += &self.spare;
        }
        let targets = samples.iter().map(|at| (*at % 7) as f32).collect::<Vec<_>>();
        let targets = Tensor::from_slice(&targets).unsqueeze(1);
        Ok(Losses(vec![("loss_square".to_owned(), (x - targets).square().mean(Kind::Float))]))
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

/// Numbers instead of pictures: each rank has every world-th one of a step.
struct Numbers {
    rank: i64,
    world: i64,
    next: i64,
}

impl DataSource for Numbers {
    fn batches(&self) -> usize {
        STEPS as usize
    }
    fn samples(&self) -> usize {
        STEPS as usize * BATCH as usize
    }
    fn start_epoch(&mut self, _: u64, start: u64) -> Result<(), BoxError> {
        self.next = start as i64;
        Ok(())
    }
    fn next_batch(&mut self) -> Option<Result<AnyBatch, BoxError>> {
        let step = self.next;
        self.next += 1;
        let own = (0..BATCH).filter(|at| at % self.world == self.rank);
        let samples: Vec<i64> = own.map(|at| step * BATCH + at).collect();
        (step < STEPS as i64).then(|| Ok(Box::new(samples) as AnyBatch))
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

#[derive(Clone, Copy, Default)]
struct Case {
    has_norm: bool,
    accumulates: u64,
    leaves_out_spare: bool,
    looks_for_none: bool,
}

fn train(case: Case, group: Option<Group>, info: RunInfo) -> Vec<f32> {
    let mut run = prepared(case, group, info);
    run.train(&Start::Fresh).unwrap();
    let entries = run.machine.task.model.state().entries();
    let values = |tensor: &Tensor| Vec::<f32>::try_from(tensor.detach().reshape([-1])).unwrap();
    entries.iter().flat_map(|entry| values(&entry.tensor)).collect()
}

fn prepared(case: Case, group: Option<Group>, info: RunInfo) -> Run {
    let config = json!({
        "train_cfg": { "type": "EpochBasedTrainLoop", "max_epochs": 1 },
        "optim_wrapper": { "type": "OptimWrapper", "accumulative_counts": case.accumulates.max(1),
            "optimizer": { "type": "SGD", "lr": 0.02, "momentum": 0.9, "weight_decay": 0.0005 } },
    });
    let ranks = Ranks::new(
        group,
        RankSettings {
            find_unused_parameters: case.leaves_out_spare && !case.looks_for_none,
            ..RankSettings::default()
        },
    );
    let (rank, world) = (ranks.rank() as i64, ranks.world() as i64);
    let task = Task {
        model: Box::new(Net::new(case.has_norm, !case.leaves_out_spare)),
        train_data: Some(Box::new(Numbers { rank, world, next: 0 })),
        validation: Vec::new(),
        test: Vec::new(),
        painter: None,
    };
    let log = RunLogger::new(Console::Silent, LogLevel::Info);
    let mut machine = Machine::new(log, config, info, task);
    machine.ranks = ranks;
    let mut run = Run::new(machine, Dispatcher::default());
    run.prepare().unwrap();
    run
}

/// `rank world port folder`, in a process that is a rank.
const VARIABLE: &str = "SNAPHOOK_TEST_RANK";
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run is called and where its files are: rank 0's folder, which all are told.
fn info(folder: &Path) -> RunInfo {
    let names = RunNames {
        config_path: Path::new("net.py"),
        work_dir: Some(folder),
        experiment_name: None,
        seed: 0,
        device: Device::Cpu,
    };
    RunInfo::planned(&names)
}

/// Trains as the rank that the variable tells of, and leaves the weights in the folder.
fn train_as_rank(case: Case, told: &str) {
    as_rank(told, |group, rank, folder| {
        let weights = train(case, Some(group), info(folder));
        let bytes: Vec<u8> = weights.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(folder.join(format!("rank{rank}")), bytes).unwrap();
    });
}

/// Runs `act` in the group that the variable tells of.
fn as_rank(told: &str, act: impl FnOnce(Group, usize, &Path)) {
    let [rank, world, port, folder] = told.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let (rank, world) = (rank.parse().unwrap(), world.parse().unwrap());
    let store = Store::tcp("127.0.0.1", port.parse().unwrap(), PATIENCE).unwrap();
    let group = Group::gloo(&store, rank, world, &GroupOptions::loopback()).unwrap();
    set_default_group(Some(group.clone()));
    act(group, rank, Path::new(folder));
    set_default_group(None);
}

/// The weights of every rank.
fn weights(case: Case, world: usize) -> Vec<Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    if world == 1 {
        return vec![train(case, None, info(folder.path()))];
    }
    start_ranks(world, folder.path());
    let weights = |rank: usize| {
        let bytes = std::fs::read(folder.path().join(format!("rank{rank}"))).unwrap();
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
    };
    (0..world).map(weights).collect()
}

/// Runs this test as each rank, in a process with the variable.
fn start_ranks(world: usize, folder: &Path) {
    let server = Store::tcp_server("127.0.0.1", 0, PATIENCE).unwrap();
    let port = server.port().unwrap();
    let test = std::thread::current().name().unwrap().to_owned();
    let start = |rank: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args([&test, "--exact", "--nocapture"])
            .env(VARIABLE, format!("{rank} {world} {port} {}", folder.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let ranks: Vec<_> = (0..world).map(start).collect();
    let ended: Vec<_> = ranks.into_iter().map(|rank| rank.wait_with_output().unwrap()).collect();
    assert!(ended.iter().all(|output| output.status.success()), "{ended:?}");
}

#[track_caller]
fn assert_equal_for_worlds(case: Case, worlds: &[usize], tolerance: f32) {
    tch::set_num_threads(1);
    if let Ok(told) = std::env::var(VARIABLE) {
        return train_as_rank(case, &told);
    }
    let alone = weights(case, 1).remove(0);
    assert!(alone.iter().all(|value| value.is_finite()));
    for world in worlds {
        let all = weights(case, *world);
        for (rank, own) in all.iter().enumerate() {
            assert!(*own == all[0], "rank {rank} of {world} has other weights than rank 0");
            let differences = own.iter().zip(&alone).map(|(own, alone)| (own - alone).abs());
            let furthest = differences.fold(0.0, f32::max);
            assert!(furthest < tolerance, "{world} ranks differ from one by {furthest}");
        }
    }
}

#[test]
fn twenty_steps_without_norm_give_the_weights_of_one_process() {
    assert_equal_for_worlds(Case::default(), &[2, 3], 1e-5);
}

#[test]
fn twenty_steps_with_synchronised_norm_give_the_weights_of_one_process() {
    assert_equal_for_worlds(Case { has_norm: true, ..Case::default() }, &[2, 3], 1e-4);
}

#[test]
fn gradients_can_be_added_up_before_they_are_exchanged() {
    assert_equal_for_worlds(Case { accumulates: 3, ..Case::default() }, &[2], 1e-5);
}

#[test]
fn parameters_can_be_left_out_where_they_are_looked_for() {
    assert_equal_for_worlds(Case { leaves_out_spare: true, ..Case::default() }, &[2], 1e-5);
}

#[test]
fn a_parameter_that_takes_no_part_ends_all_ranks_in_the_first_iteration_with_its_name() {
    tch::set_num_threads(1);
    if let Ok(told) = std::env::var(VARIABLE) {
        return as_rank(&told, |group, rank, folder| {
            let case = Case { leaves_out_spare: true, looks_for_none: true, ..Case::default() };
            let mut run = prepared(case, Some(group), info(folder));
            let error = run.train(&Start::Fresh).unwrap_err().to_string();
            let words = "expected all 4 parameters to take part in the backward pass, found 1 that did not: spare (";
            assert!(error.starts_with(&format!("rank {rank} of 2, ")), "{error}");
            assert!(
                error.contains(words) && error.contains("find_unused_parameters=True"),
                "{error}"
            );
            assert_eq!(run.machine.progress.iter, 0);
        });
    }
    let folder = tempfile::tempdir().unwrap();
    start_ranks(2, folder.path());
}
