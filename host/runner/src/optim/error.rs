//! What can be wrong with an `optim_wrapper` setting or a saved optimizer.
//! Knows nothing of where either came from.

use snaphook_components::ComponentError;

/// An optimizer that cannot be built, or whose state cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum OptimError {
    /// Settings that cannot be used.
    #[error("{0}")]
    Settings(#[from] ComponentError),
    /// float16 where there is no GPU.
    #[error(
        "optim_wrapper.dtype: expected bfloat16 on the CPU, found float16 (leave dtype out, or train on a GPU)"
    )]
    HalfOnCpu,
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
