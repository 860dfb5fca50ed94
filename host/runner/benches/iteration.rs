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

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use snaphook_runner::optim::OptimWrapper;

use support::{Line, train};

const ITERATIONS: u64 = 3000;
const ROUNDS: usize = 5;

fn config() -> Json {
    json!({
        "train_cfg": { "type": "EpochBasedTrainLoop", "max_epochs": 1 },
        "optim_wrapper": { "type": "OptimWrapper", "optimizer": { "type": "SGD", "lr": 0.1 } },
        "default_hooks": { "logger": { "type": "LoggerHook", "interval": 50 }, "checkpoint": { "type": "CheckpointHook", "interval": 1_000_000_000, "by_epoch": false, "save_last": false } },
        "log_processor": { "window_size": 50 },
    })
}

/// The same steps with nothing around them.
fn bare() -> Duration {
    let model = Line::new(1);
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
        with = with
            .min(micros(train(config(), &folder.path().join(round.to_string()), 1, ITERATIONS).1));
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
