//! Starts the processes of a job, watches over them and ends them together, on one machine or several, as torchrun does;
//! and reads what torchrun, SLURM and MPI tell a process of its place in a job. Links no libtorch, and knows nothing of
//! training.
//!
//! ```text
//!                           ┌─► rank 0 ─► rank_0.log, terminal
//! flags, environment ─► plan ─► launcher ─┼─► rank 1 ─► rank_1.log
//!                           │             └─► …
//!                           └─► guard: kills all of them when the launcher is killed
//! ```
//!
//! ```no_run
//! use clap::Parser;
//! use snaphook_launch::{AnyProgram, LaunchArguments, LaunchPlan, Variables, launch};
//!
//! #[derive(Parser)]
//! struct Line {
//!     #[command(flatten)]
//!     flags: LaunchArguments,
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     if snaphook_launch::play_role().is_some() {
//!         return Ok(()); // a program that is more than an example returns the code
//!     }
//!     let flags = Line::parse().flags;
//!     let command = (flags.program[0].clone(), flags.program[1..].to_vec());
//!     let plan = LaunchPlan::new(&flags, &Variables::of_process(), command, "logs".into())?;
//!     let code = launch(&plan, &AnyProgram)?;
//!     std::process::exit(code.into());
//! }
//! ```

mod arguments;
mod contract;
mod devices;
mod ending;
mod endpoint;
mod error;
mod job;
mod log_folder;
mod meeting;
mod output;
mod plan;
mod port;
mod rank;
mod redirection;
mod report;
mod roles;
mod round;
mod second_interrupt;
mod signals;
mod start;
mod variables;
mod watch;

pub use arguments::{LaunchArguments, Processes};
pub use contract::{
    Contract, ContractError, Launcher, RANK_VARIABLES, RankPlace, first_host, hosts, tasks_on,
};
pub use ending::START_AGAIN;
pub use endpoint::Endpoint;
pub use error::LaunchError;
pub use job::{AnyProgram, Program, launch};
pub use log_folder::log_folder_name;
pub use plan::{LaunchPlan, Patience, Shown};
pub use redirection::{Redirection, Stream};
pub use roles::play_role;
pub use second_interrupt::end_at_second_interrupt;
pub use signals::is_ignored;
pub use variables::Variables;
