//! Several processes of one run, as a launcher would start them. Knows nothing of what they train.

use std::net::TcpListener;

use crate::{Outcome, Running, Workspace, start};

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
        // Free a moment ago; rank 0 takes it within a second.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let start = |rank: usize| {
            let mut command = self.command(arguments(rank));
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
            command.env("MASTER_ADDR", "127.0.0.1").envs(environment.iter().copied());
            start(command)
        };
        (0..world).map(start).collect()
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
