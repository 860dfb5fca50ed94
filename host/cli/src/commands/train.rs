//! `snaphook train` and `snaphook test`: look at everything that can be wrong before the slow start of the
//! program that trains, then go on as that program. Knows nothing of training.

use std::path::Path;

use crate::args::{LoadArguments, PluginArguments, Resume, TestArguments, TrainArguments};
use crate::check::{Finding, check_components, excerpts};
use crate::loading::resolver;
use crate::plan::HookPlan;
use crate::plugins::Plugins;
use crate::{CliError, Exit, report, trainer};

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

/// Types and arguments of all components are checked here; files and data, when the trainer builds them.
fn check(
    path: &Path,
    arguments: &LoadArguments,
    plugins: &PluginArguments,
) -> Result<(), CliError> {
    let resolver = resolver(arguments);
    let config = resolver.load(path)?;
    HookPlan::of(&config, &Plugins::find(plugins, Some(&config))?)?;
    let wrong = check_components(&config);
    if !wrong.is_empty() {
        let excerpts = excerpts(&wrong, &arguments.overrides(), &std::io::stderr());
        let (config, count) = (path.to_path_buf(), wrong.len());
        return Err(CliError::Check { config, count, excerpts });
    }
    let lost = resolver.lost(path)?.into_iter().filter_map(Finding::lost);
    lost.for_each(|finding| report::print_warning(&finding.line()));
    Ok(())
}
