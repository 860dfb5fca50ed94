//! Which checkpoint a run starts from, and which seed it has. Loads nothing.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;
use snaphook_runner::log::RunLogger;
use snaphook_runner::{RunError, Start};

use crate::assemble::Request;
use crate::error::TrainerError;
use crate::fetch::located;

/// A resume of the last checkpoint is one of a certain checkpoint, the same on all ranks. Where there is none yet, the run
/// starts as it would have without `--resume`.
pub(crate) fn concrete_start(
    request: &Request<'_>,
    log: &RunLogger,
) -> Result<Start, TrainerError> {
    if request.start != Start::ResumeLast {
        return Ok(request.start.clone());
    }
    let folder = request.checkpoints();
    let last = snaphook_runner::checkpoint::find_last(&folder);
    if let Some(last) = last.map_err(|error| request.run_error(error.into()))? {
        return Ok(Start::Resume(last));
    }
    let Some(weights) = request.value["load_from"].as_str() else { return Ok(Start::ResumeLast) };
    log.warn(format!(
        "--resume: there is no checkpoint in {}, training starts from load_from={weights}",
        folder.display()
    ));
    Ok(Start::Weights(located(Path::new(weights))?))
}

/// `--seed`, the resumed run's seed, `randomness.seed`, or one drawn from the clock.
pub(crate) fn choose_seed(request: &Request<'_>, log: &RunLogger) -> Result<u64, TrainerError> {
    let resumed = match request.start {
        Start::Resume(_) | Start::ResumeLast => {
            snaphook_runner::peek(&request.start, &request.checkpoints())
                .map_err(|error| request.run_error(error))?
                .and_then(|(_, meta)| meta["seed"].as_u64())
        }
        Start::Fresh | Start::Weights(_) => None,
    };
    let in_config = seed_of(&request.value).map_err(|error| request.run_error(error))?;
    let asked = request.seed.or(in_config);
    if let (Some(asked), Some(resumed)) = (asked, resumed)
        && asked != resumed
    {
        log.warn(format!(
            "The resumed run had seed {resumed}, this one has {asked}: random draws are others from here on"
        ));
    }
    let drawn = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) ^ (now.as_secs() << 10) & 0x7fff_ffff
    };
    Ok(asked.or(resumed).unwrap_or_else(|| drawn() & 0x7fff_ffff))
}

fn seed_of(config: &Json) -> Result<Option<u64>, RunError> {
    match &config["randomness"]["seed"] {
        Json::Null => Ok(None),
        value => match value.as_u64() {
            Some(seed) => Ok(Some(seed)),
            None => {
                let message = format!("expected a whole number of at least 0, found {value}");
                Err(RunError::config("randomness.seed", message))
            }
        },
    }
}
