//! One group of a process of PyTorch and this one. Needs a Python with torch 2.11: `SNAPHOOK_TORCH_PYTHON` names it, or it
//! is called `python3`. Says so where there is none.

use std::io::Write;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Command, Stdio};

use snaphook_c10d::{Group, GroupOptions, ReduceOp, Reducer, ReducerOptions, Store, backward};
use tch::{Kind, Tensor};

use crate::processes::{TIMEOUT, alone};

/// Rank 1: an all-reduce, a broadcast, and a step of DistributedDataParallel.
const PEER: &str = r#"
import sys
import torch
import torch.distributed as dist

store = dist.TCPStore("127.0.0.1", int(sys.argv[1]), is_master=False, wait_for_workers=False)
dist.init_process_group("gloo", store=dist.PrefixStore("both", store), rank=1, world_size=2)
tensor = torch.tensor([1.0, 2.0])
dist.all_reduce(tensor)
assert tensor.tolist() == [11.0, 22.0], tensor
dist.broadcast(tensor, src=0)
assert tensor.tolist() == [7.0, 8.0], tensor
print("collectives", flush=True)
model = torch.nn.Linear(4, 1, bias=False)
model = torch.nn.parallel.DistributedDataParallel(model)
(model(torch.full((1, 4), 3.0)).sum()).backward()
print(model.module.weight.grad.tolist(), flush=True)
dist.barrier()
"#;

/// Rank RANK of a group that is found by the environment alone.
const PEER_OF_ENVIRONMENT: &str = r#"
import datetime
import torch
import torch.distributed as dist

dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=30))
tensor = torch.tensor([1.0, 2.0])
dist.all_reduce(tensor)
print(tensor.tolist(), flush=True)
dist.barrier()
"#;

fn python() -> Option<String> {
    let asked = std::env::var("SNAPHOOK_TORCH_PYTHON").ok();
    let python = asked.clone().unwrap_or_else(|| "python3".to_owned());
    let mut asks = Command::new(&python);
    asks.args(["-c", "import torch; print(torch.__version__)"]).stderr(Stdio::null());
    let output = asks.output().ok();
    let found = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let fits = found.as_deref().is_some_and(|version| version.starts_with("2.11."));
    // Who names one wants it used.
    assert!(fits || asked.is_none(), "{python}: expected torch 2.11, found {found:?}");
    fits.then_some(python)
}

/// Runs `act` in a process of its own with a Python that has torch, if there is one.
fn with_python(act: impl FnOnce(&str)) {
    let Some(python) = python() else {
        let words = "not run: no python3 with torch 2.11 (name one with SNAPHOOK_TORCH_PYTHON)\n";
        std::io::stderr().write_all(words.as_bytes()).unwrap();
        return;
    };
    alone(|| act(&python));
}

#[test]
fn a_process_of_pytorch_and_one_of_ours_are_one_group() {
    with_python(meet);
}

#[test]
fn pytorch_meets_us_as_rank_0_by_its_environment_alone() {
    with_python(|python| meet_by_environment(python, 0));
}

#[test]
fn we_meet_pytorch_as_rank_0_by_its_environment_alone() {
    with_python(|python| meet_by_environment(python, 1));
}

/// A port that is free now, not in the range of connections' own ones, and that no other test takes as long as its claim lives.
fn claimed_port() -> (u16, UnixListener) {
    let claim = |port: u16| {
        let name = SocketAddr::from_abstract_name(format!("snaphook-launch-port-{port}")).ok()?;
        let claim = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok()?;
        Some((port, claim))
    };
    (20_000..29_500).find_map(claim).unwrap()
}

/// `rank` is ours.
fn meet_by_environment(python: &str, rank: usize) {
    let (port, _claim) = claimed_port();
    let peer = Command::new(python)
        .args(["-c", PEER_OF_ENVIRONMENT])
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .env("RANK", (1 - rank).to_string())
        .env("WORLD_SIZE", "2")
        .env("OMP_NUM_THREADS", "1")
        .env("GLOO_SOCKET_IFNAME", "lo")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let store = Store::pytorch(("127.0.0.1", port), (rank, 2), TIMEOUT);
    let result = store.and_then(|store| {
        let options =
            GroupOptions { timeout: TIMEOUT, with_pytorch: true, ..GroupOptions::loopback() };
        let group = Group::gloo(&store, rank, 2, &options)?;
        let mut tensor = Tensor::from_slice(&[10f32, 20.0]);
        group.all_reduce(&mut tensor, ReduceOp::Sum)?;
        group.barrier()?;
        Ok(Vec::<f32>::try_from(tensor).unwrap())
    });
    let output = peer.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words} {result:?}");
    assert_eq!(result.unwrap(), [11.0, 22.0], "{words}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[11.0, 22.0]");
}

fn meet(python: &str) {
    let server = Store::tcp_server("127.0.0.1", 0, TIMEOUT).unwrap();
    let peer = Command::new(python)
        .args(["-c", PEER, &server.port().unwrap().to_string()])
        .env("OMP_NUM_THREADS", "1")
        .env("GLOO_SOCKET_IFNAME", "lo")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What init_process_group puts before the keys of its default group.
    let store = server.with_prefix("both").unwrap().with_prefix("0/").unwrap();
    let options = GroupOptions { timeout: TIMEOUT, with_pytorch: true, ..GroupOptions::loopback() };
    let joined = Group::gloo(&store, 0, 2, &options);
    let result = joined.and_then(|group| {
        let mut tensor = Tensor::from_slice(&[10f32, 20.0]);
        group.all_reduce(&mut tensor, ReduceOp::Sum)?;
        group.broadcast(&mut Tensor::from_slice(&[7f32, 8.0]), 0)?;
        let weight = Tensor::ones([1, 4], tch::kind::FLOAT_CPU).set_requires_grad(true);
        let parameters = [("weight".to_owned(), weight.shallow_clone())];
        let reducer = Reducer::new(
            &group,
            &parameters,
            ReducerOptions { compares: false, ..ReducerOptions::default() },
        )?;
        // What DistributedDataParallel does before the first step.
        group.broadcast_all(&[weight.detach()], 0)?;
        reducer.prepare_forward()?;
        let loss = (&weight * 1.0).sum(Kind::Float);
        reducer.prepare_backward(&[&loss])?;
        backward(&loss)?;
        group.barrier()?;
        Ok((tensor.double_value(&[1]), weight.grad().double_value(&[0, 0])))
    });
    let output = peer.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words} {result:?}");
    assert_eq!(result.unwrap(), (22.0, 2.0), "{words}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "collectives\n[[2.0, 2.0, 2.0, 2.0]]");
}
