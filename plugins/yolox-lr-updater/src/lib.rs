//! `YOLOXLrUpdaterHook`: the learning rate of YOLOX as MMDetection 2.x sets it. Knows nothing of optimizers.
//!
//! Source: `YOLOXLrUpdaterHook` in `mmdet/core/hook/yolox_lrupdater_hook.py` of MMDetection 2.28, and its bases
//! `CosineAnnealingLrUpdaterHook` and `LrUpdaterHook` in `mmcv/runner/hooks/lr_updater.py` of MMCV 1.7. Where we differ:
//! with `by_epoch` the constant part and the warm-up are counted in epochs like everything else, where 2.x subtracts
//! iterations from epochs and so is always in the constant part. `reference.txt` is what 2.28's own code sets.

mod schedule;

use schedule::{Moment, Schedule};
use snaphook_plugin_api::prelude::*;

/// Sets the learning rate of every group before each iteration: warm-up, cosine, constant in the last epochs.
///
/// The older way, for configs of MMDetection 2: `param_scheduler` with `QuadraticWarmupLR`, `CosineAnnealingLR` and
/// `ConstantLR` is what YOLOX uses since MMDetection 3, and must be absent here. The arguments are those of `lr_config`
/// with `policy='YOLOX'`. A resumed run goes on from the configured rates; one that was
/// edited since holds.
#[derive(Kwargs)]
pub struct YOLOXLrUpdaterHook {
    /// How many epochs at the end have the lowest rate.
    #[kwarg(required, min = 0)]
    num_last_epochs: u64,
    /// Whether the rate changes after epochs, and not after iterations.
    #[kwarg(default = true)]
    by_epoch: bool,
    /// `constant`, `linear` or `exp`: all of them grow with the square of the iteration here. None: no warm-up.
    #[kwarg]
    warmup: Option<String>,
    /// Length of the warm-up, in iterations, or in epochs with `warmup_by_epoch`.
    #[kwarg(default = 0)]
    warmup_iters: u64,
    /// Rate at the end of the warm-up, as a share of the configured one.
    #[kwarg(default = 0.1, min = 0.0, max = 1.0)]
    warmup_ratio: f64,
    /// Whether `warmup_iters` counts epochs.
    #[kwarg(default = false)]
    warmup_by_epoch: bool,
    /// The lowest rate; either this or `min_lr_ratio`.
    #[kwarg(min = 0.0)]
    min_lr: Option<f64>,
    /// The lowest rate as a share of the configured one.
    #[kwarg(min = 0.0, max = 1.0)]
    min_lr_ratio: Option<f64>,
    rates: Option<Rates>,
    /// Those of the run that was resumed, until the first iteration.
    resumed: Option<Rates>,
}

/// What the rate of each group is made of.
struct Rates {
    /// `lr` of the optimizer in the config.
    configured: Json,
    /// Of each group before the hook's first change.
    initial: Vec<f64>,
    /// Of each group by the hook's last change: the optimizer's own in a checkpoint of that time.
    last: Vec<f64>,
}

/// What configs call their warm-up.
const FORMS: [&str; 3] = ["constant", "linear", "exp"];

// Before RuntimeInfoHook, so that the log shows the rate that the iteration is trained with.
#[hook(priority = "HIGHEST", cost_us = 100)]
impl Hook for YOLOXLrUpdaterHook {
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        let wrong = |what: String| Err(HookError::fatal(format!("YOLOXLrUpdaterHook: {what}")));
        if self.min_lr.is_some() == self.min_lr_ratio.is_some() {
            return wrong("expected either min_lr or min_lr_ratio".into());
        }
        if let Some(found) = self.warmup.as_ref().filter(|form| !FORMS.contains(&form.as_str())) {
            return wrong(format!("warmup: expected one of {}, found {found}", FORMS.join(", ")));
        }
        if self.warmup.is_some() && (self.warmup_iters == 0 || self.warmup_ratio == 0.0) {
            return wrong("warmup: expected warmup_iters and warmup_ratio above 0".into());
        }
        let schedulers = &runner.run().config()?["param_scheduler"];
        if schedulers.as_array().map_or(!schedulers.is_null(), |list| !list.is_empty()) {
            return wrong(
                "expected no param_scheduler beside it, found one (both would set the learning rate)"
                    .into(),
            );
        }
        Ok(())
    }

    fn before_train_iter(&mut self, runner: &mut Runner, _: &Batch) -> HookResult {
        let mut rates = match self.rates.take() {
            Some(rates) => rates,
            None => {
                let configured = runner.run().config()?["optim_wrapper"]["optimizer"]["lr"].clone();
                let groups = runner.optimizer().groups()?;
                let now = groups.iter().filter_map(|group| group["lr"].as_f64()).collect();
                Rates::at_start(configured, now, self.resumed.take())
            }
        };
        let schedule = self.schedule();
        let progress = runner.progress();
        let moment = Moment {
            epoch: progress.epoch,
            max_epochs: progress.max_epochs,
            iter: progress.iter,
            max_iters: progress.max_iters,
            epoch_length: progress.epoch_length,
        };
        rates.last = rates.initial.iter().map(|rate| schedule.rate(*rate, &moment)).collect();
        let rates = self.rates.insert(rates);
        for (group, rate) in rates.last.iter().enumerate() {
            runner.optimizer().set(group, "lr", *rate)?;
        }
        Ok(())
    }

    fn save_state(&self) -> Option<HookState> {
        let Rates { configured, initial, last } = self.rates.as_ref().or(self.resumed.as_ref())?;
        let data = json!({ "configured": configured, "initial": initial, "last": last });
        Some(HookState { version: 1, data })
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        let numbers = |key: &str| -> Option<Vec<f64>> {
            state.data[key].as_array()?.iter().map(Json::as_f64).collect()
        };
        let (Some(initial), Some(last)) = (numbers("initial"), numbers("last")) else {
            return Err(HookError::new("the state in the checkpoint has no rates"));
        };
        let configured = state.data["configured"].clone();
        (self.rates, self.resumed) = (None, Some(Rates { configured, initial, last }));
        Ok(())
    }
}

impl Rates {
    /// The optimizer of a resumed run has the rates of the last change, but those of the config where they were edited since.
    fn at_start(configured: Json, now: Vec<f64>, resumed: Option<Rates>) -> Rates {
        let resumed = resumed.filter(|resumed| resumed.configured.as_f64() == configured.as_f64());
        let initial = |(group, now): (usize, &f64)| {
            let kept = resumed.as_ref().and_then(|resumed| {
                let (initial, last) = (resumed.initial.get(group)?, resumed.last.get(group)?);
                is_same(*last, *now).then_some(*initial)
            });
            kept.unwrap_or(*now)
        };
        let initial = now.iter().enumerate().map(initial).collect();
        Rates { configured, initial, last: now }
    }
}

/// As far as text keeps a number.
fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-12 * one.abs()
}

impl YOLOXLrUpdaterHook {
    fn schedule(&self) -> Schedule {
        Schedule {
            num_last_epochs: self.num_last_epochs,
            by_epoch: self.by_epoch,
            has_warmup: self.warmup.is_some(),
            warmup: self.warmup_iters,
            warmup_ratio: self.warmup_ratio,
            warmup_by_epoch: self.warmup_by_epoch,
            min_lr: self.min_lr,
            min_lr_ratio: self.min_lr_ratio.unwrap_or(0.0),
        }
    }
}

export_plugin!(YOLOXLrUpdaterHook);

#[cfg(test)]
mod tests {
    use super::YOLOXLrUpdaterHook;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::services::ids;
    use snaphook_plugin_api::testing::FakeRunner;

    fn hook(kwargs: Json) -> YOLOXLrUpdaterHook {
        YOLOXLrUpdaterHook::from_kwargs("YOLOXLrUpdaterHook", &kwargs).unwrap()
    }

    #[test]
    fn every_group_follows_its_own_rate() {
        let groups = json!([{ "lr": 0.02, "initial_lr": null }, { "lr": 0.04 }]);
        let mut run = FakeRunner::new().max_epochs(10).max_iters(1000).iter(990).epoch(9).answer(
            ids::OPTIMIZER,
            "groups",
            groups,
        );
        let mut hook =
            hook(json!({ "num_last_epochs": 1, "min_lr_ratio": 0.05, "by_epoch": false }));
        run.run_point(&mut hook, HookPoint::BeforeTrainIter, Some(90)).unwrap();
        let set = run.calls_of(ids::OPTIMIZER, "set");
        assert_eq!(set[0], &json!({ "group": 0, "name": "lr", "value": 0.02 * 0.05 }));
        assert_eq!(set[1], &json!({ "group": 1, "name": "lr", "value": 0.04 * 0.05 }));
    }

    /// The rate of the first group in the last epoch, after a resume with these rates in config and optimizer.
    fn resumed(state: HookState, configured: f64, now: f64) -> f64 {
        let mut run = FakeRunner::new()
            .config(json!({ "optim_wrapper": { "optimizer": { "lr": configured } } }))
            .max_epochs(10)
            .max_iters(1000)
            .iter(990)
            .epoch(9)
            .answer(ids::OPTIMIZER, "groups", json!([{ "lr": now }]));
        let mut hook = hook(json!({ "num_last_epochs": 1, "min_lr_ratio": 0.5 }));
        hook.load_state(state).unwrap();
        assert!(hook.save_state().is_some(), "a save before the first iteration keeps it");
        run.run_point(&mut hook, HookPoint::BeforeTrainIter, Some(90)).unwrap();
        run.calls_of(ids::OPTIMIZER, "set")[0]["value"].as_f64().unwrap()
    }

    #[test]
    fn a_resume_keeps_the_rate_of_the_start_and_an_edited_one_holds() {
        let state = || HookState {
            version: 1,
            data: json!({ "configured": 0.01, "initial": [0.01], "last": [0.005] }),
        };
        assert_eq!(resumed(state(), 0.01, 0.005), 0.005, "of 0.01, and not of the lowered one");
        assert_eq!(resumed(state(), 0.02, 0.02), 0.01, "an edited one");
        assert_eq!(resumed(state(), 0.005, 0.005), 0.0025, "an edited one that is the lowered one");
        assert_eq!(resumed(state(), 0.01, 0.03), 0.015, "one that was scaled anew");
    }

    #[test]
    fn contradictions_are_refused_before_the_run() {
        let refused = |kwargs: Json, config: Json, expected: &str| {
            let mut run = FakeRunner::new().config(config);
            let error = run.run_point(&mut hook(kwargs), HookPoint::BeforeRun, None).unwrap_err();
            assert!(error.is_fatal() && error.message.contains(expected), "{}", error.message);
        };
        let fine = json!({ "num_last_epochs": 1, "min_lr": 0.0 });
        refused(json!({ "num_last_epochs": 1 }), json!({}), "either min_lr or min_lr_ratio");
        let both = json!({ "num_last_epochs": 1, "min_lr": 0.0, "min_lr_ratio": 0.1 });
        refused(both, json!({}), "either min_lr or min_lr_ratio");
        let no_length = json!({ "num_last_epochs": 1, "min_lr": 0.0, "warmup": "exp" });
        refused(no_length, json!({}), "warmup_iters");
        let unknown = json!({ "num_last_epochs": 1, "min_lr": 0.0, "warmup": "sudden" });
        refused(unknown, json!({}), "found sudden");
        let config = json!({ "param_scheduler": [{ "type": "LinearLR" }] });
        refused(fine.clone(), config, "no param_scheduler");
        let mut run = FakeRunner::new().config(json!({ "param_scheduler": [] }));
        run.run_point(&mut hook(fine), HookPoint::BeforeRun, None).unwrap();
    }
}
