//! The commands, one file each.

mod browse;
mod checkpoint;
mod config;
mod doctor;
mod hooks;
mod launch;
mod plugins;
mod predict;
mod report;
mod runs;
mod runs_where;
mod train;

use crate::args::{
    CheckpointCommand, Cli, Command, ConfigCommand, HooksCommand, PluginsCommand, RunsCommand,
};
use crate::{CliError, Exit};

/// Carries out what was asked; what trains turns into the trainer and does not return.
///
/// Errors: what is wrong with the input, or with this machine.
pub fn run(cli: Cli) -> Result<Exit, CliError> {
    match cli.command {
        Command::Train(arguments) => train::train(&arguments),
        Command::Test(arguments) => train::test(&arguments),
        Command::Launch(arguments) => launch::launch(&arguments),
        Command::Browse(arguments) => browse::browse(&arguments),
        Command::Predict(arguments) => predict::predict(&arguments),
        Command::Config(ConfigCommand::Print(arguments)) => config::print(&arguments),
        Command::Config(ConfigCommand::Explain(arguments)) => config::explain(&arguments),
        Command::Config(ConfigCommand::Diff(arguments)) => config::diff(&arguments),
        Command::Config(ConfigCommand::Check(arguments)) => config::check_config(&arguments),
        Command::Config(ConfigCommand::Schedule(arguments)) => config::schedule(&arguments),
        Command::Checkpoint(CheckpointCommand::Show(arguments)) => checkpoint::show(&arguments),
        Command::Checkpoint(CheckpointCommand::Export(arguments)) => checkpoint::export(&arguments),
        Command::Checkpoint(CheckpointCommand::Import(arguments)) => checkpoint::import(&arguments),
        Command::Config(ConfigCommand::Schema(arguments)) => config::schema(&arguments),
        Command::Plugins(PluginsCommand::List(arguments)) => plugins::list(&arguments),
        Command::Plugins(PluginsCommand::Inspect(arguments)) => plugins::inspect(&arguments),
        Command::Plugins(PluginsCommand::Check(arguments)) => plugins::check(&arguments),
        Command::Plugins(PluginsCommand::Lock(arguments)) => plugins::lock(&arguments),
        Command::Plugins(PluginsCommand::New(arguments)) => plugins::new(&arguments),
        Command::Plugins(PluginsCommand::Exercise(arguments)) => plugins::exercise(&arguments),
        Command::Hooks(HooksCommand::List(arguments)) => hooks::list(&arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::Runs(RunsCommand::List(arguments)) => runs::list(&arguments),
        Command::Runs(RunsCommand::Diff(arguments)) => runs::diff(&arguments),
        Command::Runs(RunsCommand::Where(arguments)) => runs_where::show(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
    }
}
