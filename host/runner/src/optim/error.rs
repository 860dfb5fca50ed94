//! What can be wrong with an `optim_wrapper` setting or a saved optimizer.
//! Knows nothing of where either came from.

use snaphook_schedules::KwargsError;

/// An optimizer that cannot be built, or whose state cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum OptimError {
    /// A wrong key.
    #[error("optim_wrapper: {0}")]
    Kwargs(#[from] KwargsError),
    /// No optimizer or wrapper has this name.
    #[error("optim_wrapper: unknown {what} `{name}`{hint} (known: {known})")]
    UnknownType {
        /// What was to be named: an optimizer or a wrapper.
        what: &'static str,
        /// The name in the configuration.
        name: String,
        /// The nearest known name as a question.
        hint: String,
        /// All known names.
        known: String,
    },
    /// A multiplier of the weight decay without a weight decay.
    #[error(
        "optim_wrapper: paramwise_cfg has {key}, expected weight_decay in the optimizer, found none (add weight_decay to the optimizer)"
    )]
    NoWeightDecay {
        /// The multiplier.
        key: String,
    },
    /// The model has nothing to train.
    #[error("optim_wrapper: expected parameters to train, found none in the model")]
    NoParameters,
    /// The saved state is of another optimizer.
    #[error(
        "saved optimizer: expected the state of {expected}, found that of {found} (resume with the optimizer that was saved, or load the weights alone)"
    )]
    OtherOptimizer {
        /// The configured optimizer.
        expected: String,
        /// The saved one.
        found: String,
    },
    /// The saved state is of another model.
    #[error("saved optimizer: does not fit the model: {0}")]
    OtherModel(String),
    /// Saved state of another form.
    #[error(
        "saved optimizer: expected {expected} (the checkpoint is damaged, or of another version)"
    )]
    Malformed {
        /// What should be there.
        expected: String,
    },
    /// No such group.
    #[error("optimizer: expected a group below {count}, found {index}")]
    UnknownGroup {
        /// The group that was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A group has no such number that can be set.
    #[error("optimizer: expected lr, momentum or weight_decay, found `{name}`")]
    UnknownValue {
        /// The name that was given.
        name: String,
    },
    /// libtorch refused an operation.
    #[error("optimizer: {0}")]
    Torch(#[from] tch::TchError),
}
