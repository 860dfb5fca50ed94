//! `YOLOXModeSwitchHook`: the last epochs of YOLOX train without mosaic and with an L1 loss. Knows nothing of
//! how pictures are mixed.
//!
//! Source: `mmdet/engine/hooks/yolox_mode_switch_hook.py`, with its count of epochs: 15 makes the last 16. Where we
//! differ: transforms are left out through all wrappers of the data set, where MMDetection needs a
//! `MultiImageMixDataset` outermost; and no process is restarted for it.

use snaphook_plugin_api::prelude::*;

/// Turns mosaic and mixup off and an additional L1 loss on, for the last epochs of YOLOX.
#[derive(Kwargs)]
pub struct YOLOXModeSwitchHook {
    /// How many epochs before the end.
    #[kwarg(default = 15, min = 0)]
    num_last_epochs: u64,
    /// Types of the transforms that are left out.
    #[kwarg(default = ["Mosaic", "RandomAffine", "MixUp"])]
    skip_type_keys: Vec<String>,
    is_switched: bool,
}

#[hook(cost_us = 100)]
impl Hook for YOLOXModeSwitchHook {
    fn before_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        let first = runner.max_epochs().saturating_sub(self.num_last_epochs);
        if self.is_switched || runner.epoch() + 1 < first {
            return Ok(());
        }
        runner.info("No mosaic and mixup aug now!");
        runner.data().skip_transforms(&self.skip_type_keys)?;
        runner.info("Add additional L1 loss now!");
        let head = head(runner)?;
        runner.model().set_attribute(head, "use_l1", true)?;
        self.is_switched = true;
        Ok(())
    }
}

/// The head, of the detector inside the model where it has one, as multi-object trackers do.
fn head(runner: &mut Runner) -> Result<&'static str, HookError> {
    let modules = runner.model().modules()?;
    let of_detector = modules.iter().any(|module| module.name == "detector.bbox_head");
    Ok(if of_detector { "detector.bbox_head" } else { "bbox_head" })
}

export_plugin!(YOLOXModeSwitchHook);

#[cfg(test)]
mod tests {
    use super::YOLOXModeSwitchHook;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::services::ids;
    use snaphook_plugin_api::testing::FakeRunner;

    fn hook() -> YOLOXModeSwitchHook {
        YOLOXModeSwitchHook::from_kwargs("YOLOXModeSwitchHook", &json!({})).unwrap()
    }

    fn begin_epochs(epochs: std::ops::Range<u64>) -> FakeRunner {
        let (mut run, mut hook) = (FakeRunner::new().max_epochs(300), hook());
        for epoch in epochs {
            run.set_progress(|progress| progress.epoch = epoch);
            run.run_point(&mut hook, HookPoint::BeforeTrainEpoch, None).unwrap();
        }
        run
    }

    #[test]
    fn nothing_happens_before_the_last_epochs() {
        assert!(begin_epochs(0..284).calls().is_empty());
    }

    #[test]
    fn switch_comes_once_with_both_changes() {
        let run = begin_epochs(280..300);
        let skipped = run.calls_of(ids::DATA, "skip_transforms");
        assert_eq!(skipped, [&json!({ "types": ["Mosaic", "RandomAffine", "MixUp"] })]);
        let set = run.calls_of(ids::MODEL, "set_attribute");
        assert_eq!(set, [&json!({ "module": "bbox_head", "name": "use_l1", "value": true })]);
        assert_eq!(run.logged(), ["No mosaic and mixup aug now!", "Add additional L1 loss now!"]);
    }

    #[test]
    fn resumed_run_switches_too() {
        let run = begin_epochs(295..296);
        assert_eq!(run.calls_of(ids::DATA, "skip_transforms").len(), 1);
        assert_eq!(run.calls_of(ids::MODEL, "set_attribute").len(), 1);
    }

    #[test]
    fn the_head_of_a_detector_inside_is_meant() {
        let module = json!({ "name": "detector.bbox_head", "type_name": "YOLOXHead" });
        let mut run = FakeRunner::new().answer(ids::MODEL, "modules", json!([module]));
        run.run_point(&mut hook(), HookPoint::BeforeTrainEpoch, None).unwrap();
        assert_eq!(run.calls_of(ids::MODEL, "set_attribute")[0]["module"], "detector.bbox_head");
    }
}
