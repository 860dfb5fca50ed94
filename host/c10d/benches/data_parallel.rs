//! Training with two processes on this machine against one, and against PyTorch's DistributedDataParallel with the same
//! model, batch and Gloo, in turns. Prints the medians of milliseconds per step, of processor time too, which other load on the
//! machine changes less, their ratios, and what an all-reduce costs. Ours is measured twice: the engine alone, which is what
//! PyTorch has, and as the trainer does, with what its ranks agree upon in each step and its settings of the allocator.
//!
//! ```sh
//! cargo bench -p snaphook-c10d --bench data_parallel            # ours
//! PEER_PYTHON=/path/to/python cargo bench -p snaphook-c10d --bench data_parallel
//! ```
//!
//! `PEER_PYTHON` has `torch==2.11.0`; `data_parallel_pytorch.py` beside this file is what it runs. Every process has one
//! thread, so that two of them need two cores. `TURNS` is how often each is started (5).
#![allow(clippy::unwrap_used)] // a benchmark that cannot run is to say where

mod small_network;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use small_network::{Exchange, SmallNetwork};
use snaphook_c10d::{Group, GroupOptions, ReduceOp, Store};
use tch::{Device, Tensor};

/// As `snaphook` starts its trainer (host/cli/src/trainer.rs): freed memory is kept.
const ALLOCATOR: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
    ("MALLOC_TRIM_THRESHOLD_", "536870912"),
    ("MALLOC_TOP_PAD_", "67108864"),
];
const WARM_UP: usize = 4;
const STEPS: usize = 8;
const ROUNDS: usize = 3;
const TURNS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// Processor time of this process with all its threads, in milliseconds.
fn processor_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    // utime and stime, in hundredths of a second on every Linux.
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap() * 10.0).sum()
}

/// One rank; milliseconds per step of the median round, and of processor time over all rounds.
fn rank(rank: usize, world: usize, port: u16) -> [f64; 2] {
    tch::set_num_threads(1);
    let group = (world > 1).then(|| {
        let store = match rank {
            0 => Store::tcp_server("127.0.0.1", port, PATIENCE).unwrap(),
            _ => Store::tcp("127.0.0.1", port, PATIENCE).unwrap(),
        };
        Group::gloo(&store, rank, world, &GroupOptions::loopback()).unwrap()
    });
    let network = SmallNetwork::new(Device::Cpu, 8);
    let agrees = std::env::var_os("AGREES").is_some();
    let exchange = group.as_ref().map(|group| Exchange::new(group, &network, agrees));
    let step = || network.step(exchange.as_ref());
    (0..WARM_UP).for_each(|_| step());
    let (mut rounds, before) = (Vec::new(), processor_ms());
    for _ in 0..ROUNDS {
        if let Some(group) = &group {
            group.barrier().unwrap();
        }
        let began = Instant::now();
        (0..STEPS).for_each(|_| step());
        rounds.push(began.elapsed().as_secs_f64() * 1e3 / STEPS as f64);
    }
    let processor = (processor_ms() - before) / (ROUNDS * STEPS) as f64;
    drop(exchange);
    if let Some(group) = &group {
        if std::env::var_os("TELL_COSTS").is_some() {
            let costs = costs(group);
            if rank == 0 {
                eprintln!("{costs}");
            }
        }
        group.barrier().unwrap();
    }
    [median(&mut rounds), processor]
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What an all-reduce of one number and one of a whole bucket cost.
fn costs(group: &Group) -> String {
    let seconds = |elements: i64, times: u32| {
        let mut tensor = Tensor::ones([elements], tch::kind::FLOAT_CPU);
        let mut fastest = Duration::MAX;
        for _ in 0..5 {
            group.barrier().unwrap();
            let began = Instant::now();
            (0..times).for_each(|_| group.all_reduce(&mut tensor, ReduceOp::Max).unwrap());
            fastest = fastest.min(began.elapsed() / times);
        }
        fastest.as_secs_f64()
    };
    let (small, large) = (seconds(1, 200), seconds(25 << 18, 4));
    format!("all-reduce: one number {:.0} us, 25 MiB {:.2} ms", small * 1e6, large * 1e3)
}

/// Starts `world` processes and returns what rank 0 measured.
fn measure(world: usize, command: impl Fn() -> Command) -> [f64; 2] {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let start = |rank: usize| {
        let mut command = command();
        for (name, value) in
            [("RANK", rank), ("WORLD_SIZE", world), ("MASTER_PORT", usize::from(port))]
        {
            command.env(name, value.to_string());
        }
        command.env("MASTER_ADDR", "127.0.0.1").env("OMP_NUM_THREADS", "1");
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let ranks: Vec<_> = (0..world).map(start).collect();
    let outputs = ranks.into_iter().map(|rank| rank.wait_with_output().unwrap());
    let outputs: Vec<_> = outputs.collect();
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    let said = String::from_utf8_lossy(&outputs[0].stdout).into_owned();
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|text| text.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("expected two times, found {said:?}"))
}

fn main() {
    let variable = |name: &str| std::env::var(name).ok();
    let number = |name: &str| variable(name).and_then(|value| value.parse::<usize>().ok());
    if let (Some(own), Some(world)) = (number("RANK"), number("WORLD_SIZE")) {
        let port = number("MASTER_PORT").unwrap_or(0) as u16;
        let [wall, processor] = rank(own, world, port);
        println!("{wall} {processor}");
        return;
    }
    let ours = |agrees: bool| {
        move || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.env("TELL_COSTS", "1");
            if agrees {
                command.env("AGREES", "1").envs(ALLOCATOR);
            }
            command
        }
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/data_parallel_pytorch.py");
    let theirs = variable("PEER_PYTHON").map(|python| {
        move || {
            let mut command = Command::new(&python);
            command.arg(&script).args([WARM_UP, STEPS, ROUNDS].map(|count| count.to_string()));
            command
        }
    });
    // In turns, so that what else happens on the machine meets all of them.
    let mut found: [[Vec<[f64; 2]>; 2]; 3] = Default::default();
    for _ in 0..number("TURNS").unwrap_or(TURNS) {
        for world in [1, 2] {
            found[0][world - 1].push(measure(world, ours(false)));
            found[1][world - 1].push(measure(world, ours(true)));
            if let Some(theirs) = &theirs {
                found[2][world - 1].push(measure(world, theirs));
            }
        }
    }
    let line = |name: &str, [alone, both]: &[Vec<[f64; 2]>; 2]| {
        let column =
            |of: &[[f64; 2]], which: usize| of.iter().map(|times| times[which]).collect::<Vec<_>>();
        let (mut alone, mut both, mut processor) =
            (column(alone, 0), column(both, 0), column(both, 1));
        let (alone, middle) = (median(&mut alone), median(&mut both));
        let (least, most, processor) = (both[0], both[both.len() - 1], median(&mut processor));
        println!(
            "{name:24} one process {alone:6.2} ms a step, two {middle:6.2} ms ({least:.2} to {most:.2}), {processor:.2} ms of \
             processor time each: {:.2} times the samples per second",
            2.0 * alone / middle
        );
        [middle, processor]
    };
    let engine = line("the engine", &found[0]);
    let trainer = line("as the trainer does", &found[1]);
    if theirs.is_some() {
        let theirs = line("PyTorch", &found[2]);
        let times = |own: [f64; 2]| [0, 1].map(|at| theirs[at] / own[at]);
        println!(
            "two processes: PyTorch's step takes {:.3} times as long as the engine's and {:.3} times as the trainer's; \
             processor time {:.3} and {:.3} times",
            times(engine)[0],
            times(trainer)[0],
            times(engine)[1],
            times(trainer)[1]
        );
    }
}
