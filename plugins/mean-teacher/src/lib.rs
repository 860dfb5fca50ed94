//! `MeanTeacherHook`: a teacher inside the model follows the student. Knows nothing of what they learn.
//!
//! Source: `mmdet/engine/hooks/mean_teacher_hook.py`; arXiv 1703.01780, equation 3 (whose alpha is 1 - momentum).

use snaphook_plugin_api::prelude::*;

/// Moves the teacher towards the student: `teacher = (1 - momentum) * teacher + momentum * student`.
///
/// At the very beginning of a training the teacher becomes a copy of the student.
#[derive(Kwargs)]
pub struct MeanTeacherHook {
    /// Share of the student in each update, between 0 and 1.
    #[kwarg(default = 0.001, min = 0.0, max = 1.0)]
    momentum: f64,
    /// Update every this many training iterations.
    #[kwarg(default = 1, min = 1)]
    interval: u64,
    /// Whether running means and other buffers stay as they are.
    #[kwarg(default = true)]
    skip_buffer: bool,
    /// The part of the model that follows.
    #[kwarg(default = "teacher")]
    teacher: String,
    /// The part of the model that is trained; of the same structure.
    #[kwarg(default = "student")]
    student: String,
}

#[hook(cost_us = 100)]
impl Hook for MeanTeacherHook {
    fn before_run(&mut self, _: &mut Runner) -> HookResult {
        if self.momentum > 0.0 && self.momentum < 1.0 {
            return Ok(());
        }
        Err(HookError::fatal(format!(
            "MeanTeacherHook.momentum: expected a number between 0 and 1, found {}",
            self.momentum
        )))
    }

    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        // A resumed run has its teacher in the checkpoint. With weight 0 nothing moves, but both parts must be there.
        let weight = if runner.iter() == 0 { 1.0 } else { 0.0 };
        self.update(runner, weight)
    }

    fn after_train_iter(&mut self, runner: &mut Runner, _: &TrainStep) -> HookResult {
        if !runner.every_n_train_iters(self.interval) {
            return Ok(());
        }
        self.update(runner, self.momentum)
    }
}

impl MeanTeacherHook {
    fn update(&self, runner: &mut Runner, weight: f64) -> HookResult {
        runner.model().blend(&self.teacher, &self.student, weight, !self.skip_buffer)?;
        Ok(())
    }
}

export_plugin!(MeanTeacherHook);

#[cfg(test)]
mod tests {
    use super::MeanTeacherHook;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::services::ids;
    use snaphook_plugin_api::testing::FakeRunner;

    fn hook(kwargs: Json) -> MeanTeacherHook {
        MeanTeacherHook::from_kwargs("MeanTeacherHook", &kwargs).unwrap()
    }

    fn weights(run: &FakeRunner) -> Vec<f64> {
        let calls = run.calls_of(ids::MODEL, "blend");
        calls.iter().map(|call| call["weight"].as_f64().unwrap()).collect()
    }

    #[test]
    fn the_teacher_begins_as_a_copy_and_follows_at_each_interval() {
        let (mut run, mut hook) = (FakeRunner::new(), hook(json!({ "interval": 2 })));
        run.run_point(&mut hook, HookPoint::BeforeTrain, None).unwrap();
        for iter in 0..4 {
            run.set_progress(|progress| progress.iter = iter);
            run.run_point(&mut hook, HookPoint::AfterTrainIter, Some(iter)).unwrap();
        }
        assert_eq!(weights(&run), [1.0, 0.001, 0.001]);
        let first = run.calls_of(ids::MODEL, "blend")[0];
        let expected =
            json!({ "target": "teacher", "source": "student", "weight": 1.0, "buffers": false });
        assert_eq!(first, &expected);
    }

    #[test]
    fn a_resumed_teacher_is_not_overwritten() {
        let (mut run, mut hook) = (FakeRunner::new().iter(500), hook(json!({})));
        run.run_point(&mut hook, HookPoint::BeforeTrain, None).unwrap();
        assert_eq!(weights(&run), [0.0]);
    }

    #[test]
    fn the_ends_of_the_range_are_refused() {
        for momentum in [0.0, 1.0] {
            let mut hook = hook(json!({ "momentum": momentum }));
            let error = FakeRunner::new().run_point(&mut hook, HookPoint::BeforeRun, None);
            assert!(error.unwrap_err().message.contains("between 0 and 1"));
        }
    }
}
