//! A hook that failed. Knows nothing of what follows from it.

use snaphook_plugin_api::{HookError, HookErrorKind, HookPoint};

/// A hook that failed, and where.
#[derive(Clone, Debug, thiserror::Error)]
#[error("hook {hook} at {} ({}): {error}{}", point.name(), when(*point, *epoch, *iter), place_of_panic(error))]
pub struct HookFault {
    /// The hook's type with its plugin, if it has one.
    pub hook: String,
    /// Where it was called.
    pub point: HookPoint,
    /// Epochs finished.
    pub epoch: u64,
    /// Iterations finished.
    pub iter: u64,
    /// What it said.
    pub error: HookError,
}

/// Where a hook panicked, in brackets; empty for an error, which says itself what is wrong.
fn place_of_panic(error: &HookError) -> String {
    match &error.location {
        Some(place) if error.kind == HookErrorKind::Panic => {
            format!(" ({}:{})", place.file, place.line)
        }
        _ => String::new(),
    }
}

/// Epoch and iteration as lines of a log count them, from one.
fn when(point: HookPoint, epoch: u64, iter: u64) -> String {
    let (epoch, iteration) = match point {
        // These come after as many epochs and iterations as are finished.
        HookPoint::BeforeVal
        | HookPoint::AfterVal
        | HookPoint::BeforeValEpoch
        | HookPoint::AfterValEpoch
        | HookPoint::BeforeValIter
        | HookPoint::AfterValIter
        | HookPoint::BeforeTest
        | HookPoint::AfterTest
        | HookPoint::BeforeTestEpoch
        | HookPoint::AfterTestEpoch
        | HookPoint::BeforeTestIter
        | HookPoint::AfterTestIter
        | HookPoint::AfterTrain
        | HookPoint::AfterRun => (epoch, iter),
        HookPoint::AfterTrainEpoch => (epoch + 1, iter),
        _ => (epoch + 1, iter + 1),
    };
    format!("epoch {epoch}, iteration {iteration}")
}
