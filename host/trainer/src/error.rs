//! Why the trainer ends early, with the exit code of each reason.

use std::path::PathBuf;

use snaphook_cli::Exit;
use snaphook_config::ConfigError;
use snaphook_data::DataError;
use snaphook_heartbeat::words;
use snaphook_runner::RunError;
use snaphook_vision::BuildError;
use snaphook_weights::WeightsError;

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
    /// A test leaves nothing to go on from.
    #[error("the test was stopped by signal {signal}")]
    TestStopped { signal: usize },
    #[error("{place}{message}")]
    Hook { place: String, message: String },
    #[error(transparent)]
    Data(#[from] DataError),
    /// The others were looked at.
    #[error("{} of {of} pictures cannot be read, the others are done: {}", names.len(), names.join(", "))]
    BadPictures { names: Vec<String>, of: usize },
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("work folder {}: expected a folder that can be written to, found otherwise: {source} (choose one with --work-dir)", path.display())]
    WorkFolder { path: PathBuf, source: std::io::Error },
    /// libtorch refused something, or there is a mistake in Snaphook.
    #[error("{0}")]
    Panic(String),
    #[error("{name}: {message}")]
    Environment { name: &'static str, message: String },
    /// The store could not be served or reached.
    #[error(
        "rank {rank}: the processes of this run cannot meet: {source} (is MASTER_ADDR rank 0's machine, and MASTER_PORT free there?)"
    )]
    Meeting { rank: usize, source: snaphook_c10d::Error },
    #[error(transparent)]
    Company(snaphook_c10d::Error),
    /// Ranks that are all there and do not reach each other.
    #[error(
        "{source} (all ranks are there; this one listens at {listens}: is a firewall between, or does GLOO_SOCKET_IFNAME name \
         another network card?)"
    )]
    Unconnected { listens: String, source: snaphook_c10d::Error },
    /// Ranks that did not come.
    #[error(
        "rank {} of {}: {}{} within {seconds} s (are they started, with the same MASTER_ADDR, MASTER_PORT and \
         WORLD_SIZE? env_cfg.dist_cfg.timeout says how long they may take, 300 s at most)",
        place.0, place.1, crate::joining::ranks(missing), words::DID_NOT_COME
    )]
    MissingRanks { place: (usize, usize), missing: Vec<usize>, seconds: f64 },
    /// Two ranks that were not started alike.
    #[error(
        "rank {rank} was started for {own}, and rank {other} for {found} (start all with the same command)"
    )]
    StartedOtherwise { rank: usize, own: String, other: usize, found: String },
    /// The environment names a network card that is not there.
    #[error(
        "GLOO_SOCKET_IFNAME: expected a network card of this machine ({}), found {name} on rank {rank}",
        cards.join(", ")
    )]
    NoNetworkCard { rank: usize, name: String, cards: Vec<String> },
    #[error("rank {rank}{}: {message}", words::CANNOT_START_ELSEWHERE)]
    OtherRank { rank: usize, message: String },
    #[error("{0}")]
    RanksDiffer(String),
    #[error("rank {rank}: {message}")]
    Device { rank: usize, message: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

impl TrainerError {
    /// Whether the run ended because it was asked to; it has said so itself.
    pub(crate) fn is_interruption(&self) -> bool {
        match self {
            TrainerError::Run { error, .. } => matches!(**error, RunError::Interrupted { .. }),
            TrainerError::TestStopped { .. } => true,
            _ => false,
        }
    }

    /// A word for what went wrong, for hooks: as [`RunError::kind`].
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            TrainerError::Run { error, .. } => error.kind(),
            TrainerError::Data(_) => "data",
            TrainerError::Build { error, .. } => match **error {
                BuildError::Data { .. } => "data",
                _ => "config",
            },
            TrainerError::Hook { .. } => "hook",
            TrainerError::WorkFolder { .. } | TrainerError::File { .. } => "file",
            TrainerError::Meeting { .. }
            | TrainerError::Company(_)
            | TrainerError::Unconnected { .. }
            | TrainerError::MissingRanks { .. }
            | TrainerError::OtherRank { .. }
            | TrainerError::StartedOtherwise { .. }
            | TrainerError::RanksDiffer(_) => "ranks",
            _ => "config",
        }
    }

    /// The exit code that the program ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            TrainerError::Usage(_) => Exit::Usage.code(),
            TrainerError::Run { error, .. } => error.exit_code(),
            TrainerError::Meeting { .. }
            | TrainerError::Company(_)
            | TrainerError::Unconnected { .. }
            | TrainerError::MissingRanks { .. }
            | TrainerError::Panic(_) => Exit::Training.code(),
            // As the shell shows a program that the signal itself has ended.
            TrainerError::TestStopped { signal } => 128 + u8::try_from(*signal).unwrap_or(0),
            _ => Exit::Input.code(),
        }
    }
}
