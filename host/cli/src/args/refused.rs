//! Flags of MMEngine and of Snaphook's plan that this version does not carry out: read, so that they
//! are refused by name instead of being ignored. Knows nothing of the other flags.

use clap::Args;

/// Flags that `test` refuses.
#[derive(Clone, Debug, Args)]
pub(super) struct RefusedInTest {
    #[arg(long, hide = true)]
    show: bool,
    #[arg(long, alias = "wait_time", value_name = "SECONDS", hide = true)]
    wait_time: Option<f64>,
}

impl RefusedInTest {
    pub(super) fn problem(&self) -> Option<String> {
        if self.show {
            return Some(refusal("--show", "write pictures with --show-dir DIR"));
        }
        if self.wait_time.is_some() {
            return Some(refusal("--wait-time", "write pictures with --show-dir DIR"));
        }
        None
    }
}

fn refusal(flag: &str, way_out: &str) -> String {
    format!("{flag}: not in this version ({way_out})")
}
