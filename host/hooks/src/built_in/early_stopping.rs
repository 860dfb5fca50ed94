//! Ends a training that does not get better any more. Knows nothing of how metrics are computed.

use serde_json::json;
use snaphook_plugin_api::prelude::*;

use super::direction::DirectionKeys;
use super::registry::Checked;

/// Stops the training when a metric has not improved for a number of validations.
///
/// Source: `mmengine/hooks/early_stopping_hook.py`. Better here: the best value and the number of validations without an
/// improvement are saved with checkpoints, so that a resumed run goes on counting.
#[derive(Kwargs)]
pub struct EarlyStoppingHook {
    /// The metric that is watched, such as `coco/bbox_mAP`.
    #[kwarg(required)]
    monitor: String,
    /// `greater` or `less`; none: told from the metric's name.
    #[kwarg]
    rule: Option<String>,
    /// A change that is not greater than this is no improvement.
    #[kwarg(default = 0.1)]
    min_delta: f64,
    /// Whether a validation without the metric ends the run with an error.
    #[kwarg(default = false)]
    strict: bool,
    /// Whether a value that is infinite or NaN stops the training.
    #[kwarg(default = true)]
    check_finite: bool,
    /// Validations without an improvement until the training stops.
    #[kwarg(default = 5)]
    patience: u64,
    /// A value that, once it is passed, stops the training as good enough.
    #[kwarg]
    stopping_threshold: Option<f64>,
    waited: u64,
    best: Option<f64>,
    /// Whether the last value was infinite or NaN.
    is_not_finite: bool,
    /// Whether the run that was resumed monitored something else.
    is_edited: bool,
}

impl EarlyStoppingHook {
    fn is_greater_better(&self) -> Result<bool, HookError> {
        DirectionKeys::default().is_greater_better("monitor", &self.monitor, self.rule.as_deref())
    }

    /// There is no such metric: an error where that is asked for.
    fn is_missing<'a>(&self, runner: &Runner, known: impl Iterator<Item = &'a str>) -> HookResult {
        let known: Vec<&str> = known.collect();
        let (monitor, known) = (&self.monitor, known.join(", "));
        let text = format!("monitor: no metric \"{monitor}\" (the metrics are {known})");
        if self.strict {
            return Err(HookError::fatal(text));
        }
        runner.warn(&text);
        Ok(())
    }

    fn out_of_patience(&self) -> String {
        let (monitor, best) = (&self.monitor, self.best_so_far());
        format!("{monitor} did not improve in {} validations (best: {best})", self.waited)
    }

    /// Why a run that is resumed would have stopped before, by the arguments of now.
    fn reason_to_stay(&self) -> Result<Option<String>, HookError> {
        let monitor = &self.monitor;
        if self.waited > 0 && self.waited >= self.patience {
            return Ok(Some(self.out_of_patience()));
        }
        if self.check_finite && self.is_not_finite {
            return Ok(Some(format!("{monitor} is not finite (best: {})", self.best_so_far())));
        }
        let (Some(best), Some(threshold)) = (self.best, self.stopping_threshold) else {
            return Ok(None);
        };
        let is_passed = if self.is_greater_better()? { best > threshold } else { best < threshold };
        Ok(is_passed
            .then(|| format!("{monitor} was {best}, which passes the threshold {threshold}")))
    }

    fn best_so_far(&self) -> String {
        self.best.map_or("none yet".to_owned(), |best| format!("{best:.3}"))
    }

    /// Takes in a value; why to stop, if it is time to.
    fn judge(&mut self, value: f64, is_greater: bool) -> Option<String> {
        let is_better = |a: f64, b: f64| if is_greater { a > b } else { a < b };
        let monitor = &self.monitor;
        self.is_not_finite = !value.is_finite();
        if self.check_finite && self.is_not_finite {
            return Some(format!("{monitor} is {value} (best: {})", self.best_so_far()));
        }
        if let Some(threshold) = self.stopping_threshold
            && is_better(value, threshold)
        {
            self.best = Some(value);
            return Some(format!("{monitor} is {value}, which passes the threshold {threshold}"));
        }
        let delta = if is_greater { self.min_delta } else { -self.min_delta };
        if self.best.is_some_and(|best| is_better(best + delta, value)) {
            self.waited += 1;
            return (self.waited >= self.patience).then(|| self.out_of_patience());
        }
        self.best = Some(value);
        self.waited = 0;
        None
    }
}

impl Checked for EarlyStoppingHook {
    fn check(&self) -> HookResult {
        self.is_greater_better().map(drop)
    }
}

#[hook(priority = "LOWEST")]
impl Hook for EarlyStoppingHook {
    /// Better now than after an epoch.
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        let known = runner.data().metric_names()?;
        match known.filter(|known| !known.contains(&self.monitor)) {
            Some(known) => self.is_missing(runner, known.iter().map(String::as_str)),
            None => Ok(()),
        }
    }

    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        if self.is_edited {
            let monitor = &self.monitor;
            runner.warn(&format!(
                "{monitor}, or its rule, is not what was monitored before the resume: counted anew"
            ));
        }
        match self.reason_to_stay()? {
            Some(reason) => Ok(runner
                .control()
                .stop(&format!("{reason}; the run had stopped for it before"))?),
            None => Ok(()),
        }
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        let Some(value) = metrics.get(&self.monitor) else {
            return self.is_missing(runner, metrics.iter().map(|(name, _)| name));
        };
        let is_greater = self.is_greater_better()?;
        match self.judge(value, is_greater) {
            Some(reason) => Ok(runner.control().stop(&reason)?),
            None => Ok(()),
        }
    }

    fn save_state(&self) -> Option<HookState> {
        let best = self.best.map(|best| best.to_string());
        let (monitor, greater) = (&self.monitor, self.is_greater_better().ok());
        let data = json!({ "waited": self.waited, "best": best, "monitor": monitor, "greater": greater,
            "not_finite": self.is_not_finite });
        Some(HookState { version: 1, data })
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        let is_same = |name: &str, now: Json| state.data[name].is_null() || state.data[name] == now;
        let rule = json!(self.is_greater_better().ok());
        if !is_same("monitor", json!(self.monitor)) || !is_same("greater", rule) {
            // A count of something else.
            self.is_edited = true;
            return Ok(());
        }
        self.waited = state.data["waited"].as_u64().unwrap_or_default();
        self.is_not_finite = state.data["not_finite"].as_bool().unwrap_or_default();
        self.best = state.data["best"].as_str().and_then(|best| best.parse().ok());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_plugin_api::testing::FakeRunner;

    fn hook(kwargs: Json) -> EarlyStoppingHook {
        EarlyStoppingHook::from_kwargs("EarlyStoppingHook", &kwargs).unwrap()
    }

    /// The number of validations after which it stops, and why.
    fn stops(hook: &mut EarlyStoppingHook, name: &'static str, values: &[f64]) -> (usize, String) {
        for (index, value) in values.iter().enumerate() {
            let mut run = FakeRunner::new().metrics([(name, *value)]);
            run.run_point(hook, HookPoint::AfterValEpoch, None).unwrap();
            if let Some(reason) = run.stop_reason() {
                return (index + 1, reason.to_owned());
            }
        }
        (0, String::new())
    }

    #[test]
    fn an_improvement_must_be_greater_than_min_delta() {
        let kwargs = json!({ "monitor": "mAP", "patience": 2, "min_delta": 0.1 });
        // MMEngine's rule: best + min_delta > value is no improvement; 0.5 + 0.1 > 0.6 is false in f64.
        let (count, reason) = stops(&mut hook(kwargs), "mAP", &[0.5, 0.55, 0.7, 0.75, 0.75, 0.9]);
        assert_eq!(count, 5);
        assert_eq!(reason, "mAP did not improve in 2 validations (best: 0.700)");
        let kwargs = json!({ "monitor": "loss", "patience": 2, "min_delta": 0.1 });
        assert_eq!(stops(&mut hook(kwargs), "loss", &[2.0, 1.95, 1.5, 1.45, 1.45]).0, 5);
    }

    #[test]
    fn a_threshold_and_a_value_that_is_not_finite_stop_at_once() {
        let kwargs = json!({ "monitor": "mAP", "stopping_threshold": 0.8 });
        assert_eq!(stops(&mut hook(kwargs), "mAP", &[0.1, 0.8, 0.81]).0, 3);
        assert_eq!(stops(&mut hook(json!({ "monitor": "mAP" })), "mAP", &[0.1, f64::NAN]).0, 2);
    }

    #[test]
    fn a_resumed_hook_goes_on_counting() {
        let kwargs = json!({ "monitor": "mAP", "patience": 3 });
        let mut first = hook(kwargs.clone());
        assert_eq!(stops(&mut first, "mAP", &[0.5, 0.5, 0.5]).0, 0);
        let mut resumed = hook(kwargs);
        resumed.load_state(first.save_state().unwrap()).unwrap();
        assert_eq!(stops(&mut resumed, "mAP", &[0.5]).0, 1);
    }

    #[test]
    fn another_metric_after_a_resume_is_counted_anew() {
        let kwargs = json!({ "monitor": "mAP", "patience": 2 });
        let mut first = hook(kwargs);
        assert_eq!(stops(&mut first, "mAP", &[0.9, 0.1]).0, 0);
        let mut other = hook(json!({ "monitor": "val_loss", "rule": "less", "patience": 2 }));
        other.load_state(first.save_state().unwrap()).unwrap();
        let mut run = FakeRunner::new();
        run.run_point(&mut other, HookPoint::BeforeTrain, None).unwrap();
        assert!(run.logged()[0].contains("counted anew"), "{:?}", run.logged());
        assert_eq!(stops(&mut other, "val_loss", &[23.0, 10.0]).0, 0);
    }

    #[test]
    fn a_missing_metric_is_a_warning_or_an_error() {
        let mut run = FakeRunner::new().metrics([("coco/bbox_mAP", 0.5)]);
        let mut lenient = hook(json!({ "monitor": "mAP" }));
        run.run_point(&mut lenient, HookPoint::AfterValEpoch, None).unwrap();
        assert_eq!(run.logged(), ["monitor: no metric \"mAP\" (the metrics are coco/bbox_mAP)"]);
        let mut strict = hook(json!({ "monitor": "mAP", "strict": true }));
        assert!(run.run_point(&mut strict, HookPoint::AfterValEpoch, None).is_err());
        let unknown = hook(json!({ "monitor": "speed" }));
        assert!(unknown.check().is_err());
    }
}
