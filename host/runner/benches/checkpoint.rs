//! How long a training stands still when it saves: a model of 25 million weights with momentum (200 MB to save) trains with
//! `CheckpointHook` every 20 iterations. The iterations that save are set against the median of the others, and the same for
//! MMEngine where it is installed.
//!
//! ```sh
//! cargo bench -p snaphook-runner --bench checkpoint           # ours
//! PEER_PYTHON=/path/to/python cargo bench -p snaphook-runner --bench checkpoint
//! ```
//!
//! `PEER_PYTHON` has `torch==2.11.0` and `mmengine==0.10.7`; `checkpoint_mmengine.py` beside this file is what it runs.
#![allow(clippy::unwrap_used)] // a benchmark that cannot run is to say where

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::json;

use support::train;

const WEIGHTS: i64 = 25_000_000;
const ITERATIONS: u64 = 100;
const INTERVAL: u64 = 20;

fn main() {
    tch::set_num_threads(1);
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "train_cfg": { "type": "EpochBasedTrainLoop", "max_epochs": 1 },
        "optim_wrapper": { "type": "OptimWrapper", "optimizer": { "type": "SGD", "lr": 0.1, "momentum": 0.9 } },
        "default_hooks": {
            "logger": { "type": "LoggerHook", "interval": 50 },
            "checkpoint": { "type": "CheckpointHook", "interval": INTERVAL, "by_epoch": false, "max_keep_ckpts": 1 },
        },
    });
    let (asked, _) = train(config, folder.path(), WEIGHTS, ITERATIONS);
    let millis: Vec<f64> =
        asked.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3).collect();
    let (saving, others): (Vec<_>, Vec<_>) = millis
        .iter()
        .enumerate()
        .partition(|(iter, _)| (*iter as u64 + 1).is_multiple_of(INTERVAL));
    let median = |times: Vec<(usize, &f64)>| {
        let mut times: Vec<f64> = times.into_iter().map(|(_, time)| *time).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (saving, others) = (median(saving), median(others));
    println!(
        "an iteration that saves {saving:.0} ms, another {others:.0} ms: a save stops the loop for {:.0} ms",
        saving - others
    );
    mmengine();
}

fn mmengine() {
    let Some(python) = std::env::var_os("PEER_PYTHON") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/checkpoint_mmengine.py");
    let numbers = [WEIGHTS as u64, ITERATIONS, INTERVAL].map(|number| number.to_string());
    let output = Command::new(python).arg(script).args(numbers).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
}
