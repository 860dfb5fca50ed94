//! Trains a small model on several processes, each with a part of the data:
//!
//! ```sh
//! for rank in 0 1; do
//!   RANK=$rank WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 cargo run -p snaphook-c10d --example data_parallel &
//! done; wait
//! ```

use std::env::var;
use std::time::Duration;

use snaphook_c10d::{Group, GroupOptions, ReduceOp, Reducer, ReducerOptions, Store};
use tch::{Kind, Tensor, no_grad};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number = |name: &str| var(name).ok().and_then(|value| value.parse::<usize>().ok());
    let (rank, world) = (number("RANK").unwrap_or(0), number("WORLD_SIZE").unwrap_or(1));
    let host = var("MASTER_ADDR").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port = number("MASTER_PORT").unwrap_or(29500) as u16;
    let timeout = Duration::from_secs(60);
    let store = match rank {
        0 => Store::tcp_server(&host, port, timeout)?,
        _ => Store::tcp(&host, port, timeout)?,
    };
    let group = Group::gloo(&store, rank, world, &GroupOptions::default())?;

    // y = 2 x1 - x2: each rank has other samples of it.
    tch::manual_seed(rank as i64);
    let inputs = Tensor::randn([64, 2], tch::kind::FLOAT_CPU);
    let targets = inputs.matmul(&Tensor::from_slice(&[2f32, -1.0]));
    let weight = Tensor::zeros([2], tch::kind::FLOAT_CPU).set_requires_grad(true);
    group.broadcast_all(&[weight.detach()], 0)?;
    let parameters = [("weight".to_owned(), weight.shallow_clone())];
    let reducer = Reducer::new(&group, &parameters, ReducerOptions::default())?;
    for step in 0..50 {
        reducer.prepare_forward()?;
        let loss = (inputs.matmul(&weight) - &targets).square().mean(Kind::Float);
        reducer.prepare_backward(&[&loss])?;
        reducer.backward(&loss)?;
        no_grad(|| {
            let mut weight = weight.shallow_clone();
            weight -= weight.grad() * 0.1;
            let _ = weight.grad().zero_();
        });
        let mean = group.all_reduce_numbers(&[loss.double_value(&[])], ReduceOp::Mean)?[0];
        if rank == 0 && step % 10 == 0 {
            println!("step {step}: loss {mean:.6}");
        }
    }
    let learned: Vec<f32> = weight.detach().try_into()?;
    println!("rank {rank}: {learned:?}");
    // The store lives in rank 0.
    group.barrier()?;
    Ok(())
}
