//! `DetVisualizationHook`: pictures of predictions, while validating and testing.

use serde_json::json;
use snaphook_plugin_api::prelude::*;

/// Draws predicted boxes onto pictures of the validation or test set, to the right of the annotated ones.
///
/// Source: `mmdet/engine/hooks/visualization_hook.py`. The pictures go to the run's folder:
/// `vis_data/vis_image` in validation and in a test without `test_out_dir`, else `test_out_dir`.
#[derive(Kwargs)]
pub struct DetVisualizationHook {
    /// Whether anything is drawn.
    #[kwarg(default = false)]
    draw: bool,
    /// Draw when (iterations trained + batch index) is a multiple of this.
    #[kwarg(default = 50, min = 1)]
    interval: u64,
    /// Boxes below this score are left out.
    #[kwarg(default = 0.3, min = 0.0, max = 1.0)]
    score_thr: f64,
    /// The folder for pictures of a test, inside the run's folder.
    #[kwarg]
    test_out_dir: Option<String>,
    /// Taken for MMDetection's configs: no window is opened, so that it must be false.
    #[kwarg(default = false, only(false))]
    #[expect(dead_code, reason = "only taken")]
    show: bool,
    /// Taken for MMDetection's configs: how long a window would stay open, in seconds.
    #[kwarg(default = 0.0, min = 0.0)]
    #[expect(dead_code, reason = "only taken")]
    wait_time: f64,
    /// Taken for MMDetection's configs: pictures are read from files, so that it must be None.
    #[kwarg(only(None))]
    #[expect(dead_code, reason = "only taken")]
    backend_args: Option<Json>,
}

#[hook(cost_us = 100)]
impl Hook for DetVisualizationHook {
    fn after_val_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        if !self.draw || !(runner.iter() + step.batch_idx).is_multiple_of(self.interval) {
            return Ok(());
        }
        let step = runner.iter() + step.batch_idx;
        let options = json!({ "name": "val_img", "score_thr": self.score_thr, "most": 1, "step": step, "ground_truth": true });
        runner.visuals().draw_predictions(options)?;
        Ok(())
    }

    fn after_test_iter(&mut self, runner: &mut Runner, _: &EvalStep) -> HookResult {
        if !self.draw {
            return Ok(());
        }
        let options = json!({
            "name": "test_img",
            "score_thr": self.score_thr,
            "folder": self.test_out_dir,
            "most": u32::MAX,
            "ground_truth": true,
        });
        runner.visuals().draw_predictions(options)?;
        Ok(())
    }
}

export_plugin!(DetVisualizationHook);

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_plugin_api::testing::FakeRunner;

    #[test]
    fn a_test_draws_every_picture_into_its_folder() {
        let kwargs = json!({ "draw": true, "test_out_dir": "shown", "score_thr": 0.5 });
        let mut hook = DetVisualizationHook::from_kwargs("DetVisualizationHook", &kwargs).unwrap();
        let mut fake = FakeRunner::new();
        fake.run_point(&mut hook, HookPoint::AfterTestIter, Some(0)).unwrap();
        let drawn = &fake.calls()[0].arguments;
        assert_eq!((&drawn["folder"], &drawn["score_thr"]), (&json!("shown"), &json!(0.5)));
        assert_eq!(drawn["most"], u32::MAX);
        assert_eq!(drawn["ground_truth"], true);
    }

    #[test]
    fn a_window_is_refused_before_the_run() {
        let error =
            DetVisualizationHook::from_kwargs("DetVisualizationHook", &json!({ "show": true }));
        assert!(error.err().unwrap().message.contains("show"));
    }

    #[test]
    fn nothing_is_drawn_unless_asked_for() {
        for (kwargs, expected) in [(json!({}), 0), (json!({ "draw": true, "interval": 2 }), 1)] {
            let mut hook =
                DetVisualizationHook::from_kwargs("DetVisualizationHook", &kwargs).unwrap();
            let mut fake = FakeRunner::new();
            for batch_idx in 0..2 {
                fake.run_point(&mut hook, HookPoint::AfterValIter, Some(batch_idx)).unwrap();
            }
            let drawn =
                fake.calls().iter().filter(|call| call.method == "draw_predictions").count();
            assert_eq!(drawn, expected);
        }
    }
}
