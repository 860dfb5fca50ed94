//! The command line of the launcher: torchrun's flags, and a few of our own. Knows nothing of what they start.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::{Endpoint, Redirection};

/// `launch [FLAGS] -- PROGRAM ARGUMENTS`
#[derive(Clone, Debug, Args)]
pub struct LaunchArguments {
    /// Processes on this machine: a number, gpu (one for each GPU), cpu, or auto (GPUs, else processors) [default: 1].
    #[arg(long, value_name = "N", alias = "nproc_per_node")]
    pub nproc_per_node: Option<Processes>,
    /// Machines of the job; each runs this command [default: $NNODES, else 1]. N:N is the same.
    #[arg(long, value_name = "N", value_parser = machines)]
    pub nnodes: Option<u32>,
    /// Number of this machine, from 0 [default: 0 with one machine; with several $NODE_RANK, else what SLURM or Kubernetes
    /// says].
    #[arg(long, value_name = "N", alias = "node_rank")]
    pub node_rank: Option<u32>,
    /// Name or address of machine 0 [default: $MASTER_ADDR, else 127.0.0.1 with one machine; with several the first one that
    /// SLURM lists].
    #[arg(long, value_name = "HOST", alias = "master_addr")]
    pub master_addr: Option<String>,
    /// Port at which machine 0 is met [default: $PORT, $MASTER_PORT, else 29500]; with one machine, a busy one is avoided.
    #[arg(long, value_name = "PORT", alias = "master_port", value_parser = clap::value_parser!(u16).range(1..))]
    pub master_port: Option<u16>,
    /// Address and port of machine 0 in one.
    #[arg(long, value_name = "HOST:PORT", alias = "rdzv_endpoint", conflicts_with_all = ["master_addr", "master_port"])]
    pub rdzv_endpoint: Option<Endpoint>,
    /// One machine, whatever the environment says; the port is any free one.
    #[arg(long, conflicts_with_all = ["nnodes", "node_rank", "master_addr", "rdzv_endpoint"])]
    pub standalone: bool,
    /// How often a job that failed is started again, from its last checkpoint.
    #[arg(long, value_name = "N", alias = "max_restarts", default_value_t = 0)]
    pub max_restarts: u32,
    /// Folder for the output of all ranks [default: in the work folder of a run, else launch_logs/].
    #[arg(long, value_name = "DIR", alias = "log_dir")]
    pub log_dir: Option<PathBuf>,
    /// Keeps output off the terminal: 0 none, 1 stdout, 2 stderr, 3 both; or by local rank, 0:1,1:3.
    #[arg(short = 'r', long, value_name = "SPEC")]
    pub redirects: Option<Redirection>,
    /// Shows output on the terminal, with the rank before each line where there are several; spelled as --redirects
    /// [default: that of local rank 0].
    #[arg(short = 't', long, value_name = "SPEC")]
    pub tee: Option<Redirection>,
    /// Seconds that ranks have to end after another one failed; then they are killed.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub grace: f64,
    /// Seconds without progress after which the odd rank is named.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub hang_warning: f64,
    /// Seconds without progress after which the job is ended.
    #[arg(long, value_name = "SECONDS", default_value = "1800", value_parser = seconds)]
    pub hang_timeout: f64,
    /// Seconds for all machines to arrive.
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = seconds)]
    pub join_timeout: f64,
    /// Seconds without a word of another machine's launcher, until that machine counts as gone.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub peer_timeout: f64,
    /// Accepted because torchrun has it: no program is taken for a Python file here.
    #[arg(long, alias = "no_python", hide = true)]
    no_python: bool,
    /// What each rank runs: train …, test …, or any program.
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

/// What a number of machines looks like.
pub(crate) const MACHINES: &str = "a number of machines of at least 1, N or N:N (a job whose number may change, such as 1:4, cannot be had)";

/// Reads torchrun's `N` or `MIN:MAX`.
///
/// Errors: what was expected; also for a number that may change.
pub(crate) fn machines(text: &str) -> Result<u32, String> {
    let (least, most) = text.split_once(':').unwrap_or((text, text));
    let number = least.trim().parse().ok().filter(|number| *number > 0);
    match number.filter(|_| least.trim() == most.trim()) {
        Some(number) => Ok(number),
        None => Err(format!("expected {MACHINES}")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // Less than a tick of the watch, or more than a clock can add, means nothing.
        Ok(seconds) if (1e-3..=1e6).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number of seconds from 0.001 to 1000000".to_owned()),
    }
}

/// How many processes a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processes {
    /// So many.
    Count(u32),
    /// One for each GPU; at least one GPU is expected.
    Gpu,
    /// One for each processor.
    Cpu,
    /// One for each GPU; without any, one for each processor.
    Auto,
}

impl FromStr for Processes {
    type Err = String;

    fn from_str(text: &str) -> Result<Processes, String> {
        match text {
            "gpu" => Ok(Processes::Gpu),
            "cpu" => Ok(Processes::Cpu),
            "auto" => Ok(Processes::Auto),
            number => match number.parse() {
                Ok(count) if count > 0 => Ok(Processes::Count(count)),
                _ => Err("expected a number of at least 1, gpu, cpu or auto".to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::machines;

    #[test]
    fn a_number_of_machines_is_one_number() {
        assert_eq!((machines("3"), machines("2:2")), (Ok(3), Ok(2)));
        for text in ["0", "1:4", "", "2:", "two"] {
            assert!(machines(text).unwrap_err().contains("such as 1:4, cannot be had"), "{text}");
        }
    }
}
