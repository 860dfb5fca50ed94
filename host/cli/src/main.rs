//! `snaphook`: what people type. Knows nothing of libtorch: what trains is another program.

use std::process::ExitCode;

use snaphook_cli::args::Cli;
use snaphook_cli::{report, run};

fn main() -> ExitCode {
    match run(Cli::parse_arguments()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            report::print_error(&error);
            error.exit().into()
        }
    }
}
