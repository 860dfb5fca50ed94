//! What a rank is started with: its command, its environment, its files. Knows nothing of processes that run.

use std::path::PathBuf;

use crate::LaunchPlan;
use crate::output::Show;
use crate::rank::{RankStart, STREAMS};
use crate::roles::rank_command;
use crate::round::RoundRequest;

/// All of it, of a rank of this machine.
pub(crate) fn rank_start(request: &RoundRequest<'_>, local_rank: u32) -> RankStart {
    let RoundRequest { plan, place, arguments, restart } = request;
    let rank = place.first_rank + local_rank;
    let mut command = rank_command(&plan.program, arguments);
    command.envs(variables(request, local_rank));
    command.env(snaphook_heartbeat::PATH_VARIABLE, heartbeat_file(request, local_rank));
    if plan.sets_threads {
        command.env("OMP_NUM_THREADS", "1");
    }
    let show = STREAMS.map(|stream| {
        let prefix = if plan.shown.has_prefix && place.world_size > 1 {
            format!("[rank {rank}] ")
        } else {
            String::new()
        };
        plan.shown.shows(local_rank, stream).then_some(Show { stream, prefix: prefix.into() })
    });
    RankStart { rank, local_rank, command, log: log_file(plan, rank, *restart), show }
}

/// `rank_3.heartbeat`, beside the log.
pub(crate) fn heartbeat_file(request: &RoundRequest<'_>, local_rank: u32) -> PathBuf {
    let rank = request.place.first_rank + local_rank;
    let path = request.plan.log_dir.join(format!("rank_{rank}.heartbeat"));
    // Ranks may go to another folder before they write it.
    std::path::absolute(&path).unwrap_or(path)
}

/// `rank_3.log`, and `rank_3.restart_1.log` after the first restart.
fn log_file(plan: &LaunchPlan, rank: u32, restart: u32) -> PathBuf {
    let name = match restart {
        0 => format!("rank_{rank}.log"),
        restart => format!("rank_{rank}.restart_{restart}.log"),
    };
    plan.log_dir.join(name)
}

/// What torchrun sets for a rank.
///
/// Source: `torch/distributed/elastic/agent/server/local_elastic_agent.py`.
fn variables(request: &RoundRequest<'_>, local_rank: u32) -> Vec<(&'static str, String)> {
    let RoundRequest { plan, place, restart, .. } = request;
    let rank = place.first_rank + local_rank;
    vec![
        ("RANK", rank.to_string()),
        ("LOCAL_RANK", local_rank.to_string()),
        ("WORLD_SIZE", place.world_size.to_string()),
        ("LOCAL_WORLD_SIZE", plan.ranks_here.to_string()),
        ("GROUP_RANK", plan.node_rank.to_string()),
        ("GROUP_WORLD_SIZE", plan.nnodes.to_string()),
        ("ROLE_NAME", "default".to_owned()),
        ("ROLE_RANK", rank.to_string()),
        ("ROLE_WORLD_SIZE", place.world_size.to_string()),
        ("MASTER_ADDR", place.master.host.clone()),
        ("MASTER_PORT", place.master.port.to_string()),
        ("TORCHELASTIC_RESTART_COUNT", restart.to_string()),
        ("TORCHELASTIC_MAX_RESTARTS", plan.max_restarts.to_string()),
        ("TORCHELASTIC_USE_AGENT_STORE", "False".to_owned()),
        ("TORCHELASTIC_RUN_ID", "none".to_owned()),
    ]
}
