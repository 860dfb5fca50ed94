//! The table of hooks, as people know it from MMEngine's log. Knows nothing of calling them.

use snaphook_plugin_api::HookPoint;

use crate::HookRow;

/// The points in the order of MMEngine's table, `Hook.stages` in `mmengine/hooks/hook.py`, with our own where they come.
const TABLE: [HookPoint; 26] = [
    HookPoint::BeforeRun,
    HookPoint::AfterLoadCheckpoint,
    HookPoint::BeforeTrain,
    HookPoint::BeforeTrainEpoch,
    HookPoint::BeforeTrainIter,
    HookPoint::AfterBackward,
    HookPoint::BeforeOptimStep,
    HookPoint::AfterOptimStep,
    HookPoint::AfterTrainIter,
    HookPoint::AfterTrainEpoch,
    HookPoint::BeforeVal,
    HookPoint::BeforeValEpoch,
    HookPoint::BeforeValIter,
    HookPoint::AfterValIter,
    HookPoint::AfterValEpoch,
    HookPoint::AfterVal,
    HookPoint::BeforeSaveCheckpoint,
    HookPoint::AfterSaveCheckpoint,
    HookPoint::AfterTrain,
    HookPoint::BeforeTest,
    HookPoint::BeforeTestEpoch,
    HookPoint::BeforeTestIter,
    HookPoint::AfterTestIter,
    HookPoint::AfterTestEpoch,
    HookPoint::AfterTest,
    HookPoint::AfterRun,
];

/// MMEngine's table of hooks, point by point, for the log and for `snaphook hooks list`.
pub fn hook_table(rows: impl Fn(HookPoint) -> Vec<HookRow>) -> String {
    let mut text = String::from("Hooks will be executed in the following order:\n");
    let others = HookPoint::ALL.into_iter().filter(|point| !TABLE.contains(point));
    for point in TABLE.into_iter().chain(others) {
        let hooks = rows(point);
        if hooks.is_empty() {
            continue;
        }
        text += &format!("{}:\n", point.name());
        for hook in hooks {
            let from = if hook.source == "built-in" {
                String::new()
            } else {
                format!("  [{}]", hook.source)
            };
            text += &format!("({:<12}) {:<35}{from}\n", hook.priority.label(), hook.type_name);
        }
        text += " -------------------- \n";
    }
    text
}
