//! Why a job cannot be started. What ranks do once they run is no error of the launcher.

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use crate::Endpoint;
use crate::ending::{RoundEnd, START_AGAIN, signal_name};
use crate::signals::asks_to_save;

/// Why a job was not started, or could not be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// A value of the environment that cannot be used.
    #[error("{name}: expected {expected}, found {value:?}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// In words.
        expected: &'static str,
        /// Its value.
        value: String,
    },
    /// A machine's number that the job does not have.
    #[error(
        "node rank {node_rank}: expected a number below that of machines, {nnodes} (--nnodes, --node-rank)"
    )]
    NodeRank {
        /// Number of the machine.
        node_rank: u32,
        /// Machines.
        nnodes: u32,
    },
    /// Several machines, and no word which one this is.
    #[error(
        "{nnodes} machines: expected the number of this one, found none (--node-rank N, from 0; or set NODE_RANK)"
    )]
    NoNodeRank {
        /// Machines.
        nnodes: u32,
    },
    /// Several machines, and no word where the first is.
    #[error(
        "{nnodes} machines: expected the name of machine 0, found none (--master-addr HOST; or set MASTER_ADDR)"
    )]
    NoMaster {
        /// Machines.
        nnodes: u32,
    },
    /// One rank for each GPU, and no GPU.
    #[error(
        "--nproc-per-node gpu: expected at least one GPU, found none{} (give a number, or auto)",
        if *is_hidden { ": CUDA_VISIBLE_DEVICES hides them" } else { "" }
    )]
    NoGpu {
        /// Whether a variable hides them.
        is_hidden: bool,
    },
    /// The port that other machines know is no port to listen at.
    #[error("port {port}: cannot be listened at (--master-port PORT, the same on every machine)")]
    PortUnusable {
        /// The port.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No port to meet at.
    #[error(
        "expected a free port from {first} on, found a thousand busy ones (--master-port PORT)"
    )]
    NoFreePort {
        /// Where the search began.
        first: u16,
    },
    /// The port that other machines know is taken.
    #[error(
        "port {port}: expected a free one, found it busy (--master-port PORT, the same on every machine)"
    )]
    PortBusy {
        /// The port.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The launcher of machine 0 is not there.
    #[error(
        "expected the launcher of machine 0 at {master}, found nobody there for {seconds} s (is it started? do \
         --master-addr and --master-port name it, and may this machine connect to it?)"
    )]
    NoLauncher {
        /// Where it should be.
        master: Endpoint,
        /// How long it was waited for.
        seconds: f64,
        /// The last answer.
        #[source]
        source: Option<io::Error>,
    },
    /// Some machines did not come.
    #[error("expected {nnodes} machines, found {} for {seconds} s; missing: {} (start the same command there)",
        *nnodes as usize - missing.len(), numbers(missing))]
    MachinesMissing {
        /// Machines of the job.
        nnodes: u32,
        /// Numbers of those that are not there.
        missing: Vec<u32>,
        /// How long it was waited for.
        seconds: f64,
    },
    /// Another machine does not fit.
    #[error("machine {node_rank} cannot join: {problem}")]
    CannotJoin {
        /// Its number.
        node_rank: u32,
        /// Expected, found, way out.
        problem: String,
    },
    /// A file or folder of the launcher.
    #[error("{}: cannot be written", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A rank that does not start.
    #[error("{}: expected a program that starts, found one that does not", program.display())]
    Start {
        /// The program.
        program: OsString,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something of the system that a launcher needs.
    #[error("{what}")]
    System {
        /// In words.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another machine cannot do its part.
    #[error("{problem}")]
    MachineLeft {
        /// Which one, and what it said.
        problem: String,
    },
    /// The launch was asked to end while its ranks did not run.
    #[error("{}ended by {} {}", machine.map_or(String::new(), |number| format!("machine {number}: ")), signal_name(*signal), match saved {
        None => "before the ranks were started".to_owned(),
        Some(saved) => format!("before the ranks were started again; the same command with --resume goes on from {saved}"),
    })]
    Interrupted {
        /// The signal.
        signal: i32,
        /// The machine that was asked, if it is another one.
        machine: Option<u32>,
        /// What the job had saved by then.
        saved: Option<String>,
    },
}

impl LaunchError {
    /// What a launch that failed so ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            LaunchError::Interrupted { signal, saved: Some(_), .. } if asks_to_save(*signal) => {
                START_AGAIN
            }
            LaunchError::Interrupted { signal, .. } => RoundEnd::Signal(*signal).exit_code(None),
            error if error.is_usage() => 2,
            _ => 1,
        }
    }

    /// Its words, and in a line of its own the cause that they do not hold already.
    pub fn with_cause(&self) -> String {
        let words = self.to_string();
        let cause = self.source().map(ToString::to_string).filter(|cause| !words.contains(cause));
        match cause {
            Some(cause) => format!("{words}\n  caused by: {cause}"),
            None => words,
        }
    }

    /// Whether the command line is wrong, or what the environment says in its place.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            LaunchError::Variable { .. }
                | LaunchError::NodeRank { .. }
                | LaunchError::NoNodeRank { .. }
                | LaunchError::NoMaster { .. }
                | LaunchError::NoGpu { .. }
        )
    }
}

fn numbers(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
