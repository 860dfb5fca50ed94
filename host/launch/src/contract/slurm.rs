//! SLURM's variables, as `srun` sets them for each task of a step. Knows nothing of other launchers.

use super::{
    ContractError, Launcher, RankPlace, expect_all, first_host, number, number_if_set, port,
    port_of_job, tasks_on,
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
    let job = |name| variables.get(name).unwrap_or("0");
    let name = format!("{}.{}", job("SLURM_JOB_ID"), job("SLURM_STEP_ID"));
    Ok(RankPlace {
        rank: number(variables, "SLURM_PROCID")?,
        local_rank: number(variables, "SLURM_LOCALID")?,
        world_size: number(variables, tasks)?,
        local_world_size: tasks_here(variables)?,
        master_addr,
        master_port: port(variables)?.unwrap_or_else(|| port_of_job(&name)),
    })
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
        assert_eq!(place.master_port, port_of_job("815.0"));
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
