//! SLURM's variables, as `srun` sets them for each task of a step. Knows nothing of other launchers.

use super::{
    ContractError, FIRST_PORT, Launcher, RankPlace, expect_all, first_host, number, number_if_set,
    port, tasks_on,
};
use crate::Variables;

/// Steps from here on are SLURM's own, not `srun`'s: the batch script, an interactive shell. Source: slurm.h.in.
const FIRST_SPECIAL_STEP: u32 = 0xffff_fff0;
pub(crate) const NODE_LISTS: [&str; 3] =
    ["SLURM_STEP_NODELIST", "SLURM_NODELIST", "SLURM_JOB_NODELIST"];

/// Whether this is a task of a step that has others.
pub(super) fn is_step_of_several(variables: &Variables) -> bool {
    let number = |name| variables.get(name).and_then(|value| value.parse::<u32>().ok());
    let is_step = number("SLURM_STEP_ID").is_some_and(|step| step < FIRST_SPECIAL_STEP);
    let tasks = number("SLURM_STEP_NUM_TASKS").or_else(|| number("SLURM_NTASKS"));
    is_step && number("SLURM_PROCID").is_some() && tasks.is_some_and(|tasks| tasks > 1)
}

pub(super) fn place(variables: &Variables) -> Result<RankPlace, ContractError> {
    let tasks = match variables.get("SLURM_STEP_NUM_TASKS") {
        Some(_) => "SLURM_STEP_NUM_TASKS",
        None => "SLURM_NTASKS",
    };
    let mut needed = vec!["SLURM_PROCID", tasks, "SLURM_LOCALID"];
    let list = NODE_LISTS.into_iter().find(|name| variables.get(name).is_some());
    let master = variables.get("MASTER_ADDR");
    if master.is_none() && list.is_none() {
        needed.push("SLURM_NODELIST");
    }
    expect_all(Launcher::Slurm, variables, &needed)?;
    let master_addr = match (master, list) {
        (Some(address), _) => address.to_owned(),
        (None, list) => first_machine(variables, list.unwrap_or("SLURM_NODELIST"))?,
    };
    Ok(RankPlace {
        rank: number(variables, "SLURM_PROCID")?,
        local_rank: number(variables, "SLURM_LOCALID")?,
        world_size: number(variables, tasks)?,
        local_world_size: tasks_here(variables)?,
        master_addr,
        master_port: port(variables)?.unwrap_or_else(|| port_of_step(variables)),
    })
}

/// Ports of a job, a block of its own: for steps that run side by side, and for the launchers of `launch.sbatch` and their
/// ranks, which take the next one that is free.
const PORTS_OF_A_JOB: u32 = 8;
/// Jobs with blocks of their own; numbers that are a multiple of this apart share one.
const BLOCKS: u32 = 1187;

/// A port that all processes of a step find, and neighbouring jobs and steps do not have.
fn port_of_step(variables: &Variables) -> u16 {
    let number = |name| variables.get(name).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    let (job, step) = (number("SLURM_JOB_ID"), number("SLURM_STEP_ID"));
    FIRST_PORT + (job % BLOCKS * PORTS_OF_A_JOB + step % PORTS_OF_A_JOB) as u16
}

/// The first machine of the list that this variable has.
pub(crate) fn first_machine(
    variables: &Variables,
    name: &'static str,
) -> Result<String, ContractError> {
    let value = variables.get(name).unwrap_or_default();
    first_host(value).map_err(|problem| ContractError::HostList {
        name,
        value: value.to_owned(),
        problem,
    })
}

/// Tasks on this machine, where SLURM says it: `2(x3),1` for each machine, and the number of this one.
fn tasks_here(variables: &Variables) -> Result<Option<u32>, ContractError> {
    let Some(machine) = number_if_set(variables, "SLURM_NODEID")? else { return Ok(None) };
    let list = variables
        .get("SLURM_STEP_TASKS_PER_NODE")
        .or_else(|| variables.get("SLURM_TASKS_PER_NODE"));
    Ok(list.and_then(|list| tasks_on(list, machine as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Contract;

    #[test]
    fn a_task_of_srun_knows_its_place() {
        let variables = Variables::from([
            ("SLURM_JOB_ID", "815"),
            ("SLURM_STEP_ID", "0"),
            ("SLURM_PROCID", "5"),
            ("SLURM_LOCALID", "1"),
            ("SLURM_NODEID", "1"),
            ("SLURM_NTASKS", "7"),
            ("SLURM_STEP_NUM_TASKS", "7"),
            ("SLURM_STEP_TASKS_PER_NODE", "4,3"),
            ("SLURM_STEP_NODELIST", "rack2-node[11,14]"),
            ("SLURM_NODELIST", "rack2-node[10-14]"),
        ]);
        let contract = Contract::read(None, &variables).unwrap();
        assert_eq!(contract.launcher, Launcher::Slurm);
        let place = contract.place.unwrap();
        assert_eq!((place.rank, place.local_rank, place.world_size), (5, 1, 7));
        assert_eq!(place.local_world_size, Some(3));
        assert_eq!(place.master_addr, "rack2-node11");
        assert_eq!(place.master_port, 26_520);
    }

    #[test]
    fn steps_of_jobs_with_near_numbers_have_ports_of_their_own() {
        let port = |job: u32, step: u32| {
            let (job, step) = (job.to_string(), step.to_string());
            let pairs = [("SLURM_JOB_ID", job.as_str()), ("SLURM_STEP_ID", &step)];
            port_of_step(&Variables::from(pairs))
        };
        let first = u32::MAX - 1186;
        let all = (first..=u32::MAX).flat_map(|job| (0..8).map(move |step| port(job, step)));
        let ports: std::collections::BTreeSet<u16> = all.collect();
        assert_eq!(ports.len(), 1187 * 8);
        assert!(ports.iter().all(|port| (20_000..29_500).contains(port)));
        assert_eq!(port(2 * 1187 + 7, 9), 20_057);
    }

    #[test]
    fn the_batch_script_itself_is_one_process() {
        let script = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "8"), ("SLURM_LOCALID", "0")];
        let contract = Contract::read(None, &Variables::from(script)).unwrap();
        assert_eq!(contract.launcher, Launcher::None);
        let shell = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "8"), ("SLURM_STEP_ID", "4294967290")];
        let contract = Contract::read(None, &Variables::from(shell)).unwrap();
        assert_eq!(contract.launcher, Launcher::None);
    }

    #[test]
    fn what_the_user_sets_wins() {
        let variables = Variables::from([
            ("SLURM_PROCID", "0"),
            ("SLURM_LOCALID", "0"),
            ("SLURM_NTASKS", "2"),
            ("MASTER_ADDR", "ib-17"),
            ("MASTER_PORT", "29999"),
        ]);
        let place = place(&variables).unwrap();
        assert_eq!((place.master_addr.as_str(), place.master_port), ("ib-17", 29999));
    }

    #[test]
    fn a_list_that_cannot_be_read_names_the_variable() {
        let variables = Variables::from([
            ("SLURM_PROCID", "0"),
            ("SLURM_LOCALID", "0"),
            ("SLURM_NTASKS", "2"),
            ("SLURM_NODELIST", "node[1-"),
        ]);
        let text = place(&variables).unwrap_err().to_string();
        assert!(text.starts_with("SLURM_NODELIST: expected a list of machines"), "{text}");
        assert!(text.contains("MASTER_ADDR"), "{text}");
    }
}
