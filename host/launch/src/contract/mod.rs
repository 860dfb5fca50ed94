//! Which process of a job this one is, as launchers say it in the environment: torchrun's variables, SLURM's and MPI's.
//! Knows nothing of what the process does.
//!
//! ```
//! use snaphook_launch::{Contract, Launcher, Variables};
//!
//! let environment = Variables::from([
//!     ("SLURM_PROCID", "5"), ("SLURM_NTASKS", "8"), ("SLURM_LOCALID", "1"), ("SLURM_NODELIST", "gpu[07-08]"),
//!     ("SLURM_JOB_ID", "1234"),
//! ]);
//! let place = Contract::read(Some(Launcher::Slurm), &environment)?.place.unwrap();
//! assert_eq!((place.rank, place.world_size, place.master_addr.as_str()), (5, 8, "gpu07"));
//! # Ok::<(), snaphook_launch::ContractError>(())
//! ```

mod error;
mod host_list;
mod mpi;
mod pytorch;
mod slurm;

pub use error::ContractError;
pub use host_list::{first_host, hosts, tasks_on};
pub(crate) use slurm::{NODE_LISTS, first_machine};

use clap::ValueEnum;

use crate::Variables;

/// Who started the processes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Launcher {
    /// Nobody: one process.
    None,
    /// torchrun, `snaphook launch`, or anybody who sets RANK, WORLD_SIZE and the rest.
    Pytorch,
    /// `srun`.
    Slurm,
    /// `mpirun` of Open MPI, MPICH or Intel MPI.
    Mpi,
}

/// The place of a process in its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankPlace {
    /// Number of the process, from 0.
    pub rank: u32,
    /// Number of the process on its machine, from 0: the GPU that it takes.
    pub local_rank: u32,
    /// Processes of the job.
    pub world_size: u32,
    /// Processes on this machine, where the launcher says it.
    pub local_world_size: Option<u32>,
    /// Name or address of the machine of rank 0.
    pub master_addr: String,
    /// The port there at which the processes meet.
    pub master_port: u16,
}

impl RankPlace {
    /// The variables that torch's `env://` reads, whoever started the process.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("RANK", self.rank.to_string()),
            ("LOCAL_RANK", self.local_rank.to_string()),
            ("WORLD_SIZE", self.world_size.to_string()),
            ("MASTER_ADDR", self.master_addr.clone()),
            ("MASTER_PORT", self.master_port.to_string()),
        ];
        variables.extend(self.local_world_size.map(|size| ("LOCAL_WORLD_SIZE", size.to_string())));
        variables
    }
}

/// The variables that say that a process is one of several. They are taken away from a process that is to be alone.
pub const RANK_VARIABLES: [&str; 4] = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"];

/// What an environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Whose variables they are.
    pub launcher: Launcher,
    /// The place of this process; `None` for a process that is alone.
    pub place: Option<RankPlace>,
    /// What was assumed, for the log.
    pub notes: Vec<String>,
}

impl Contract {
    /// Reads the variables of this launcher; without one, of the launcher that is found in them: torchrun's variables
    /// first, then Open MPI's, SLURM's in a step of more than one task, MPICH's. A batch script that was started by `sbatch`
    /// is one process, although SLURM tells it the number of tasks.
    ///
    /// Errors: variables that are missing or make no sense.
    ///
    /// Source: mmengine 0.10.7 `dist/utils.py` (`init_dist`). Where we differ: launchers are found without a flag; ports
    /// of SLURM and MPI jobs depend on the job's number, so that two jobs on a machine do not meet; no `scontrol` is needed;
    /// LOCAL_RANK is set for MPI, too; MASTER_ADDR is needed only by MPI jobs on several machines.
    pub fn read(
        launcher: Option<Launcher>,
        variables: &Variables,
    ) -> Result<Contract, ContractError> {
        let mut notes = Vec::new();
        let launcher = launcher.unwrap_or_else(|| found_in(variables));
        let place = match launcher {
            Launcher::None => None,
            Launcher::Pytorch => Some(pytorch::place(variables, &mut notes)?),
            Launcher::Slurm => Some(slurm::place(variables)?),
            Launcher::Mpi => Some(mpi::place(variables, &mut notes)?),
        };
        if let Some(RankPlace { rank, world_size, .. }) = place
            && rank >= world_size
        {
            return Err(ContractError::RankTooLarge { launcher, rank, world_size });
        }
        Ok(Contract { launcher, place, notes })
    }
}

fn found_in(variables: &Variables) -> Launcher {
    if ["RANK", "WORLD_SIZE"].iter().any(|name| variables.get(name).is_some()) {
        Launcher::Pytorch
    } else if variables.get("OMPI_COMM_WORLD_SIZE").is_some() {
        Launcher::Mpi
    } else if slurm::is_step_of_several(variables) {
        Launcher::Slurm
    } else if mpi::is_hydra_of_several(variables) {
        Launcher::Mpi
    } else {
        Launcher::None
    }
}

/// A number that must be there.
fn number(variables: &Variables, name: &'static str) -> Result<u32, ContractError> {
    let value = variables.get(name).ok_or(ContractError::Vanished { name })?;
    value.parse().map_err(|_| ContractError::NoNumber { name, value: value.to_owned() })
}

fn number_if_set(variables: &Variables, name: &'static str) -> Result<Option<u32>, ContractError> {
    variables.get(name).map(|_| number(variables, name)).transpose()
}

/// MASTER_PORT, where it is set.
fn port(variables: &Variables) -> Result<Option<u16>, ContractError> {
    let Some(value) = variables.get("MASTER_PORT") else { return Ok(None) };
    match value.parse() {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err(ContractError::NoPort { name: "MASTER_PORT", value: value.to_owned() }),
    }
}

/// Fails with all that is missing, not with the first one.
fn expect_all(
    launcher: Launcher,
    variables: &Variables,
    names: &[&'static str],
) -> Result<(), ContractError> {
    let missing: Vec<&str> =
        names.iter().copied().filter(|name| variables.get(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let found = names.iter().filter_map(|name| Some((*name, variables.get(name)?.to_owned())));
    Err(ContractError::Missing { launcher, missing, found: found.collect() })
}

/// The first of the ports that follow from a job: they are below torch's usual one, and below those that systems give to
/// outgoing connections.
const FIRST_PORT: u16 = 20_000;

/// A port that all processes of a job find from its name, and other jobs hardly.
fn port_of_job(name: &str) -> u16 {
    // FNV-1a: short, and the same on all machines.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    FIRST_PORT + (hash % 9_500) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(launcher: Option<Launcher>, variables: &Variables) -> RankPlace {
        Contract::read(launcher, variables).unwrap().place.unwrap()
    }

    fn error(launcher: Option<Launcher>, variables: &Variables) -> String {
        Contract::read(launcher, variables).unwrap_err().to_string()
    }

    const TORCHRUN: [(&str, &str); 6] = [
        ("RANK", "3"),
        ("LOCAL_RANK", "1"),
        ("WORLD_SIZE", "4"),
        ("LOCAL_WORLD_SIZE", "2"),
        ("MASTER_ADDR", "10.0.0.1"),
        ("MASTER_PORT", "29511"),
    ];

    #[test]
    fn torchrun_s_variables_are_read_with_and_without_the_flag() {
        for launcher in [None, Some(Launcher::Pytorch)] {
            let place = place(launcher, &Variables::from(TORCHRUN));
            assert_eq!((place.rank, place.local_rank, place.world_size), (3, 1, 4));
            assert_eq!((place.master_addr.as_str(), place.master_port), ("10.0.0.1", 29511));
            assert_eq!(place.variables().len(), 6);
        }
        let alone = Contract::read(Some(Launcher::None), &Variables::from(TORCHRUN)).unwrap();
        assert_eq!(alone.place, None);
    }

    #[test]
    fn half_an_environment_is_refused_with_all_that_is_missing() {
        let text = error(None, &Variables::from([("RANK", "1"), ("MASTER_ADDR", "a")]));
        for part in ["RANK=1", "MASTER_ADDR=a", "WORLD_SIZE and MASTER_PORT", "--launcher none"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let text = error(Some(Launcher::Slurm), &Variables::default());
        assert!(text.contains("SLURM_PROCID") && text.contains("srun"), "{text}");
        let text = error(Some(Launcher::Mpi), &Variables::default());
        assert!(text.contains("OMPI_COMM_WORLD_RANK") && text.contains("mpirun"), "{text}");
    }

    #[test]
    fn nonsense_is_told_with_its_name() {
        let mut bad = TORCHRUN;
        bad[2] = ("WORLD_SIZE", "two");
        assert!(error(None, &Variables::from(bad)).contains("WORLD_SIZE: expected a whole number"));
        bad[2] = ("WORLD_SIZE", "3");
        let text = error(None, &Variables::from(bad));
        assert!(text.contains("rank 3") && text.contains("world size 3"), "{text}");
        bad = TORCHRUN;
        bad[5] = ("MASTER_PORT", "70000");
        assert!(error(None, &Variables::from(bad)).contains("MASTER_PORT: expected a port"));
    }

    #[test]
    fn one_process_a_machine_needs_no_local_rank() {
        let variables = Variables::from([
            ("RANK", "1"),
            ("WORLD_SIZE", "2"),
            ("MASTER_ADDR", "job-master-0"),
            ("MASTER_PORT", "23456"),
        ]);
        let contract = Contract::read(None, &variables).unwrap();
        assert_eq!(contract.place.unwrap().local_rank, 0);
        assert!(contract.notes[0].contains("LOCAL_RANK"), "{:?}", contract.notes);
    }

    #[test]
    fn an_empty_environment_is_one_process() {
        for variables in [
            Variables::default(),
            Variables::from([("MASTER_ADDR", "a"), ("LOCAL_RANK", "0")]),
            Variables::from([("RANK", "")]),
        ] {
            assert_eq!(Contract::read(None, &variables).unwrap().launcher, Launcher::None);
        }
    }

    #[test]
    fn ports_of_jobs_are_theirs_alone() {
        let ports: std::collections::BTreeSet<u16> =
            (0..100).map(|job| port_of_job(&format!("{job}.0"))).collect();
        assert!(ports.len() > 90, "{}", ports.len());
        assert!(ports.iter().all(|port| (20_000..29_500).contains(port)));
    }
}
