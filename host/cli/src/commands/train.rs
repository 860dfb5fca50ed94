//! `snaphook train` and `snaphook test`: look at everything that can be wrong before the slow start of the
//! program that trains, then go on as that program. Knows nothing of training.

use std::path::{Path, PathBuf};

use snaphook_config::Config;
use snaphook_launch::{Contract, Variables};

use crate::args::{
    LoadArguments, LogFormat, PluginArguments, RankArguments, Resume, TestArguments, TrainArguments,
};
use crate::check::{Finding, check_components, check_norms, check_timeout, excerpts};
use crate::loading::resolver;
use crate::plan::HookPlan;
use crate::plugins::Plugins;
use crate::{CliError, Exit, checkpoint_url, report, trainer};

/// What becomes of what looks wrong but is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Warnings {
    Told(LogFormat),
    /// Somebody else will tell it.
    Kept,
}

pub(super) fn train(arguments: &TrainArguments) -> Result<Exit, CliError> {
    let format = arguments.log.log_format;
    let contract = contract(arguments.ranks, format)?;
    check_train(arguments, warnings_of(&contract, format))?;
    Err(trainer::become_it(std::env::args_os().skip(1), &contract))
}

pub(super) fn test(arguments: &TestArguments) -> Result<Exit, CliError> {
    let format = arguments.log.log_format;
    let contract = contract(arguments.ranks, format)?;
    check_test(arguments, warnings_of(&contract, format))?;
    Err(trainer::become_it(std::env::args_os().skip(1), &contract))
}

/// Of several ranks one is enough to warn.
fn warnings_of(contract: &Contract, format: LogFormat) -> Warnings {
    match &contract.place {
        Some(place) if place.rank > 0 => Warnings::Kept,
        _ => Warnings::Told(format),
    }
}

fn contract(ranks: RankArguments, format: LogFormat) -> Result<Contract, CliError> {
    let variables = Variables::of_process();
    let mut contract = Contract::read(ranks.launcher, &variables)?;
    if let (Some(place), Some(local_rank)) = (&mut contract.place, ranks.local_rank)
        && variables.get("LOCAL_RANK").is_none()
    {
        place.local_rank = local_rank;
        contract.notes.clear();
    }
    if let Warnings::Told(format) = warnings_of(&contract, format) {
        contract.notes.iter().for_each(|note| report::print_warning_as(format, note));
    }
    Ok(contract)
}

/// Looks at what `train` is asked for; returns the work folder.
pub(super) fn check_train(
    arguments: &TrainArguments,
    warnings: Warnings,
) -> Result<PathBuf, CliError> {
    if let Some(Resume::From(path)) = arguments.resume() {
        expect_checkpoint(&path, " (a bare --resume takes the last one of the work folder)")?;
    }
    let load = match arguments.amp {
        // Its keys (`dtype`, `loss_scale`) are right then.
        true => arguments.load.with_change("optim_wrapper.type=AmpOptimWrapper"),
        false => arguments.load.clone(),
    };
    let config = check(&arguments.config, &load, Some(&arguments.plugins), warnings)?;
    refuse(check_norms(&config).into_iter().collect(), &arguments.config, &load)?;
    Ok(work_dir(&config, arguments.work_dir.as_deref()))
}

/// Looks at what `test` is asked for; returns the work folder.
pub(super) fn check_test(
    arguments: &TestArguments,
    warnings: Warnings,
) -> Result<PathBuf, CliError> {
    expect_checkpoint(&arguments.checkpoint, "")?;
    let config = check(&arguments.config, &arguments.load, Some(&arguments.plugins), warnings)?;
    Ok(work_dir(&config, arguments.work_dir.as_deref()))
}

fn work_dir(config: &Config, flag: Option<&Path>) -> PathBuf {
    let named = || config.value()["work_dir"].as_str().map(PathBuf::from);
    let usual = || Path::new("work_dirs").join(config.stem());
    flag.map(Path::to_path_buf).or_else(named).unwrap_or_else(usual)
}

pub(super) fn expect_checkpoint(path: &Path, way_out: &str) -> Result<(), CliError> {
    // An address or a name is fetched by the program that trains.
    if path.exists() || checkpoint_url(path).is_some() {
        return Ok(());
    }
    Err(CliError::Checkpoint { path: path.to_path_buf(), way_out: way_out.to_owned() })
}

fn refuse(wrong: Vec<Finding>, path: &Path, arguments: &LoadArguments) -> Result<(), CliError> {
    if wrong.is_empty() {
        return Ok(());
    }
    let excerpts = excerpts(&wrong, &arguments.overrides(), &std::io::stderr());
    Err(CliError::Check { config: path.to_path_buf(), count: wrong.len(), excerpts })
}

/// Types and arguments of all components are checked here; files and data, when the trainer builds them. Hooks are looked
/// at where there are to be some: without `plugins`, none is called.
pub(super) fn check(
    path: &Path,
    arguments: &LoadArguments,
    plugins: Option<&PluginArguments>,
    warnings: Warnings,
) -> Result<Config, CliError> {
    let resolver = resolver(arguments);
    let config = resolver.load(path)?;
    if let Some(plugins) = plugins {
        HookPlan::of(&config, &Plugins::find(plugins, Some(&config))?)?;
    }
    let wrong = check_components(&config).into_iter().chain(check_timeout(&config));
    refuse(wrong.collect(), path, arguments)?;
    if let Warnings::Told(format) = warnings {
        let lost = resolver.lost(path)?.into_iter().filter_map(Finding::lost);
        lost.for_each(|finding| report::print_warning_as(format, &finding.line()));
    }
    Ok(config)
}
