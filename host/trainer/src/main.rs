//! `snaphook-trainer`: the program that trains and tests. People type `snaphook`, which starts this one.

mod assemble;
mod company;
mod cores;
mod cuda;
mod demo_data;
mod environment;
mod error;
mod fetch;
mod flags;
mod heartbeat;
mod hooks;
mod joining;
mod own_address;
mod plugin_watch;
mod predict;
mod run_log;
mod signals;
mod start;
mod trial;

use std::process::ExitCode;

use snaphook_cli::args::{Cli, Command, LogFormat};

use error::TrainerError;

fn main() -> ExitCode {
    let mut format = LogFormat::Text;
    let result = match demo_data::requested() {
        Some(request) => request.and_then(|request| request.draw()),
        None => {
            signals::catch();
            let cli = Cli::parse_arguments();
            format = cli.log_format();
            // A run that has begun ends its panics itself; this is for what comes before and after.
            let done = snaphook_runner::panics::caught(|| run(&cli));
            done.unwrap_or_else(|message| Err(TrainerError::Panic(message)))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_interruption() {
                snaphook_cli::report::print_error_as(format, &error);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), TrainerError> {
    match &cli.command {
        Command::Train(arguments) => assemble::train(arguments),
        Command::Test(arguments) => assemble::test(arguments),
        Command::Predict(arguments) => predict::predict(arguments),
        _ => Err(TrainerError::Usage(
            "this program only trains, tests and predicts (type snaphook instead)".into(),
        )),
    }
}
