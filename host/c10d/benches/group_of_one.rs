//! What a group of one rank costs a training: steps without a group, the same once more for the noise of this machine, and
//! steps with the gradient reducer and what ranks agree upon in each iteration, in turns, in one process. On a GPU over NCCL
//! where libtorch has it, else on the CPU over Gloo.
//!
//! ```sh
//! cargo bench -p snaphook-c10d --bench group_of_one
//! LD_LIBRARY_PATH=/path/to/torch/lib cargo bench -p snaphook-c10d --bench group_of_one    # the libtorch of a CUDA package
//! ```
//!
//! `TURNS` is how often each is measured (30).
#![allow(clippy::unwrap_used)] // a benchmark that cannot run is to say where

mod small_network;

use std::time::{Duration, Instant};

use small_network::{Exchange, SmallNetwork};
use snaphook_c10d::{Group, GroupOptions, Store};
use tch::{Device, Kind};

const WARM_UP: usize = 5;
const TURNS: usize = 30;
const PATIENCE: Duration = Duration::from_secs(60);

/// Milliseconds of a step, with the GPU's work done.
fn measure(network: &SmallNetwork, steps: usize, step: impl Fn()) -> f64 {
    let done = || network.parameters[0].1.sum(Kind::Float).double_value(&[]);
    done();
    let began = Instant::now();
    (0..steps).for_each(|_| step());
    done();
    began.elapsed().as_secs_f64() * 1e3 / steps as f64
}

/// Median, and the middle half.
fn spread(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [2, 1, 3].map(|quarter| sorted[sorted.len() * quarter / 4])
}

fn main() {
    let store = Store::tcp_server("127.0.0.1", 0, PATIENCE).unwrap();
    let options = GroupOptions { timeout: PATIENCE, ..GroupOptions::loopback() };
    let group = Group::gloo(&store, 0, 1, &options).unwrap();
    let (device, batch, steps) = match group.add_nccl(0) {
        Ok(()) => (Device::Cuda(0), 64, 50),
        Err(error) => {
            println!("no GPU: {error}");
            tch::set_num_threads(1);
            (Device::Cpu, 8, 5)
        }
    };
    let backend = if device == Device::Cpu { "Gloo, on the CPU" } else { "NCCL, on a GPU" };
    let [alone, grouped] = [0, 1].map(|_| SmallNetwork::new(device, batch));
    let exchange = Exchange::new(&group, &grouped, true);
    let without = || alone.step(None);
    let with = || grouped.step(Some(&exchange));
    for _ in 0..WARM_UP {
        without();
        with();
    }
    let turns = std::env::var("TURNS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(TURNS);
    let mut found: [Vec<f64>; 3] = Default::default();
    for turn in 0..turns {
        // Whoever comes first in a turn has no advantage of it.
        for place in 0..3 {
            let which = (turn + place) % 3;
            found[which].push(match which {
                2 => measure(&grouped, steps, with),
                _ => measure(&alone, steps, without),
            });
        }
    }
    let [first, again, grouped] = found.map(|times| spread(&times));
    let line = |name: &str, [median, low, high]: [f64; 3]| {
        println!("{name:24} {median:8.3} ms a step (middle half: {low:.3} to {high:.3})");
    };
    line("without a group", first);
    line("without a group, again", again);
    line(&format!("a group of one ({backend})"), grouped);
    println!(
        "again over first: {:.3}, with over without: {:.3}",
        again[0] / first[0],
        grouped[0] / first[0]
    );
}
