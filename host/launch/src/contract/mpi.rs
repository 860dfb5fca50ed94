//! Variables of MPI's launchers: Open MPI's, and those of Hydra, which MPICH and Intel MPI use. Knows nothing of other
//! launchers.

use super::{
    ContractError, Launcher, RankPlace, expect_all, number, number_if_set, port, port_of_job,
};
use crate::Variables;
use crate::endpoint::USUAL_PORT;

/// Names of one family.
struct Names {
    rank: &'static str,
    size: &'static str,
    local_rank: &'static str,
    local_size: &'static str,
}

const OPEN_MPI: Names = Names {
    rank: "OMPI_COMM_WORLD_RANK",
    size: "OMPI_COMM_WORLD_SIZE",
    local_rank: "OMPI_COMM_WORLD_LOCAL_RANK",
    local_size: "OMPI_COMM_WORLD_LOCAL_SIZE",
};
const HYDRA: Names = Names {
    rank: "PMI_RANK",
    size: "PMI_SIZE",
    local_rank: "MPI_LOCALRANKID",
    local_size: "MPI_LOCALNRANKS",
};
/// What is the same in all processes of a job, and in no other job: of Open MPI 5 and 4.
const JOBS: [&str; 2] = ["PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"];

pub(super) fn is_hydra_of_several(variables: &Variables) -> bool {
    let size = variables.get(HYDRA.size).and_then(|size| size.parse::<u32>().ok());
    [HYDRA.rank, HYDRA.local_rank].iter().all(|name| variables.get(name).is_some())
        && size.is_some_and(|size| size > 1)
}

pub(super) fn place(
    variables: &Variables,
    notes: &mut Vec<String>,
) -> Result<RankPlace, ContractError> {
    let is_hydra = variables.get(OPEN_MPI.rank).is_none() && variables.get(HYDRA.rank).is_some();
    let names = if is_hydra { HYDRA } else { OPEN_MPI };
    expect_all(Launcher::Mpi, variables, &[names.rank, names.size, names.local_rank])?;
    let world_size = number(variables, names.size)?;
    let local_world_size = number_if_set(variables, names.local_size)?;
    let master_addr = match variables.get("MASTER_ADDR") {
        Some(address) => address.to_owned(),
        None if local_world_size == Some(world_size) => "127.0.0.1".to_owned(),
        None => return Err(ContractError::NoMaster),
    };
    let job = JOBS.iter().find_map(|name| variables.get(name));
    let master_port = match (port(variables)?, job) {
        (Some(port), _) => port,
        (None, Some(job)) => port_of_job(job),
        (None, None) => {
            notes.push(format!("MASTER_PORT is not set: taken for {USUAL_PORT}"));
            USUAL_PORT
        }
    };
    Ok(RankPlace {
        rank: number(variables, names.rank)?,
        local_rank: number(variables, names.local_rank)?,
        world_size,
        local_world_size,
        master_addr,
        master_port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Contract;

    const OPEN: [(&str, &str); 5] = [
        ("OMPI_COMM_WORLD_RANK", "3"),
        ("OMPI_COMM_WORLD_SIZE", "4"),
        ("OMPI_COMM_WORLD_LOCAL_RANK", "1"),
        ("OMPI_COMM_WORLD_LOCAL_SIZE", "2"),
        ("MASTER_ADDR", "head"),
    ];

    #[test]
    fn open_mpi_s_process_knows_its_place() {
        let contract = Contract::read(None, &Variables::from(OPEN)).unwrap();
        assert_eq!(contract.launcher, Launcher::Mpi);
        assert!(contract.notes[0].contains("29500"), "{:?}", contract.notes);
        let place = contract.place.unwrap();
        assert_eq!((place.rank, place.local_rank, place.world_size), (3, 1, 4));
        assert_eq!((place.master_addr.as_str(), place.master_port), ("head", 29500));
    }

    #[test]
    fn several_machines_need_an_address_and_one_does_not() {
        let mut variables = OPEN;
        variables[4] = ("PMIX_NAMESPACE", "prterun-head-4711@1");
        let error = Contract::read(None, &Variables::from(variables)).unwrap_err();
        assert_eq!(error, ContractError::NoMaster);
        variables[3] = ("OMPI_COMM_WORLD_LOCAL_SIZE", "4");
        let place = Contract::read(None, &Variables::from(variables)).unwrap().place.unwrap();
        assert_eq!(place.master_addr, "127.0.0.1");
        assert_eq!(place.master_port, port_of_job("prterun-head-4711@1"));
    }

    #[test]
    fn hydra_s_process_knows_its_place() {
        let variables = Variables::from([
            ("PMI_RANK", "1"),
            ("PMI_SIZE", "2"),
            ("MPI_LOCALRANKID", "1"),
            ("MPI_LOCALNRANKS", "2"),
            ("MASTER_PORT", "29501"),
        ]);
        let place = Contract::read(None, &variables).unwrap().place.unwrap();
        assert_eq!((place.rank, place.local_rank, place.master_port), (1, 1, 29501));
    }
}
