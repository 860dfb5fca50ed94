//! How a forward pass treats batch norm.

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Training: statistics of the batch, and the running ones move.
    Train,
    /// Running statistics, with gradients: frozen layers of a model in training.
    Frozen,
    /// Running statistics, without gradients.
    Predict,
}

impl Mode {
    /// `Frozen` in training where `is_frozen`, otherwise the same.
    pub(crate) fn frozen_if(self, is_frozen: bool) -> Mode {
        if self == Mode::Train && is_frozen { Mode::Frozen } else { self }
    }
}
