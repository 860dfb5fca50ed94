//! Why a run ended early. Knows nothing of how an error is shown.

use std::path::PathBuf;

use snaphook_components::ComponentError;
use snaphook_heartbeat::words;
use snaphook_hooks::HookFault;
use snaphook_plugin_api::HookPoint;

use crate::BoxError;
use crate::averaging::AveragingError;
use crate::checkpoint::CheckpointError;
use crate::history::HistoryError;
use crate::optim::OptimError;
use snaphook_schedules::ScheduleError;

/// The signal of Ctrl-C, on every Unix.
const SIGINT: usize = 2;

/// Why a run could not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A key of the config asks for something that cannot be.
    #[error("{key}: {message}")]
    Config {
        /// Dotted key: `train_cfg.max_epochs`.
        key: String,
        /// Expected, found, way out.
        message: String,
    },
    /// A component's dict of the config is wrong.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A hook returned an error or panicked.
    #[error(transparent)]
    Hook(#[from] Box<HookFault>),
    /// A batch could not be read.
    #[error("{stage} data: {source}")]
    Data {
        /// training, validation or test.
        stage: &'static str,
        /// What the data source said.
        source: BoxError,
    },
    /// The model could not compute a batch.
    #[error("model, {}: {source}", when(stage, *iter))]
    Model {
        /// training, validation or test.
        stage: &'static str,
        /// In training, the iteration that runs, from 1; else the training iterations before it.
        iter: u64,
        /// What the model said.
        source: BoxError,
    },
    /// The weights that the model is to start with are absent, or are those of another one.
    #[error("model, initialisation: {0}")]
    StartValues(#[source] BoxError),
    /// libtorch refused a computation, or there is a mistake in Snaphook.
    #[error("{place}: {message}")]
    Panic {
        /// `training, epoch 1, iteration 8`: from 1.
        place: String,
        /// What was said.
        message: String,
    },
    /// A metric could not be computed.
    #[error("metric: {0}")]
    Metric(#[source] BoxError),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Averaged weights could not be taken over.
    #[error(transparent)]
    Averaging(#[from] AveragingError),
    /// The history of a checkpoint could not be taken over.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The optimizer section is wrong.
    #[error(transparent)]
    Optim(#[from] OptimError),
    /// The schedule section is wrong.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The process was asked to end.
    #[error("interrupted by signal {signal}")]
    Interrupted {
        /// The signal's number.
        signal: usize,
    },
    /// What ranks do together failed on this one.
    #[error(transparent)]
    Ranks(#[from] snaphook_c10d::Error),
    /// Another rank failed, which ends the run on this one too.
    #[error("rank {rank}{}: {message}", words::FAILED_ELSEWHERE)]
    OtherRank {
        /// The rank that failed.
        rank: usize,
        /// What it said.
        message: String,
    },
    /// Ranks that had come for different things, such as a service that a hook has called on one of them alone.
    #[error("ranks are at different places: {message}")]
    Apart {
        /// `rank 0: SumHook at after_train_iter called barrier; rank 1: between two iterations`.
        message: String,
    },
    /// A rank for which the others had waited until their time was up, and that came then.
    #[error("rank {rank}{}: {doing}; {message}", words::WAS_LATE)]
    LateRank {
        /// The rank that came last.
        rank: usize,
        /// What it did meanwhile: `34 s in SlowHook at after_train_iter (epoch 1, iteration 12)`.
        doing: String,
        /// What failed on this rank.
        message: String,
    },
    /// Ranks that do not answer.
    #[error("{}: {message}", lost(.ranks))]
    LostRanks {
        /// Which; empty where all answer and yet a collective failed.
        ranks: Vec<usize>,
        /// What failed on this rank.
        message: String,
    },
    /// A file of the work folder could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl RunError {
    /// A config error at `key`.
    pub fn config(key: impl Into<String>, message: impl Into<String>) -> RunError {
        RunError::Config { key: key.into(), message: message.into() }
    }

    /// An input or output error at `path`.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> RunError {
        RunError::File { path: path.into(), source }
    }

    /// The exit code of a program that ends with this error: 1 for wrong config, plugin or data,
    /// 3 for a run that failed while it trained.
    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::Hook(fault) if fault.point == HookPoint::BeforeRun => 1,
            RunError::Hook(_) | RunError::Model { .. } | RunError::Metric(_) => 3,
            RunError::Panic { .. } => 3,
            RunError::Ranks(_) | RunError::OtherRank { .. } | RunError::Apart { .. } => 3,
            RunError::LateRank { .. } | RunError::LostRanks { .. } => 3,
            RunError::Checkpoint(error) if error.is_write() => 3,
            RunError::File { .. } => 3,
            // Saved, start me again; Ctrl-C is answered as the shell expects.
            RunError::Interrupted { signal } if *signal != SIGINT => 75,
            RunError::Interrupted { .. } => 128 + SIGINT as u8,
            _ => 1,
        }
    }

    /// A word for what went wrong, for hooks and machines.
    pub fn kind(&self) -> &'static str {
        match self {
            RunError::Config { .. }
            | RunError::Component(_)
            | RunError::Optim(_)
            | RunError::Schedule(_) => "config",
            RunError::Hook(_) => "hook",
            RunError::Data { .. } => "data",
            RunError::Model { .. } | RunError::Panic { .. } => "model",
            RunError::Metric(_) => "metric",
            RunError::StartValues(_) => "checkpoint",
            RunError::Checkpoint(_) | RunError::Averaging(_) | RunError::History(_) => "checkpoint",
            RunError::File { .. } => "file",
            RunError::Interrupted { .. } => "interrupted",
            RunError::Ranks(_) | RunError::OtherRank { .. } | RunError::Apart { .. } => "ranks",
            RunError::LateRank { .. } | RunError::LostRanks { .. } => "ranks",
        }
    }
}

/// `training, iteration 8`, `validation after iteration 8`.
fn when(stage: &str, iteration: u64) -> String {
    match (stage, iteration) {
        (_, 0) => stage.to_owned(),
        ("training", _) => format!("{stage}, iteration {iteration}"),
        _ => format!("{stage} after iteration {iteration}"),
    }
}

fn lost(ranks: &[usize]) -> String {
    match ranks {
        [] => "ranks lost each other, and all of them are there".to_owned(),
        [one] => format!("rank {one}{}", words::IS_GONE),
        many => {
            let many: Vec<_> = many.iter().map(usize::to_string).collect();
            format!("ranks {}{}", many.join(", "), words::ARE_GONE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_plugin_api::HookError;

    #[test]
    fn faults_of_hooks_are_told_as_lines_of_a_log_count() {
        let words = |point, epoch, iter| {
            let error = HookError::new("tripped");
            RunError::from(Box::new(HookFault {
                hook: "SlowHook".into(),
                point,
                epoch,
                iter,
                error,
            }))
        };
        for (point, epoch, iter, expected) in [
            (HookPoint::AfterTrainIter, 0, 49, "after_train_iter (epoch 1, iteration 50)"),
            (HookPoint::AfterTrainEpoch, 0, 50, "after_train_epoch (epoch 1, iteration 50)"),
            (HookPoint::AfterValIter, 1, 50, "after_val_iter (epoch 1, iteration 50)"),
            (HookPoint::BeforeTrainIter, 1, 50, "before_train_iter (epoch 2, iteration 51)"),
        ] {
            let error = words(point, epoch, iter);
            assert_eq!(error.to_string(), format!("hook SlowHook at {expected}: tripped"));
            assert!(std::error::Error::source(&error).is_none());
        }
    }

    #[test]
    fn a_models_failure_is_told_with_its_iteration_where_there_is_one() {
        let words = |stage, iter| RunError::Model { stage, iter, source: "no".into() }.to_string();
        assert_eq!(words("training", 8), "model, training, iteration 8: no");
        assert_eq!(words("validation", 8), "model, validation after iteration 8: no");
        assert_eq!(words("initialisation", 0), "model, initialisation: no");
    }
}
