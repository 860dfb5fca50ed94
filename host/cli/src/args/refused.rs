//! Flags of MMEngine and of Snaphook's plan that this version does not carry out: read, so that they
//! are refused by name instead of being ignored. Knows nothing of the other flags.

use clap::{Args, ValueEnum};

/// Who starts the processes of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Launcher {
    /// One process.
    #[default]
    None,
    Pytorch,
    Slurm,
    Mpi,
}

#[derive(Clone, Debug, Args)]
struct RefusedInBoth {
    /// Who starts the processes of the run; this version runs one process.
    #[arg(long, value_enum, default_value_t, hide = true)]
    launcher: Launcher,
    #[arg(long, alias = "local_rank", value_name = "N", default_value_t, hide = true)]
    local_rank: u32,
}

impl RefusedInBoth {
    fn problem(&self) -> Option<String> {
        let one_process = "one process trains here";
        if self.launcher != Launcher::None {
            return Some(refusal("--launcher other than none", one_process));
        }
        (self.local_rank != 0).then(|| refusal("--local-rank other than 0", one_process))
    }
}

/// Flags that `train` refuses.
#[derive(Clone, Debug, Args)]
pub(super) struct RefusedInTrain {
    #[command(flatten)]
    both: RefusedInBoth,
}

impl RefusedInTrain {
    pub(super) fn problem(&self) -> Option<String> {
        self.both.problem()
    }
}

/// Flags that `test` refuses.
#[derive(Clone, Debug, Args)]
pub(super) struct RefusedInTest {
    #[arg(long, hide = true)]
    show: bool,
    #[arg(long, alias = "wait_time", value_name = "SECONDS", hide = true)]
    wait_time: Option<f64>,
    #[arg(long, hide = true)]
    tta: bool,
    #[command(flatten)]
    both: RefusedInBoth,
}

impl RefusedInTest {
    pub(super) fn problem(&self) -> Option<String> {
        if self.show {
            return Some(refusal("--show", "write pictures with --show-dir DIR"));
        }
        if self.wait_time.is_some() {
            return Some(refusal("--wait-time", "write pictures with --show-dir DIR"));
        }
        if self.tta {
            return Some(refusal("--tta", "leave it out"));
        }
        self.both.problem()
    }
}

fn refusal(flag: &str, way_out: &str) -> String {
    format!("{flag}: not in this version ({way_out})")
}
