//! `CheckInvalidLossHook`: a run whose loss is no longer finite ends at once, saying which loss and where.
//! Knows nothing of how losses are computed.
//!
//! Source: `mmdet/engine/hooks/checkloss_hook.py`. Ours looks at every output of the step, not at `loss`
//! alone, and its error ends all processes, where MMDetection's leaves the others waiting.

use snaphook_plugin_api::prelude::*;

/// Stops a run whose loss is no longer finite.
#[derive(Kwargs)]
pub struct CheckInvalidLossHook {
    /// Check every this many training iterations.
    #[kwarg(default = 50, min = 1)]
    interval: u64,
}

#[hook(cost_us = 100)]
impl Hook for CheckInvalidLossHook {
    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        if !runner.every_n_train_iters(self.interval) {
            return Ok(());
        }
        let names = step.outputs.names();
        let mut invalid = Vec::new();
        // Without a `loss` its name is looked up all the same, and the error says which outputs there are.
        let is_missing = !names.iter().any(|name| name == "loss");
        for name in is_missing.then(|| "loss".to_owned()).into_iter().chain(names) {
            if !step.outputs.all_finite(&name)? {
                let value = step.outputs.value(&name).unwrap_or(f64::NAN);
                invalid.push(format!("{name} = {value}"));
            }
        }
        if invalid.is_empty() {
            return Ok(());
        }
        runner.info("loss become infinite or NaN!");
        let (epoch, iteration) = (runner.epoch() + 1, runner.iter() + 1);
        let rank = runner.distributed().rank();
        Err(HookError::fatal(format!(
            "loss become infinite or NaN: {} (epoch {epoch}, iteration {iteration}, rank {rank}); \
             look at the learning rate, the gradient clipping and the annotations",
            invalid.join(", ")
        )))
    }
}

export_plugin!(CheckInvalidLossHook);

#[cfg(test)]
mod tests {
    use super::CheckInvalidLossHook;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::testing::FakeRunner;

    fn check(iter: u64, loss: f64, box_loss: f64) -> HookResult {
        let mut run =
            FakeRunner::new().iter(iter).output("loss", [loss]).output("loss_bbox", [box_loss]);
        run.run_point(
            &mut CheckInvalidLossHook { interval: 50 },
            HookPoint::AfterTrainIter,
            Some(0),
        )
    }

    #[test]
    fn finite_losses_pass() {
        assert_eq!(check(49, 1.5, 0.5), Ok(()));
    }

    #[test]
    fn every_invalid_loss_is_named_with_its_place() {
        let error = check(49, f64::NAN, f64::INFINITY).unwrap_err();
        assert!(error.is_fatal());
        let expected = "loss become infinite or NaN: loss = NaN, loss_bbox = inf (epoch 1, iteration 50, rank 0)";
        assert!(error.message.starts_with(expected), "{}", error.message);
    }

    #[test]
    fn the_log_has_the_line_of_mmdetection() {
        let mut run = FakeRunner::new().output("loss", [f64::NAN]);
        let mut hook = CheckInvalidLossHook { interval: 1 };
        assert!(run.run_point(&mut hook, HookPoint::AfterTrainIter, Some(0)).is_err());
        assert_eq!(run.logged(), ["loss become infinite or NaN!"]);
    }

    #[test]
    fn a_step_without_a_loss_is_an_error_that_names_what_there_is() {
        let mut run = FakeRunner::new().output("accuracy", [0.5]);
        let mut hook = CheckInvalidLossHook { interval: 1 };
        let error = run.run_point(&mut hook, HookPoint::AfterTrainIter, Some(0)).unwrap_err();
        assert!(error.message.contains("'loss'") && error.message.contains("accuracy"));
    }

    #[test]
    fn between_two_intervals_nothing_is_read() {
        assert_eq!(check(48, f64::NAN, 0.5), Ok(()));
    }
}
