//! The flags with which MMEngine's users say who started the processes of a run. Knows nothing of environments.

use clap::Args;
use snaphook_launch::Launcher;

/// Who started this process, and which it is on its machine.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct RankArguments {
    /// Whose variables say which process of the run this is; none trains in one [default: what is found in the environment].
    #[arg(long, value_enum)]
    pub launcher: Option<Launcher>,
    /// Number of this process on its machine, where LOCAL_RANK is not set; torch.distributed.launch adds it.
    #[arg(long, alias = "local_rank", value_name = "N", hide = true)]
    pub local_rank: Option<u32>,
}
