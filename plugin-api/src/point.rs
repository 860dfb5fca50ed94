//! The hook points, as numbers that never change. Knows nothing of how a run is carried out.

/// A moment of a run at which hooks are called.
///
/// The numbers are the ABI: a point is added at the end, none is ever renumbered or removed.
/// A training run calls them in this order (`N` batches per epoch):
///
/// ```text
/// BeforeRun  [AfterLoadCheckpoint]
/// BeforeTrain
///   for each epoch:
///     BeforeTrainEpoch
///       for each batch: BeforeTrainIter, AfterBackward, BeforeOptimStep, AfterOptimStep, AfterTrainIter
///     AfterTrainEpoch      (iter already counts the whole epoch, epoch does not)
///     when due: BeforeVal, BeforeValEpoch, (BeforeValIter, AfterValIter)*, AfterValEpoch, AfterVal
/// AfterTrain  AfterRun
/// ```
///
/// `BeforeSaveCheckpoint` comes right after the hook that asked for a checkpoint, `AfterSaveCheckpoint` when it is on
/// the disk: between two later batches, before the next regular checkpoint and before `AfterTrain` at the latest.
/// `OnException` comes when a run ends with an error. `FetchCheckpoint` comes before all others, before the model is built,
/// when the run is to start from a checkpoint that a URL names.
///
/// Source: `mmengine/hooks/hook.py` (names), `mmengine/runner/loops.py` (order); the points from
/// `AfterSaveCheckpoint` on are Snaphook's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum HookPoint {
    BeforeRun = 0,
    AfterRun = 1,
    BeforeTrain = 2,
    AfterTrain = 3,
    BeforeVal = 4,
    AfterVal = 5,
    BeforeTest = 6,
    AfterTest = 7,
    BeforeTrainEpoch = 8,
    AfterTrainEpoch = 9,
    BeforeValEpoch = 10,
    AfterValEpoch = 11,
    BeforeTestEpoch = 12,
    AfterTestEpoch = 13,
    BeforeTrainIter = 14,
    AfterTrainIter = 15,
    BeforeValIter = 16,
    AfterValIter = 17,
    BeforeTestIter = 18,
    AfterTestIter = 19,
    BeforeSaveCheckpoint = 20,
    AfterSaveCheckpoint = 21,
    AfterLoadCheckpoint = 22,
    AfterBackward = 23,
    BeforeOptimStep = 24,
    AfterOptimStep = 25,
    OnException = 26,
    FetchCheckpoint = 27,
}

impl HookPoint {
    /// Every point, in the order of its number.
    pub const ALL: [HookPoint; 28] = [
        HookPoint::BeforeRun,
        HookPoint::AfterRun,
        HookPoint::BeforeTrain,
        HookPoint::AfterTrain,
        HookPoint::BeforeVal,
        HookPoint::AfterVal,
        HookPoint::BeforeTest,
        HookPoint::AfterTest,
        HookPoint::BeforeTrainEpoch,
        HookPoint::AfterTrainEpoch,
        HookPoint::BeforeValEpoch,
        HookPoint::AfterValEpoch,
        HookPoint::BeforeTestEpoch,
        HookPoint::AfterTestEpoch,
        HookPoint::BeforeTrainIter,
        HookPoint::AfterTrainIter,
        HookPoint::BeforeValIter,
        HookPoint::AfterValIter,
        HookPoint::BeforeTestIter,
        HookPoint::AfterTestIter,
        HookPoint::BeforeSaveCheckpoint,
        HookPoint::AfterSaveCheckpoint,
        HookPoint::AfterLoadCheckpoint,
        HookPoint::AfterBackward,
        HookPoint::BeforeOptimStep,
        HookPoint::AfterOptimStep,
        HookPoint::OnException,
        HookPoint::FetchCheckpoint,
    ];

    /// The point with this number, or `None` for a point that a newer host knows.
    pub const fn from_number(number: u32) -> Option<HookPoint> {
        if (number as usize) < Self::ALL.len() {
            Some(Self::ALL[number as usize])
        } else {
            None
        }
    }

    /// The number that crosses the border.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// MMEngine's name of the point, which is also the name of the method of [`crate::Hook`].
    pub const fn name(self) -> &'static str {
        match self {
            HookPoint::BeforeRun => "before_run",
            HookPoint::AfterRun => "after_run",
            HookPoint::BeforeTrain => "before_train",
            HookPoint::AfterTrain => "after_train",
            HookPoint::BeforeVal => "before_val",
            HookPoint::AfterVal => "after_val",
            HookPoint::BeforeTest => "before_test",
            HookPoint::AfterTest => "after_test",
            HookPoint::BeforeTrainEpoch => "before_train_epoch",
            HookPoint::AfterTrainEpoch => "after_train_epoch",
            HookPoint::BeforeValEpoch => "before_val_epoch",
            HookPoint::AfterValEpoch => "after_val_epoch",
            HookPoint::BeforeTestEpoch => "before_test_epoch",
            HookPoint::AfterTestEpoch => "after_test_epoch",
            HookPoint::BeforeTrainIter => "before_train_iter",
            HookPoint::AfterTrainIter => "after_train_iter",
            HookPoint::BeforeValIter => "before_val_iter",
            HookPoint::AfterValIter => "after_val_iter",
            HookPoint::BeforeTestIter => "before_test_iter",
            HookPoint::AfterTestIter => "after_test_iter",
            HookPoint::BeforeSaveCheckpoint => "before_save_checkpoint",
            HookPoint::AfterSaveCheckpoint => "after_save_checkpoint",
            HookPoint::AfterLoadCheckpoint => "after_load_checkpoint",
            HookPoint::AfterBackward => "after_backward",
            HookPoint::BeforeOptimStep => "before_optim_step",
            HookPoint::AfterOptimStep => "after_optim_step",
            HookPoint::OnException => "on_exception",
            HookPoint::FetchCheckpoint => "fetch_checkpoint",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HookPoint;

    #[test]
    fn numbers_are_positions_and_names_are_unique() {
        let mut names: Vec<_> = HookPoint::ALL.iter().map(|point| point.name()).collect();
        for (number, point) in HookPoint::ALL.iter().enumerate() {
            assert_eq!(HookPoint::from_number(number as u32), Some(*point));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), HookPoint::ALL.len());
        assert_eq!(HookPoint::from_number(28), None);
    }
}
