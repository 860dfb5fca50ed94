//! `snaphook`: what people type. Knows nothing of libtorch: what trains is another program.

use std::process::ExitCode;

use snaphook_cli::args::Cli;
use snaphook_cli::{report, run};

fn main() -> ExitCode {
    if let Some(code) = snaphook_launch::play_role() {
        return code;
    }
    let cli = Cli::parse_arguments();
    let format = cli.log_format();
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            report::print_error_as(format, &error);
            error.exit().into()
        }
    }
}
