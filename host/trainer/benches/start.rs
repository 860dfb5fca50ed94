//! How long it takes from `snaphook train` to the first iteration of YOLOX-tiny (batch 8, 640 x 640), and the same for
//! MMDetection where it is installed, in turns. The first iteration begins when its batch is at hand: the time of the first
//! log line, less that of its iteration without the wait for data.
//!
//! ```sh
//! cargo build --release && cargo bench -p snaphook-trainer --bench start            # ours
//! PEER_PYTHON=/path/to/python cargo bench -p snaphook-trainer --bench start
//! ```
//!
//! `PEER_PYTHON` has `torch==2.11.0`, `mmengine==0.10.7`, `mmcv==2.1.0` and `mmdet==3.3.0`.
#![allow(clippy::unwrap_used)] // a benchmark that cannot run is to say where

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 5;

fn main() {
    let trainer = Path::new(env!("CARGO_BIN_EXE_snaphook-trainer"));
    let snaphook = trainer.with_file_name("snaphook");
    assert!(snaphook.is_file(), "{}: build it first (cargo build --release)", snaphook.display());
    let folder = tempfile::tempdir().unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    std::fs::copy(here.join("start_config.py"), folder.path().join("tiny.py")).unwrap();
    let drawn = Command::new(trainer).arg("draw-demo").arg(folder.path().join("data")).output();
    assert!(drawn.unwrap().status.success());

    let peer = std::env::var_os("PEER_PYTHON");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut run = Command::new(&snaphook);
        run.args(["train", "tiny.py", "--work-dir", &format!("ours_{round}")]);
        ours.push(first_iteration(run.current_dir(folder.path())));
        if let Some(python) = &peer {
            let mut run = Command::new(python);
            run.arg(here.join("start_mmdetection.py"));
            run.args(["tiny.py", &format!("theirs_{round}")]);
            run.env("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1");
            theirs.push(first_iteration(run.current_dir(folder.path())));
        }
    }
    println!("snaphook train to the first iteration: {:.2} s (median of {ROUNDS})", median(ours));
    if !theirs.is_empty() {
        println!("MMDetection's: {:.2} s", median(theirs));
    }
}

/// Seconds from the start of the program until its first batch was at hand. The program is ended then.
fn first_iteration(command: &mut Command) -> f64 {
    let began = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (lines, found) = std::sync::mpsc::channel();
    let readers: [Box<dyn std::io::Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    for reader in readers {
        let lines = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if lines.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
    }
    drop(lines);
    let mut seen = Vec::new();
    let seconds = found.iter().find_map(|(at, line)| {
        let is_first = line.contains("Epoch(train)");
        seen.push(line.clone());
        let value = |name: &str| -> f64 {
            let rest = line.split(name).nth(1).unwrap();
            rest.split_whitespace().next().unwrap().parse().unwrap()
        };
        let step = || value(" time: ") - value(" data_time: ");
        is_first.then(|| (at - began).as_secs_f64() - step())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    seconds.unwrap_or_else(|| panic!("no iteration:\n{}", seen.join("\n")))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
