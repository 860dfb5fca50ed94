//! The engine between threads of this process, which are ranks like any other, and with a process of PyTorch.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod collectives;
mod failures;
mod gradients;
mod norm;
mod python;
mod stores;

use std::time::Duration;

use snaphook_c10d::{Group, GroupOptions, Store};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs `act` on each of `size` ranks, and returns what each says.
fn on_ranks<T: Send>(size: usize, act: impl Fn(&Group) -> T + Sync) -> Vec<T> {
    tch::set_num_threads(1);
    let server = Store::tcp_server("127.0.0.1", 0, TIMEOUT).unwrap();
    let port = server.port().unwrap();
    std::thread::scope(|scope| {
        let start = |rank| {
            let act = &act;
            scope.spawn(move || {
                let store = Store::tcp("127.0.0.1", port, TIMEOUT).unwrap();
                let options = GroupOptions { timeout: TIMEOUT, ..GroupOptions::loopback() };
                let group = Group::gloo(&store, rank, size, &options).unwrap();
                act(&group)
            })
        };
        let ranks: Vec<_> = (0..size).map(start).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}
