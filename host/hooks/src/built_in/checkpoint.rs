//! Decides when a checkpoint is saved and which old ones may go. Knows nothing of how one is written.

use std::path::{Path, PathBuf};

use serde_json::json;
use snaphook_plugin_api::prelude::*;

use super::direction::{DirectionKeys, check_rules, rule_for};
use super::registry::Checked;
use super::{file_template, published, upload};

/// Saves checkpoints at intervals, the best by a metric, and keeps only the newest ones.
///
/// Source: `mmengine/hooks/checkpoint_hook.py`. Better here: an old checkpoint is removed only after
/// the new one is whole on disk, and the best one can be resumed (it has the optimizer).
#[derive(Kwargs)]
pub struct CheckpointHook {
    /// Epochs (or iterations) between checkpoints; -1 saves none at intervals. A config that does not name the hook
    /// at all has it with 1.
    #[kwarg(default = -1, min = -1)]
    interval: i64,
    /// Whether `interval` counts epochs.
    #[kwarg(default = true)]
    by_epoch: bool,
    /// Whether the optimizer's state is saved.
    #[kwarg(default = true)]
    save_optimizer: bool,
    /// Whether the schedules' state is saved.
    #[kwarg(default = true)]
    save_param_scheduler: bool,
    /// How many checkpoints of intervals are kept; -1 keeps all.
    #[kwarg(default = -1, min = -1)]
    max_keep_ckpts: i64,
    /// Whether the last epoch is saved whatever the interval.
    #[kwarg(default = true)]
    save_last: bool,
    /// A metric (`coco/bbox_mAP`), a list of metrics, or `auto` for the first one; none by default.
    #[kwarg]
    save_best: Option<Json>,
    /// `greater`, `less`, a list of them, or none: told from the metric's name.
    #[kwarg]
    rule: Option<Json>,
    /// Names of metrics of which more is better, instead of MMEngine's (`acc`, `mAP`, …).
    #[kwarg]
    greater_keys: Option<Json>,
    /// Names of metrics of which less is better, instead of MMEngine's (`loss`).
    #[kwarg]
    less_keys: Option<Json>,
    /// The first epoch (or iteration) that is saved.
    #[kwarg(default = 0)]
    save_begin: u64,
    /// Names of checkpoints, such as `snapshot_{:04d}`; `epoch_{}` or `iter_{}` without it.
    #[kwarg]
    filename_tmpl: Option<String>,
    /// Checkpoints go into a folder of the work folder's name below this one; `last_checkpoint` stays in the work folder.
    #[kwarg]
    out_dir: Option<String>,
    /// Parts of the last and the best checkpoint that are published at the end (`meta`, `state_dict`, ...), a name or a list.
    #[kwarg]
    published_keys: Option<Json>,
    /// Taken for MMEngine's configs: only local folders are written, so that it must be None.
    #[kwarg]
    file_client_args: Option<Json>,
    /// Taken for MMEngine's configs: only local folders are written, so that it must be None or `local`.
    #[kwarg]
    backend_args: Option<Json>,
    /// The folder that `out_dir` means.
    folder: Option<PathBuf>,
    /// Where this hook's checkpoints lie, once training has begun.
    home: Option<PathBuf>,
    /// Iterations that were finished at the last save of an interval.
    saved_iter: Option<u64>,
    /// Whether the training has come to its end.
    is_over: bool,
    kept: Vec<PathBuf>,
    /// What this hook asked for and is not on disk yet: its own state must count it, and what others save is not its.
    asked: Vec<Asked>,
    best: Vec<Best>,
}

/// A checkpoint that is being saved.
struct Asked {
    name: PathBuf,
    /// The metric that it is the best of; none for one of an interval.
    metric: Option<String>,
}

/// The best value of a metric so far and where it was saved.
#[derive(Clone, Default)]
struct Best {
    metric: String,
    greater: bool,
    score: Option<f64>,
    path: Option<PathBuf>,
}

impl CheckpointHook {
    fn is_due(&self, finished: u64, is_last: bool) -> bool {
        let at_interval = self.interval > 0
            && finished >= self.save_begin
            && (finished - self.save_begin).is_multiple_of(self.interval as u64);
        at_interval || (self.save_last && is_last)
    }

    fn save(&mut self, runner: &mut Runner, name: String, reason: Json) -> HookResult {
        let mut options = json!({
            "name": name,
            "optimizer": self.save_optimizer,
            "schedules": self.save_param_scheduler,
        });
        if let Some(folder) = &self.folder {
            options["folder"] = json!(folder);
        }
        // Only the first rank hears when it is on disk.
        if runner.distributed().rank() == 0 {
            let metric = reason["best"].as_str().map(str::to_owned);
            self.asked.push(Asked { name: PathBuf::from(name), metric });
        }
        if let (Some(options), Some(reason)) = (options.as_object_mut(), reason.as_object()) {
            options.extend(reason.clone());
        }
        Ok(runner.checkpoints().request_save(options)?)
    }

    fn name(&self, unit: &str, finished: u64) -> Result<String, HookError> {
        match &self.filename_tmpl {
            Some(template) => file_template::filled(template, finished),
            None => Ok(format!("{unit}_{finished}")),
        }
    }

    /// The metrics that `save_best` names; none with `auto`.
    fn named_metrics(&self) -> Result<Vec<String>, HookError> {
        let text = |name: &Json| name.as_str().map(str::to_owned);
        match &self.save_best {
            None | Some(Json::Null) => Ok(Vec::new()),
            Some(Json::String(auto)) if auto == "auto" => Ok(Vec::new()),
            Some(Json::String(name)) => Ok(vec![name.clone()]),
            Some(Json::Array(names)) => Ok(names.iter().filter_map(text).collect()),
            Some(other) => Err(HookError::fatal(format!(
                "save_best: expected a metric's name or a list of names, found {other}"
            ))),
        }
    }

    fn check_number_of_rules(&self) -> HookResult {
        let rules = self.rule.as_ref().and_then(Json::as_array).map_or(1, Vec::len);
        let is_auto = self.save_best.as_ref().is_some_and(|auto| auto == "auto");
        let metrics = if is_auto { 1 } else { self.named_metrics()?.len() };
        if rules == 1 || rules == metrics {
            return Ok(());
        }
        Err(HookError::fatal(format!(
            "rule: expected one rule, or one for each of the {metrics} metrics of save_best, found {rules}"
        )))
    }

    fn indicators(&self, metrics: &Metrics) -> Result<Vec<Best>, HookError> {
        let mut names = self.named_metrics()?;
        if self.save_best.as_ref().is_some_and(|auto| auto == "auto") {
            names.extend(metrics.iter().next().map(|(name, _)| name.to_owned()));
        }
        let keys = DirectionKeys::read(self.greater_keys.as_ref(), self.less_keys.as_ref())?;
        let best = |(index, metric): (usize, String)| {
            let rule = rule_for(self.rule.as_ref(), index);
            let greater = keys.is_greater_better("save_best", &metric, rule)?;
            Ok(Best { metric, greater, ..Best::default() })
        };
        names.into_iter().enumerate().map(best).collect()
    }

    /// Makes the folder of `out_dir`, if there is one.
    fn open_folder(&mut self, runner: &mut Runner) -> HookResult {
        if let Some(out_dir) = &self.out_dir {
            let folder = upload::below(out_dir, &runner.run().info()?.work_dir)?;
            self.folder = Some(runner.checkpoints().use_folder(folder)?);
        }
        Ok(())
    }

    /// The path of a checkpoint of that name, for the host.
    fn place(&self, name: &Path) -> PathBuf {
        self.folder.as_ref().map_or_else(|| name.to_owned(), |folder| folder.join(name))
    }

    fn forget_old(&mut self, runner: &mut Runner) -> HookResult {
        while self.max_keep_ckpts > 0 && self.kept.len() > self.max_keep_ckpts as usize {
            let oldest = self.kept.remove(0);
            let oldest = self.place(&oldest);
            runner.checkpoints().remove(&oldest)?;
        }
        Ok(())
    }
}

fn no_metric(name: &str, known: &[String]) -> HookError {
    let known = known.join(", ");
    HookError::fatal(format!("save_best: no metric \"{name}\" (the metrics are {known})"))
}

/// Checkpoints are known by their names, so that a work folder may be moved or copied.
fn file_name(path: &Path) -> PathBuf {
    path.file_name().map_or_else(|| path.to_owned(), PathBuf::from)
}

impl Checked for CheckpointHook {
    fn check(&self) -> HookResult {
        upload::check("file_client_args", self.file_client_args.as_ref())?;
        upload::check("backend_args", self.backend_args.as_ref())?;
        if let Some(out_dir) = &self.out_dir {
            upload::below(out_dir, Path::new(""))?;
        }
        published::parts(self.published_keys.as_ref())?;
        self.name("epoch", 1)?;
        check_rules(self.rule.as_ref())?;
        self.check_number_of_rules()?;
        // A metric of an unknown direction is refused here, not after the first validation.
        let is_auto = self.save_best.as_ref().is_some_and(|names| names == "auto");
        if is_auto { Ok(()) } else { self.indicators(&Metrics::default()).map(drop) }
    }
}

#[hook(priority = "VERY_LOW")]
impl Hook for CheckpointHook {
    /// Better now than after an epoch.
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        let Some(known) = runner.data().metric_names()? else { return Ok(()) };
        let wanted = self.named_metrics()?;
        match wanted.iter().find(|metric| known.iter().all(|name| name != *metric)) {
            Some(metric) => Err(no_metric(metric, &known)),
            None => Ok(()),
        }
    }

    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        self.open_folder(runner)?;
        let home = match &self.folder {
            Some(folder) => folder.clone(),
            None => runner.checkpoints().folder()?,
        };
        runner.info(&format!("Checkpoints will be saved to {}.", home.display()));
        self.home = Some(home);
        // Where a run is resumed is saved already.
        self.saved_iter = Some(runner.iter()).filter(|iter| *iter > 0);
        self.forget_old(runner)
    }

    /// A run that a hook stopped has a last moment as well.
    fn after_train(&mut self, runner: &mut Runner) -> HookResult {
        self.is_over = true;
        let (epoch, iter) = (runner.epoch(), runner.iter());
        let ended_early = match self.by_epoch {
            true => epoch < runner.max_epochs(),
            false => iter < runner.max_iters(),
        };
        if !self.save_last || !ended_early || iter == 0 || self.saved_iter == Some(iter) {
            return Ok(());
        }
        let is_whole_epoch = iter == epoch * runner.epoch_length();
        let name = match (self.by_epoch, is_whole_epoch) {
            (true, true) => self.name("epoch", epoch)?,
            // A template for epochs would give it the name of one.
            (true, false) => format!("iter_{iter}"),
            (false, _) => self.name("iter", iter)?,
        };
        runner.info(&format!("Saving checkpoint at {iter} iterations, where the training stopped"));
        self.save(runner, name, json!({ "last": true }))
    }

    fn after_run(&mut self, runner: &mut Runner) -> HookResult {
        let keys = published::parts(self.published_keys.as_ref())?;
        if keys.is_empty() || !self.is_over || runner.distributed().rank() > 0 {
            return Ok(());
        }
        let best = self.best.iter().filter_map(|best| best.path.as_ref());
        let chosen: Vec<_> = self.kept.last().into_iter().chain(best).cloned().collect();
        for path in chosen {
            let published = runner.checkpoints().publish(self.place(&path), &keys)?;
            let name = path.display();
            runner.info(&format!("Checkpoint {name} is published as {}", published.display()));
        }
        Ok(())
    }

    fn after_train_iter(&mut self, runner: &mut Runner, _: &TrainStep) -> HookResult {
        let finished = runner.iter() + 1;
        if self.by_epoch || !self.is_due(finished, runner.is_last_train_iter()) {
            return Ok(());
        }
        runner.info(&format!("Saving checkpoint at {finished} iterations"));
        self.saved_iter = Some(finished);
        let name = self.name("iter", finished)?;
        self.save(runner, name, json!({ "iter": finished, "last": true }))
    }

    fn after_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        let finished = runner.epoch() + 1;
        // The one epoch of a training by iterations that had nothing left to do is no new moment.
        let is_saved = finished > runner.max_epochs() && self.saved_iter == Some(runner.iter());
        if !self.by_epoch || is_saved || !self.is_due(finished, runner.is_last_train_epoch()) {
            return Ok(());
        }
        runner.info(&format!("Saving checkpoint at {finished} epochs"));
        self.saved_iter = Some(runner.iter());
        let name = self.name("epoch", finished)?;
        self.save(runner, name, json!({ "epoch": finished, "last": true }))
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        for candidate in self.indicators(metrics)? {
            let Some(score) = metrics.get(&candidate.metric) else {
                let known: Vec<_> = metrics.iter().map(|(name, _)| name.to_owned()).collect();
                return Err(no_metric(&candidate.metric, &known));
            };
            let known = self.best.iter().position(|best| best.metric == candidate.metric);
            let position = known.unwrap_or(self.best.len());
            if known.is_none() {
                self.best.push(candidate.clone());
            }
            let best = &mut self.best[position];
            if candidate.greater != best.greater {
                let name = &candidate.metric;
                runner.warn(&format!(
                    "save_best: {name} has another rule than before the resume; its best is looked for anew, and the old \
                     checkpoint stays"
                ));
                *best = candidate;
            }
            let is_better =
                best.score.is_none_or(|old| if best.greater { score > old } else { score < old });
            if !is_better || score.is_nan() || runner.max_epochs() == 0 {
                continue;
            }
            best.score = Some(score);
            let (unit, finished) =
                if self.by_epoch { ("epoch", runner.epoch()) } else { ("iter", runner.iter()) };
            let metric = self.best[position].metric.clone();
            let name = format!("best_{metric}_{}", self.name(unit, finished)?).replace('/', "_");
            runner.info(&format!(
                "The best checkpoint with {score:.4} {metric} at {finished} {unit} is saved to {name}."
            ));
            self.save(runner, name, json!({ "best": metric }))?;
        }
        Ok(())
    }

    fn after_save_checkpoint(
        &mut self,
        runner: &mut Runner,
        saved: &SavedCheckpoint,
    ) -> HookResult {
        let is_elsewhere = self.home.as_ref().is_some_and(|home| saved.path.parent() != Some(home));
        // What an interruption or a failure saved takes no regular one's place: the resumed run removes it.
        if is_elsewhere || saved.details["is_interim"] == true {
            return Ok(());
        }
        let name = file_name(&saved.path);
        let metric = saved.details["best"].as_str();
        let is_it = |asked: &Asked| asked.name == name && asked.metric.as_deref() == metric;
        let Some(place) = self.asked.iter().position(is_it) else { return Ok(()) };
        // The next one may be on its way already.
        self.asked.remove(place);
        match metric {
            None => {
                self.kept.retain(|kept| *kept != name);
                self.kept.push(name);
                self.forget_old(runner)
            }
            Some(metric) => {
                let Some(best) = self.best.iter_mut().find(|best| best.metric == metric) else {
                    return Ok(());
                };
                let old = best.path.replace(name.clone());
                match old {
                    Some(old) if old != name => {
                        Ok(runner.checkpoints().remove(self.place(&old))?)
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn save_state(&self) -> Option<HookState> {
        let newest = |metric: &str| {
            let own = self.asked.iter().filter(|asked| asked.metric.as_deref() == Some(metric));
            own.map(|asked| &asked.name).next_back()
        };
        let best = |best: &Best| {
            let path = newest(&best.metric).or(best.path.as_ref());
            json!({ "metric": best.metric, "greater": best.greater, "score": best.score, "path": path })
        };
        let best: Vec<_> = self.best.iter().map(best).collect();
        let asked = self.asked.iter().filter(|asked| asked.metric.is_none());
        let asked = asked.map(|asked| &asked.name).filter(|name| !self.kept.contains(name));
        let kept: Vec<_> = self.kept.iter().chain(asked).collect();
        Some(HookState { version: 1, data: json!({ "kept": kept, "best": best }) })
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        let text = |value: &Json| value.as_str().map(str::to_owned);
        let name = |value: &Json| value.as_str().map(|path| file_name(Path::new(path)));
        self.kept = state.data["kept"]
            .as_array()
            .map_or_else(Vec::new, |list| list.iter().filter_map(name).collect());
        let best = |entry: &Json| {
            Some(Best {
                metric: text(&entry["metric"])?,
                greater: entry["greater"].as_bool()?,
                score: entry["score"].as_f64(),
                path: name(&entry["path"]),
            })
        };
        self.best = state.data["best"]
            .as_array()
            .map_or_else(Vec::new, |list| list.iter().filter_map(best).collect());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_plugin_api::testing::FakeRunner;

    fn hook(kwargs: Json) -> CheckpointHook {
        CheckpointHook::from_kwargs("CheckpointHook", &kwargs).unwrap()
    }

    #[test]
    fn checkpoints_have_the_names_that_the_config_gives_them() {
        let mut hook =
            hook(json!({ "interval": 1, "filename_tmpl": "shot_{:03d}.pth", "save_best": "mAP" }));
        let mut run = FakeRunner::new().max_epochs(5).metrics([("mAP", 0.5)]);
        run.run_point(&mut hook, HookPoint::AfterTrainEpoch, None).unwrap();
        run.set_progress(|progress| progress.epoch = 1);
        run.run_point(&mut hook, HookPoint::AfterValEpoch, None).unwrap();
        let saved = run.calls_of("snaphook.checkpoint/1", "save");
        let names: Vec<_> = saved.iter().map(|call| call["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["shot_001", "best_mAP_shot_001"]);
    }

    #[test]
    fn another_rule_after_a_resume_holds_and_keeps_the_old_checkpoint() {
        let validate = |hook: &mut CheckpointHook, score: f64| {
            let mut run = FakeRunner::new().max_epochs(5).metrics([("mAP", score)]);
            run.run_point(hook, HookPoint::AfterValEpoch, None).unwrap();
            let saves = run.calls_of("snaphook.checkpoint/1", "save").len();
            (saves, run.logged().iter().any(|line| line.contains("another rule")))
        };
        let mut first = hook(json!({ "interval": 1, "save_best": "mAP" }));
        assert_eq!(validate(&mut first, 0.5), (1, false));
        let mut other = hook(json!({ "interval": 1, "save_best": "mAP", "rule": "less" }));
        other.load_state(first.save_state().unwrap()).unwrap();
        assert_eq!(validate(&mut other, 0.6), (1, true));
        assert!(other.best.iter().all(|best| best.path.is_none()));
        assert_eq!(validate(&mut other, 0.7), (0, false));
        assert_eq!(validate(&mut other, 0.1), (1, false));
    }

    #[test]
    fn checkpoints_of_another_folder_are_not_this_hooks() {
        let info = json!({ "work_dir": "/w/tiny", "experiment_name": "tiny" });
        let mut run = FakeRunner::new()
            .max_epochs(5)
            .answer("snaphook.run/1", "info", info)
            .answer("snaphook.checkpoint/1", "use_folder", json!("/s/tiny"));
        let mut hook = hook(json!({ "interval": 1, "max_keep_ckpts": 1, "out_dir": "/s" }));
        for point in [HookPoint::BeforeTrain, HookPoint::AfterTrainEpoch] {
            run.run_point(&mut hook, point, None).unwrap();
        }
        assert_eq!(run.calls_of("snaphook.checkpoint/1", "use_folder")[0]["path"], "/s/tiny");
        assert_eq!(run.calls_of("snaphook.checkpoint/1", "save")[0]["folder"], "/s/tiny");
        let interim = json!({ "path": "/s/tiny/emergency_iter_7", "is_interim": true });
        run = run.payload(HookPoint::AfterSaveCheckpoint, interim);
        run.run_point(&mut hook, HookPoint::AfterSaveCheckpoint, None).unwrap();
        run.set_progress(|progress| progress.epoch = 1);
        run.run_point(&mut hook, HookPoint::AfterTrainEpoch, None).unwrap();
        // Another hook's in the same folder, one in another folder, and its own two.
        let saved = ["/s/tiny/others", "/s/tiny/epoch_1", "/w/tiny/epoch_2", "/s/tiny/epoch_2"];
        for path in saved {
            run = run.payload(HookPoint::AfterSaveCheckpoint, json!({ "path": path }));
            run.run_point(&mut hook, HookPoint::AfterSaveCheckpoint, None).unwrap();
        }
        let removed = run.calls_of("snaphook.checkpoint/1", "remove");
        let removed: Vec<_> = removed.iter().map(|call| &call["path"]).collect();
        assert_eq!(removed, ["/s/tiny/epoch_1"]);
    }

    #[test]
    fn what_this_version_does_not_do_is_refused_before_the_run() {
        for kwargs in [
            json!({ "out_dir": "s3://bucket" }),
            json!({ "published_keys": 3 }),
            json!({ "published_keys": ["state_dict", "weights"] }),
            json!({ "backend_args": { "backend": "petrel" } }),
            json!({ "filename_tmpl": "last.pth" }),
            json!({ "rule": "smaller" }),
            json!({ "save_best": "foo" }),
        ] {
            let key = kwargs.as_object().unwrap().keys().next().unwrap().clone();
            assert!(hook(kwargs).check().unwrap_err().message.starts_with(&key));
        }
        let nothing = json!({ "out_dir": null, "published_keys": null, "backend_args": null });
        hook(nothing).check().unwrap();
    }
}
