//! Several processes of one run, as a launcher would start them. Knows nothing of what they train.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use crate::{Outcome, Running, Workspace, start};

/// A free port that no other test takes while this process lives, and that the system gives nobody who asks for any.
pub fn claimed_port() -> u16 {
    // Below the ports of connections; launchers begin at 29500, and claim by the same name.
    let claim = |port: &u16| {
        let name = SocketAddr::from_abstract_name(format!("snaphook-launch-port-{port}")).unwrap();
        let claim = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind(("127.0.0.1", *port)).ok()?;
        Some(claim)
    };
    let found = (20_000..29_500).find_map(|port| Some((port, claim(&port)?)));
    let (port, claim) = found.unwrap_or_else(|| panic!("no free port from 20000 on"));
    std::mem::forget(claim);
    port
}

impl Workspace {
    /// Starts `snaphook …` as each of `world` ranks on this machine; `arguments` are those of a rank.
    pub fn start_ranks(
        &self,
        world: usize,
        arguments: impl Fn(usize) -> Vec<String>,
    ) -> Vec<Running> {
        self.start_ranks_with(world, arguments, &[])
    }

    fn start_ranks_with(
        &self,
        world: usize,
        arguments: impl Fn(usize) -> Vec<String>,
        environment: &[(&str, &str)],
    ) -> Vec<Running> {
        let port = claimed_port();
        let start = |rank: usize| {
            let mut command = self.rank_command((rank, world), port, arguments(rank));
            command.envs(environment.iter().copied());
            start(command)
        };
        (0..world).map(start).collect()
    }

    /// `snaphook …` as one of `world` ranks, which meet at this port.
    pub fn rank_command(
        &self,
        (rank, world): (usize, usize),
        port: u16,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = self.command(arguments);
        let variables = [
            ("RANK", rank),
            ("LOCAL_RANK", rank),
            ("WORLD_SIZE", world),
            ("LOCAL_WORLD_SIZE", world),
            ("MASTER_PORT", usize::from(port)),
        ];
        for (name, value) in variables {
            command.env(name, value.to_string());
        }
        command.env("MASTER_ADDR", "127.0.0.1");
        command
    }

    /// Runs `snaphook train tiny.py --work-dir work …` as each of `world` ranks to the end.
    pub fn train_ranks(&self, world: usize, arguments: &[&str]) -> Vec<Outcome> {
        self.train_ranks_with(world, arguments, &[])
    }

    /// The same, with further environment variables.
    pub fn train_ranks_with(
        &self,
        world: usize,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Vec<Outcome> {
        let of_rank = |_| {
            let fixed = ["train", "tiny.py", "--work-dir", "work"];
            fixed.iter().chain(arguments).map(|text| (*text).to_owned()).collect()
        };
        let running = self.start_ranks_with(world, of_rank, environment);
        running.into_iter().map(Running::wait).collect()
    }
}
