//! Learning rates and momenta at every iteration of a config's run. Knows nothing of drawings.

use serde_json::Value as Json;
use snaphook_components::{ComponentError, plain_type};
use snaphook_config::Config;
use snaphook_data::build_dataset;
use snaphook_optimizers::{AutoScale, Hyper, WrapperSettings};
use snaphook_schedules::{GroupValues, ParamGroups, Quantity, ScheduleContext, Schedules, Unit};

use crate::CliError;
use crate::check::{Finding, excerpts};

/// The values of one kind, for each group a value at every iteration.
pub(crate) type Columns = Vec<Vec<f64>>;

/// All values of a run.
pub(crate) struct Table {
    pub(crate) epoch_length: u64,
    pub(crate) max_epochs: u64,
    /// The epoch of an iteration is 0 all the time in a loop by iterations, as in MMEngine.
    is_by_epoch: bool,
    pub(crate) learning_rates: Columns,
    pub(crate) momenta: Columns,
    /// Whether a schedule follows a metric, which nobody knows before.
    pub(crate) follows_a_metric: bool,
}

impl Table {
    /// Goes through the run of a config.
    ///
    /// Errors: sections that are wrong, each with its place; an epoch's length that cannot be known.
    pub(crate) fn of(config: &Config, epoch_length: Option<u64>) -> Result<Table, CliError> {
        let (context, is_by_epoch) = context(config, epoch_length)?;
        let mut groups = groups(config)?;
        let schedules = Schedules::build(&config.value()["param_scheduler"], context, &mut groups);
        let mut schedules = schedules.map_err(|error| {
            let text = error.to_string();
            let (key, message) = text.split_once(": ").unwrap_or(("param_scheduler", &text));
            wrong(config, vec![Finding::error("schedule", key, message)])
        })?;
        let mut table = Table {
            epoch_length: context.epoch_length,
            max_epochs: context.max_epochs,
            is_by_epoch,
            learning_rates: vec![Vec::new(); groups.count()],
            momenta: vec![Vec::new(); groups.count()],
            follows_a_metric: schedules.follow_a_metric(),
        };
        for iteration in 0..context.max_iters {
            table.look(&groups);
            schedules.step(Unit::Iteration, &mut groups);
            if is_by_epoch && (iteration + 1) % context.epoch_length == 0 {
                schedules.step(Unit::Epoch, &mut groups);
            }
        }
        Ok(table)
    }

    fn look(&mut self, groups: &GroupValues) {
        for group in 0..groups.count() {
            self.learning_rates[group].push(groups.value(Quantity::LearningRate, group));
            self.momenta[group].push(groups.value(Quantity::Momentum, group));
        }
    }

    pub(crate) fn iterations(&self) -> u64 {
        self.learning_rates[0].len() as u64
    }

    /// The epoch of an iteration, both from 0.
    pub(crate) fn epoch(&self, iteration: u64) -> u64 {
        if self.is_by_epoch { iteration / self.epoch_length } else { 0 }
    }
}

/// One for each pair of learning rate and momentum that a parameter may get, the optimizer's own first.
fn groups(config: &Config) -> Result<GroupValues, CliError> {
    let of_components = |error: ComponentError| {
        let finding = |problem: snaphook_components::Problem| {
            Finding::error("value", problem.path, problem.message)
        };
        wrong(config, error.problems.into_iter().map(finding).collect())
    };
    let settings = WrapperSettings::read(&config.value()["optim_wrapper"]);
    let settings = settings.map_err(of_components)?;
    let scale = AutoScale::read(config.value()).map_err(of_components)?;
    let factor = scale.map_or(1.0, |scale| scale.factor());
    let mut values: Vec<[f64; 3]> = Vec::new();
    for hyper in settings.paramwise.possible(&settings.optimizer) {
        let Hyper { learning_rate, momentum, weight_decay, .. } = hyper;
        let known = values
            .iter()
            .any(|[rate, of_known, _]| *rate == learning_rate * factor && *of_known == momentum);
        if !known {
            values.push([learning_rate * factor, momentum, weight_decay]);
        }
    }
    let groups = GroupValues::from_values(values);
    let lacks = Quantity::ALL.into_iter().filter(|quantity| !settings.optimizer.has(*quantity));
    Ok(lacks.fold(groups, GroupValues::without))
}

fn context(
    config: &Config,
    epoch_length: Option<u64>,
) -> Result<(ScheduleContext, bool), CliError> {
    let section = &config.value()["train_cfg"];
    let kind = section["type"].as_str().map(plain_type).unwrap_or_default();
    let is_by_epoch = kind != "IterBasedTrainLoop" && section["by_epoch"] != Json::Bool(false);
    let key = if is_by_epoch { "max_epochs" } else { "max_iters" };
    let Some(length) = section[key].as_u64().filter(|length| *length > 0) else {
        let message = format!("expected a whole number above 0, found {}", section[key]);
        return Err(wrong(
            config,
            vec![Finding::error("value", format!("train_cfg.{key}"), message)],
        ));
    };
    if is_by_epoch {
        let epoch_length = epoch_length.map_or_else(|| counted(config), Ok)?;
        let max_iters = length.checked_mul(epoch_length).filter(|all| *all <= MOST_ITERATIONS);
        let max_iters = max_iters.ok_or_else(|| {
            let found = format!("{length} epochs of {epoch_length} iterations");
            CliError::EpochLength(format!(
                "expected at most {MOST_ITERATIONS} iterations, found {found}"
            ))
        })?;
        return Ok((ScheduleContext { max_epochs: length, max_iters, epoch_length }, true));
    }
    if length > MOST_ITERATIONS {
        let message = format!("expected at most {MOST_ITERATIONS} iterations, found {length}");
        return Err(CliError::EpochLength(message));
    }
    // As in MMEngine: one epoch, which ends with the run. Its length counts for schedules that are converted.
    let epoch_length = match epoch_length {
        Some(length) => length,
        None if converts(&config.value()["param_scheduler"]) => counted(config)?,
        None => length,
    };
    Ok((ScheduleContext { max_epochs: 1, max_iters: length, epoch_length }, false))
}

/// More do not fit into memory in comfort.
const MOST_ITERATIONS: u64 = 100_000_000;

fn converts(schedulers: &Json) -> bool {
    let list = match schedulers {
        Json::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    list.iter().any(|scheduler| scheduler["convert_to_iter_based"] == Json::Bool(true))
}

/// Batches of the training data.
fn counted(config: &Config) -> Result<u64, CliError> {
    let section = &config.value()["train_dataloader"];
    let batch = section["batch_size"].as_u64().filter(|batch| *batch > 0).ok_or_else(|| {
        let found = &section["batch_size"];
        CliError::EpochLength(format!(
            "train_dataloader.batch_size: expected a whole number above 0, found {found}"
        ))
    })?;
    let dataset = build_dataset(&section["dataset"]).map_err(|error| {
        let text = crate::report::error_text(&error);
        CliError::EpochLength(format!("train_dataloader.dataset: cannot be counted: {text}"))
    })?;
    let samples = dataset.len() as u64;
    let drops_last = section["drop_last"] == Json::Bool(true);
    let batches = if drops_last { samples / batch } else { samples.div_ceil(batch) };
    if batches == 0 {
        let message = format!("train_dataloader: expected a batch, found {samples} pictures");
        return Err(CliError::EpochLength(message));
    }
    Ok(batches)
}

fn wrong(config: &Config, findings: Vec<Finding>) -> CliError {
    let findings: Vec<Finding> =
        findings.into_iter().map(|finding| finding.placed(config)).collect();
    let excerpts = excerpts(&findings, &[], &std::io::stderr());
    CliError::Check { config: config.path().to_owned(), count: findings.len(), excerpts }
}
