//! torchrun's variables. Knows nothing of other launchers.

use super::{ContractError, Launcher, RankPlace, expect_all, number, number_if_set, port};
use crate::Variables;

/// Source: PyTorch's `env://` rendezvous (`torch/distributed/rendezvous.py`).
pub(super) fn place(
    variables: &Variables,
    notes: &mut Vec<String>,
) -> Result<RankPlace, ContractError> {
    let needed = ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"];
    expect_all(Launcher::Pytorch, variables, &needed)?;
    let local_rank = number_if_set(variables, "LOCAL_RANK")?.unwrap_or_else(|| {
        notes.push("LOCAL_RANK is not set: taken for 0, as if each machine had one process".into());
        0
    });
    Ok(RankPlace {
        rank: number(variables, "RANK")?,
        local_rank,
        world_size: number(variables, "WORLD_SIZE")?,
        local_world_size: number_if_set(variables, "LOCAL_WORLD_SIZE")?,
        master_addr: variables.get("MASTER_ADDR").unwrap_or_default().to_owned(),
        master_port: port(variables)?.ok_or(ContractError::Vanished { name: "MASTER_PORT" })?,
    })
}
