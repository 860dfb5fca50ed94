//! `snaphook train` and `snaphook test`: look at everything that can be wrong before the slow start of the
//! program that trains, then go on as that program. Knows nothing of training.

use std::path::Path;

use crate::args::{LoadArguments, PluginArguments, Resume, TestArguments, TrainArguments};
use crate::plan::HookPlan;
use crate::plugins::Plugins;
use crate::{CliError, Exit, load, trainer};

pub(super) fn train(arguments: &TrainArguments) -> Result<Exit, CliError> {
    if let Some(Resume::From(path)) = arguments.resume() {
        expect_checkpoint(&path, " (a bare --resume takes the last one of the work folder)")?;
    }
    check(&arguments.config, &arguments.load, &arguments.plugins)?;
    Err(trainer::become_it(std::env::args_os().skip(1)))
}

pub(super) fn test(arguments: &TestArguments) -> Result<Exit, CliError> {
    expect_checkpoint(&arguments.checkpoint, "")?;
    check(&arguments.config, &arguments.load, &arguments.plugins)?;
    Err(trainer::become_it(std::env::args_os().skip(1)))
}

fn expect_checkpoint(path: &Path, way_out: &str) -> Result<(), CliError> {
    if path.exists() {
        return Ok(());
    }
    Err(CliError::Checkpoint { path: path.to_path_buf(), way_out: way_out.to_owned() })
}

fn check(
    path: &Path,
    arguments: &LoadArguments,
    plugins: &PluginArguments,
) -> Result<(), CliError> {
    let config = load(path, arguments)?;
    HookPlan::of(&config, &Plugins::find(plugins, Some(&config))?)?;
    Ok(())
}
