//! `snaphook-launch`: runs any program as the ranks of a job. For Snaphook's own runs, `snaphook launch` knows more.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use snaphook_launch::{
    AnyProgram, LaunchArguments, LaunchError, LaunchPlan, Variables, launch, log_folder_name,
};

/// Runs a program as the ranks of a job, and ends them together.
#[derive(Parser)]
#[command(name = "snaphook-launch", version, max_term_width = 100)]
struct Line {
    #[command(flatten)]
    flags: LaunchArguments,
}

fn main() -> ExitCode {
    if let Some(code) = snaphook_launch::play_role() {
        return code;
    }
    match run(&Line::parse().flags) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // When standard error is closed there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "error: {}", error.with_cause());
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(flags: &LaunchArguments) -> Result<u8, LaunchError> {
    let mut words = flags.program.iter().cloned();
    let command = (words.next().unwrap_or_default(), words.collect());
    let log_dir = PathBuf::from("launch_logs").join(log_folder_name());
    let plan = LaunchPlan::new(flags, &Variables::of_process(), command, log_dir)?;
    launch(&plan, &AnyProgram)
}
