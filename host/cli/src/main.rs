//! `snaphook`: what people type. Knows nothing of libtorch: what trains is another program.

use snaphook_cli::args::Cli;

fn main() {
    let _ = Cli::parse_arguments();
}
