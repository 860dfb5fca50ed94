//! What can be wrong with what a launcher says. Knows nothing of how it is read.

use crate::Launcher;

/// An environment that does not say which process this is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// Variables are missing.
    #[error("{} is missing in the environment{}: {}", joined(missing), shown(found), way_out(*launcher))]
    Missing {
        /// Whose variables were looked for.
        launcher: Launcher,
        /// Those that are not set.
        missing: Vec<&'static str>,
        /// Those that are.
        found: Vec<(&'static str, String)>,
    },
    /// A variable that was just there is not.
    #[error("{name} is missing in the environment")]
    Vanished {
        /// The variable.
        name: &'static str,
    },
    /// No number.
    #[error("{name}: expected a whole number of at least 0, found {value:?}")]
    NoNumber {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// No port.
    #[error("{name}: expected a port from 1 to 65535, found {value:?}")]
    NoPort {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// A rank that the job cannot have.
    #[error("expected a rank below the number of processes, found rank {rank} and world size {world_size} (variables of {})", name(*launcher))]
    RankTooLarge {
        /// Whose variables were read.
        launcher: Launcher,
        /// Number of the process.
        rank: u32,
        /// Processes of the job.
        world_size: u32,
    },
    /// A list of machines that cannot be read.
    #[error(
        "{name}: expected a list of machines such as node[01-03,07], found {value:?}: {problem} (or set MASTER_ADDR)"
    )]
    HostList {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing says where rank 0 is.
    #[error(
        "MASTER_ADDR is missing in the environment: processes on several machines need it (mpirun -x MASTER_ADDR=… \
         with the name of the machine of rank 0)"
    )]
    NoMaster,
}

/// `a`, `a and b`, `a, b and c`.
fn joined(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn shown(found: &[(&str, String)]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = found.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(", which has {}", pairs.join(", "))
}

fn name(launcher: Launcher) -> &'static str {
    match launcher {
        Launcher::None => "no launcher",
        Launcher::Pytorch => "torchrun",
        Launcher::Slurm => "SLURM",
        Launcher::Mpi => "MPI",
    }
}

fn way_out(launcher: Launcher) -> &'static str {
    match launcher {
        Launcher::None => "nothing is needed",
        Launcher::Pytorch => {
            "start with snaphook launch or torchrun, which set all of them, or take one process with --launcher none"
        }
        Launcher::Slurm => {
            "start with srun inside of the job, or take one process with --launcher none"
        }
        Launcher::Mpi => "start with mpirun, or take one process with --launcher none",
    }
}
