//! `SyncRandomSizeHook`: after each epoch all processes go on with pictures of another size, the same in each. Knows
//! nothing of how pictures are resized.
//!
//! Source: `SyncRandomSizeHook` in `mmdet/core/hook/sync_random_size_hook.py` and `update_dynamic_scale` in
//! `mmdet/datasets/dataset_wrappers.py` of MMDetection 2.28. There a sample carried its size to the transforms `Resize`
//! and `MixUp`; here the host gives it to those of the pipelines in force, in every part of the data set, so that it stays
//! when a pipeline is exchanged. Where we differ: the size depends on the seed and the epoch alone, so that every process
//! draws the same; rank 0's is sent to the others all the same. A resumed run goes on with the size that it had. And
//! pipelines that no size reaches are a warning.

use snaphook_plugin_api::prelude::*;

/// Draws another picture size every `interval` epochs, for the transforms `Resize` and `MixUp` of the training pipeline.
///
/// The older way: `BatchSyncRandomResize` in `data_preprocessor.batch_augments` changes the size every few iterations,
/// on the device, and is what YOLOX uses since MMDetection 3.
#[derive(Kwargs)]
pub struct SyncRandomSizeHook {
    /// Smallest and largest first side of `img_scale`, both in units of 32 pixels; None changes nothing.
    #[kwarg(default = (14, 26))]
    ratio_range: Option<(u64, u64)>,
    /// Whose ratio of sides the drawn sizes have, in pixels.
    #[kwarg(default = (640, 640))]
    img_scale: (u64, u64),
    /// Draw every this many epochs.
    #[kwarg(default = 1, min = 1)]
    interval: u64,
    /// Taken for configs of MMDetection 2: nothing is computed on a device.
    #[kwarg(default = "cuda")]
    #[expect(dead_code, reason = "only taken")]
    device: String,
    scale: Option<(u64, u64)>,
    is_in_force: bool,
}

/// The unit of sizes, in pixels.
const UNIT: u64 = 32;

#[hook(cost_us = 100)]
impl Hook for SyncRandomSizeHook {
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        let (low, high) = self.ratio_range.unwrap_or((1, 1));
        if low == 0 || low > high || self.img_scale.0 == 0 || self.img_scale.1 == 0 {
            return Err(HookError::fatal(format!(
                "SyncRandomSizeHook: expected sizes above 0 and a ratio_range from small to large, found ratio_range \
                 ({low}, {high}), img_scale {:?}",
                self.img_scale
            )));
        }
        runner.warn(
            "SyncRandomSizeHook is the older way (BatchSyncRandomResize in data_preprocessor.batch_augments is its \
             successor): it changes the size after whole epochs only",
        );
        Ok(())
    }

    fn before_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        // After a resume the loader does not know the size yet.
        if self.scale.is_some() && !self.is_in_force { self.put_in_force(runner) } else { Ok(()) }
    }

    fn after_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        let Some(range) = self.ratio_range else { return Ok(()) };
        if !runner.every_n_epochs(self.interval) {
            return Ok(());
        }
        let seed = runner.run().info()?.seed;
        let drawn = draw(range, seed, runner.epoch());
        let factor = self.img_scale.1 as f64 / self.img_scale.0 as f64;
        let scale = json!([UNIT * drawn, UNIT * (drawn as f64 * factor) as u64]);
        let scale = match runner.distributed().world_size() {
            1 => scale,
            _ => runner.distributed().broadcast(scale)?,
        };
        self.scale = Some((side(&scale, 0)?, side(&scale, 1)?));
        self.put_in_force(runner)
    }

    fn save_state(&self) -> Option<HookState> {
        let (first, second) = self.scale?;
        Some(HookState { version: 1, data: json!({ "scale": [first, second] }) })
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        let scale = &state.data["scale"];
        self.scale = Some((side(scale, 0)?, side(scale, 1)?));
        self.is_in_force = false;
        Ok(())
    }
}

impl SyncRandomSizeHook {
    fn put_in_force(&mut self, runner: &mut Runner) -> HookResult {
        let Some(scale) = self.scale else { return Ok(()) };
        runner.data().set_scale(scale)?;
        // Another hook may have brought in a pipeline of one size: no fault, but worth a word.
        if !runner.data().pipelines()?.iter().any(|pipeline| has_scale(pipeline, scale)) {
            runner.warn(
                "No Resize or MixUp is in the training pipelines that are in force: pictures keep their size",
            );
        }
        runner.info(&format!("Pictures of {} x {} from the next epoch on", scale.0, scale.1));
        self.is_in_force = true;
        Ok(())
    }
}

/// Whether a transform of a pipeline, or one inside of it, has this size.
fn has_scale(part: &Json, (width, height): (u64, u64)) -> bool {
    let is_size = |value: &Json| *value == json!([width, height]);
    match part {
        Json::Array(parts) => parts.iter().any(|part| has_scale(part, (width, height))),
        Json::Object(map) => map.iter().any(|(key, value)| {
            (["scale", "img_scale"].contains(&key.as_str()) && is_size(value))
                || has_scale(value, (width, height))
        }),
        _ => false,
    }
}

fn side(scale: &Json, index: usize) -> Result<u64, HookError> {
    let found = scale[index].as_u64();
    found.ok_or_else(|| HookError::new(format!("scale: expected two whole numbers, found {scale}")))
}

/// A whole number from `low` to `high`, another one for each epoch.
fn draw((low, high): (u64, u64), seed: u64, epoch: u64) -> u64 {
    // The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): neighbours become unlike.
    let mut mixed = seed.wrapping_add((epoch + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    low + (mixed ^ (mixed >> 31)) % (high - low + 1)
}

export_plugin!(SyncRandomSizeHook);

#[cfg(test)]
mod tests {
    use super::{SyncRandomSizeHook, draw};
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::services::ids;
    use snaphook_plugin_api::testing::FakeRunner;
    use std::collections::BTreeSet;

    fn hook(kwargs: Json) -> SyncRandomSizeHook {
        SyncRandomSizeHook::from_kwargs("SyncRandomSizeHook", &kwargs).unwrap()
    }

    fn run() -> FakeRunner {
        let pipelines = json!([[{ "type": "Resize", "scale": [448, 448] }]]);
        FakeRunner::new().answer(ids::DATA, "pipelines", pipelines)
    }

    fn set_scale(run: &FakeRunner) -> Json {
        assert!(run.calls_of(ids::DATA, "set_pipeline").is_empty(), "whose pipelines they are");
        run.calls_of(ids::DATA, "set_scale").last().unwrap()["scale"].clone()
    }

    #[test]
    fn a_new_size_comes_after_each_interval_with_the_ratio_of_the_scale() {
        let (mut run, mut hook) = (run(), hook(json!({ "img_scale": [640, 320], "interval": 2 })));
        run.run_point(&mut hook, HookPoint::AfterTrainEpoch, None).unwrap();
        assert!(run.calls_of(ids::DATA, "set_scale").is_empty());
        run.set_progress(|progress| progress.epoch = 1);
        run.run_point(&mut hook, HookPoint::AfterTrainEpoch, None).unwrap();
        let scale = set_scale(&run);
        let (first, second) = (scale[0].as_u64().unwrap(), scale[1].as_u64().unwrap());
        assert!((14 * 32..=26 * 32).contains(&first) && first % 32 == 0, "{scale}");
        assert_eq!(second, first / 64 * 32);
    }

    #[test]
    fn a_resumed_run_goes_on_with_its_size() {
        let (mut first, mut before) = (run(), hook(json!({})));
        first.run_point(&mut before, HookPoint::AfterTrainEpoch, None).unwrap();
        let (mut second, mut after) = (run().epoch(1), hook(json!({})));
        after.load_state(before.save_state().unwrap()).unwrap();
        second.run_point(&mut after, HookPoint::BeforeTrainEpoch, None).unwrap();
        assert_eq!(set_scale(&second), set_scale(&first));
        assert_eq!(after.save_state(), before.save_state());
    }

    #[test]
    fn rank_0_decides_for_all() {
        let sent = json!([448, 448]);
        let mut run = run().world(1, 2).answer(ids::DISTRIBUTED, "broadcast", sent.clone());
        run.run_point(&mut hook(json!({})), HookPoint::AfterTrainEpoch, None).unwrap();
        assert_eq!(set_scale(&run), sent);
    }

    #[test]
    fn pipelines_that_no_size_reaches_are_a_warning_and_not_the_end() {
        let warnings = |pipelines: Json| {
            let mut run = FakeRunner::new().answer(ids::DATA, "pipelines", pipelines);
            let mut hook = hook(json!({ "ratio_range": [3, 3] }));
            run.run_point(&mut hook, HookPoint::AfterTrainEpoch, None).unwrap();
            run.logged().iter().filter(|line| line.contains("keep their size")).count()
        };
        assert_eq!(warnings(json!([[{ "type": "RandomFlip" }]])), 1);
        let inside = json!({ "type": "RandomApply", "transforms": [{ "type": "Resize", "scale": [96, 96] }] });
        assert_eq!(warnings(json!([[{ "type": "RandomFlip" }], [inside]])), 0);
    }

    #[test]
    fn every_size_of_the_range_comes_up() {
        let drawn: BTreeSet<u64> = (0..500).map(|epoch| draw((14, 26), 3, epoch)).collect();
        assert_eq!(drawn, (14..=26).collect());
    }

    #[test]
    fn a_range_the_wrong_way_round_is_refused() {
        let error = run().run_point(
            &mut hook(json!({ "ratio_range": [9, 3] })),
            HookPoint::BeforeRun,
            None,
        );
        assert!(error.unwrap_err().message.contains("from small to large"));
    }
}
