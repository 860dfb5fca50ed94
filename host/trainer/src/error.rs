//! Why the trainer ends early, with the exit code of each reason.

use std::path::PathBuf;

use snaphook_cli::Exit;
use snaphook_config::ConfigError;
use snaphook_data::DataError;
use snaphook_runner::RunError;
use snaphook_vision::BuildError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrainerError {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{place}{error}")]
    Build {
        /// `config.py, line 12: `, where it is known.
        place: String,
        #[source]
        error: Box<BuildError>,
    },
    #[error("{place}{error}")]
    Run {
        place: String,
        #[source]
        error: Box<RunError>,
    },
    #[error("{place}{message}")]
    Hook { place: String, message: String },
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("work folder {}: expected a folder that can be written to, found otherwise: {source} (choose one with --work-dir)", path.display())]
    WorkFolder { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

impl TrainerError {
    /// Whether the run ended because it was asked to; it has said so itself.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self, TrainerError::Run { error, .. } if matches!(**error, RunError::Interrupted { .. }))
    }

    /// The exit code that the program ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            TrainerError::Usage(_) => Exit::Usage.code(),
            TrainerError::Run { error, .. } => error.exit_code(),
            _ => Exit::Input.code(),
        }
    }
}
