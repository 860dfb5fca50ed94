//! Traces a stretch of the run, for Chrome or Perfetto. Knows nothing of how times are measured.

use snaphook_plugin_api::OperatorTotal;
use snaphook_plugin_api::prelude::*;

use super::registry::Checked;

/// Writes a trace of the first epoch, or of the first iterations: iterations, phases (data, forward, backward,
/// optimizer, hooks, evaluation, checkpoint), every call of a hook, and every operator of libtorch.
///
/// Open it in `chrome://tracing` or at ui.perfetto.dev. Source: `mmengine/hooks/profiler_hook.py`; without
/// `json_trace_path` the trace is `trace.json` in the run's folder, where MMEngine writes none. Kernels of a GPU, stacks,
/// memory and operations of operators are not in it; what asks for them is told in a warning.
#[derive(Kwargs)]
pub struct ProfilerHook {
    /// Whether `profile_times` counts epochs; then it must be 1.
    #[kwarg(default = true)]
    by_epoch: bool,
    /// How many epochs (or iterations) are traced.
    #[kwarg(default = 1, min = 1)]
    profile_times: u64,
    /// Whether libtorch's operators are traced, as the CPU sees them.
    #[kwarg(default = true)]
    activity_with_cpu: bool,
    /// Kernels of the GPU: not in this version.
    #[kwarg(default = false)]
    activity_with_cuda: bool,
    /// `dict(skip_first=, wait=, warmup=, active=)` in iterations: the trace begins after the first three and ends
    /// after `active`.
    #[kwarg]
    schedule: Option<Json>,
    /// `dict(type='log_trace', sort_by='self_cpu_time_total', row_limit=10)` logs tables of phases and operators; `dict(type='tb_trace', dir_name=, worker_name=)` names the
    /// trace as TensorBoard's profiler wants it.
    #[kwarg]
    on_trace_ready: Option<Json>,
    /// Whether the trace tells the shapes of operators' inputs.
    #[kwarg(default = false)]
    record_shapes: bool,
    /// Memory of operators: not in this version.
    #[kwarg(default = false)]
    profile_memory: bool,
    /// Source lines of operators: not in this version.
    #[kwarg(default = false)]
    with_stack: bool,
    /// Operations of operators: not in this version.
    #[kwarg(default = false)]
    with_flops: bool,
    /// The file; a relative path is one in the run's folder.
    #[kwarg]
    json_trace_path: Option<String>,
    is_closed: bool,
    first_iter: u64,
    window: Option<(u64, u64)>,
}

impl ProfilerHook {
    /// The iterations that `schedule` means.
    fn window(&self) -> Result<Option<(u64, u64)>, HookError> {
        self.schedule.as_ref().filter(|schedule| !schedule.is_null()).map(window).transpose()
    }

    fn fit(&self, runner: &Runner) -> HookResult {
        let (most, unit) = match self.by_epoch {
            true => (runner.max_epochs(), "epochs"),
            false => (runner.max_iters(), "iterations"),
        };
        if self.profile_times > most {
            return Err(HookError::fatal(format!(
                "profile_times: expected at most the run's {most} {unit}, found {}",
                self.profile_times
            )));
        }
        Ok(())
    }

    fn what_is_missing(&self) -> Vec<&'static str> {
        let asked = [
            (self.activity_with_cuda, "activity_with_cuda"),
            (self.profile_memory, "profile_memory"),
            (self.with_stack, "with_stack"),
            (self.with_flops, "with_flops"),
        ];
        asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, name)| name).collect()
    }

    fn start(&self, runner: &mut Runner) -> HookResult {
        if self.activity_with_cpu {
            runner.profile().start_with_operators(self.record_shapes)?;
        } else {
            runner.profile().start()?;
        }
        Ok(())
    }

    fn file(&self, runner: &mut Runner) -> Result<String, HookError> {
        if let Some(path) = &self.json_trace_path {
            return Ok(path.clone());
        }
        let ready = self.on_trace_ready.as_ref();
        if trace_type(ready)? != Some("tb_trace") {
            return Ok("trace.json".to_owned());
        }
        let text = |key: &str| ready.and_then(|ready| ready[key].as_str()).map(str::to_owned);
        let info = runner.run().info()?;
        let folder = text("dir_name").unwrap_or_else(|| "tf_tracing_logs".to_owned());
        let worker = text("worker_name").unwrap_or(info.experiment_name);
        Ok(format!("{folder}/{worker}.{}.pt.trace.json", info.timestamp))
    }

    fn close(&mut self, runner: &mut Runner) -> HookResult {
        self.is_closed = true;
        let path = self.file(runner)?;
        let trace = runner.profile().stop(path)?;
        runner.info(&format!("The trace is in {}", trace.path.display()));
        if trace.lost > 0 {
            runner.warn(&format!("the trace was full: {} entries are not in it", trace.lost));
        }
        if trace_type(self.on_trace_ready.as_ref())? == Some("log_trace") {
            let phases = runner.profile().phases()?;
            runner.info(&table(&phases));
            if self.activity_with_cpu {
                let operators = runner.profile().operators()?;
                runner.info(&operator_table(operators, self.on_trace_ready.as_ref()));
            }
        }
        Ok(())
    }
}

/// First iteration that is traced, and the one after the last.
fn window(schedule: &Json) -> Result<(u64, u64), HookError> {
    let wrong = |text: String| HookError::fatal(format!("schedule{text}"));
    let Some(map) = schedule.as_object() else {
        return Err(wrong(format!(": expected a dict, found {schedule}")));
    };
    let known = ["skip_first", "wait", "warmup", "active", "repeat"];
    if let Some(key) = map.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(wrong(format!(".{key}: unknown (the keys are {})", known.join(", "))));
    }
    let number = |key: &str| match map.get(key) {
        None => Ok(0),
        Some(value) => value.as_u64().ok_or_else(|| {
            wrong(format!(".{key}: expected a whole number of at least 0, found {value}"))
        }),
    };
    if number("repeat")? > 1 {
        return Err(wrong(".repeat: expected 0 or 1, found more (one stretch is traced)".into()));
    }
    let first = number("skip_first")? + number("wait")? + number("warmup")?;
    match number("active")? {
        0 => Err(wrong(".active: expected a number of iterations, found none".into())),
        active => Ok((first, first + active)),
    }
}

fn trace_type(ready: Option<&Json>) -> Result<Option<&str>, HookError> {
    match ready {
        None | Some(Json::Null) => Ok(None),
        Some(ready) if ready["type"] == "log_trace" && sort_key(ready).is_none() => {
            Err(HookError::fatal(format!(
                "on_trace_ready.sort_by: expected {}, found {}",
                SORT_KEYS.join(", "),
                ready["sort_by"]
            )))
        }
        Some(ready) => match ready["type"].as_str() {
            Some(name @ ("log_trace" | "tb_trace")) => Ok(Some(name)),
            _ => Err(HookError::fatal(format!(
                "on_trace_ready: expected dict(type='log_trace') or dict(type='tb_trace'), found {ready}"
            ))),
        },
    }
}

/// What `log_trace` can sort operators by; the first is the default.
const SORT_KEYS: [&str; 3] = ["self_cpu_time_total", "cpu_time_total", "count"];

fn sort_key(ready: &Json) -> Option<&'static str> {
    match &ready["sort_by"] {
        Json::Null => Some(SORT_KEYS[0]),
        name => SORT_KEYS.into_iter().find(|key| name == key),
    }
}

/// The operators that took most, as `torch.profiler`'s `key_averages().table()` has them.
fn operator_table(mut operators: Vec<OperatorTotal>, ready: Option<&Json>) -> String {
    let all: f64 = operators.iter().map(|one| one.own_seconds).sum();
    let key = ready.and_then(sort_key).unwrap_or(SORT_KEYS[0]);
    operators.sort_by(|a, b| match key {
        "count" => b.calls.cmp(&a.calls),
        "cpu_time_total" => b.total_seconds.total_cmp(&a.total_seconds),
        _ => b.own_seconds.total_cmp(&a.own_seconds),
    });
    let rows = ready.and_then(|ready| ready["row_limit"].as_u64()).unwrap_or(10) as usize;
    let mut text = format!(
        "Operators, by {key}:\n{:<44}{:>11}{:>14}{:>14}{:>14}{:>9}",
        "Name", "Self CPU %", "Self CPU ms", "CPU total ms", "CPU avg us", "Calls"
    );
    for one in operators.iter().take(rows) {
        let name: String = one.name.chars().take(42).collect();
        text += &format!(
            "\n{name:<44}{:>10.2}%{:>14.3}{:>14.3}{:>14.3}{:>9}",
            100.0 * one.own_seconds / all.max(1e-12),
            1e3 * one.own_seconds,
            1e3 * one.total_seconds,
            1e6 * one.total_seconds / one.calls.max(1) as f64,
            one.calls
        );
    }
    text
}

fn table(phases: &[(String, f64)]) -> String {
    let total: f64 = phases.iter().map(|(_, seconds)| seconds).sum();
    let mut text = String::from("Time of the run so far:");
    for (name, seconds) in phases {
        let share = 100.0 * seconds / total.max(1e-9);
        text += &format!("\n{name:<12}{seconds:>12.3} s {share:>6.1} %");
    }
    text
}

impl Checked for ProfilerHook {
    fn check(&self) -> HookResult {
        if self.by_epoch && self.profile_times > 1 {
            return Err(HookError::fatal(format!(
                "profile_times: expected 1 with by_epoch=True, found {} (one epoch tells enough)",
                self.profile_times
            )));
        }
        trace_type(self.on_trace_ready.as_ref())?;
        self.window().map(drop)
    }
}

#[hook(priority = "VERY_LOW")]
impl Hook for ProfilerHook {
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        self.fit(runner)?;
        self.window = self.window()?;
        let missing = self.what_is_missing();
        if !missing.is_empty() {
            runner.warn(&format!(
                "{}: not in this version; the trace has iterations, phases, hooks and operators",
                missing.join(", ")
            ));
        }
        if self.window.is_none_or(|(first, _)| first == 0) {
            self.start(runner)?;
        }
        runner.info("profiler is profiling...");
        Ok(())
    }

    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        self.first_iter = runner.iter();
        Ok(())
    }

    fn after_train_iter(&mut self, runner: &mut Runner, _: &TrainStep) -> HookResult {
        if self.is_closed {
            return Ok(());
        }
        let done = runner.iter() + 1 - self.first_iter;
        let last = match self.window {
            Some((first, _)) if done == first => return self.start(runner),
            Some((_, last)) => Some(last),
            None if self.by_epoch => None,
            None => Some(self.profile_times),
        };
        if last.is_some_and(|last| done >= last) { self.close(runner) } else { Ok(()) }
    }

    fn after_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        let is_done = self.window.is_none() && self.by_epoch;
        if is_done && !self.is_closed { self.close(runner) } else { Ok(()) }
    }

    fn after_train(&mut self, runner: &mut Runner) -> HookResult {
        let began = self
            .window
            .is_none_or(|(first, _)| first == 0 || runner.iter() >= self.first_iter + first);
        match (self.is_closed, began) {
            (true, _) => Ok(()),
            (false, true) => self.close(runner),
            (false, false) => {
                runner.warn("the run ended before the schedule began: there is no trace");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_plugin_api::testing::FakeRunner;

    fn hook(kwargs: Json) -> ProfilerHook {
        ProfilerHook::from_kwargs("ProfilerHook", &kwargs).unwrap()
    }

    fn run() -> FakeRunner {
        let info = json!({ "experiment_name": "tiny", "timestamp": "20260131_000000" });
        FakeRunner::new()
            .max_epochs(2)
            .max_iters(12)
            .epoch_length(6)
            .answer("snaphook.run/1", "info", info)
            .answer("snaphook.profile/1", "stop", json!({ "path": "t.json", "lost": 0 }))
            .answer("snaphook.profile/1", "operators", json!([]))
            .answer("snaphook.profile/1", "phases", json!({ "data": 1.0, "forward": 3.0 }))
    }

    /// Calls the points of a run of two epochs; the iterations before which `start` and `stop` were called, and the
    /// file.
    fn traced(kwargs: Json) -> (Vec<u64>, Vec<u64>, Vec<String>) {
        let (mut hook, mut run) = (hook(kwargs), run());
        let (mut starts, mut stops) = (Vec::new(), Vec::new());
        let mut points = vec![(HookPoint::BeforeRun, 0), (HookPoint::BeforeTrain, 0)];
        for iter in 0..12 {
            points.push((HookPoint::AfterTrainIter, iter));
            if iter % 6 == 5 {
                points.push((HookPoint::AfterTrainEpoch, iter + 1));
            }
        }
        points.push((HookPoint::AfterTrain, 12));
        for (point, iter) in points {
            run.set_progress(|progress| progress.iter = iter);
            let count = |run: &FakeRunner, method| run.calls_of("snaphook.profile/1", method).len();
            let before = (count(&run, "start"), count(&run, "stop"));
            run.run_point(&mut hook, point, Some(iter % 6)).unwrap();
            starts.extend((count(&run, "start") > before.0).then_some(iter));
            stops.extend((count(&run, "stop") > before.1).then_some(iter));
        }
        let stop = run.calls_of("snaphook.profile/1", "stop");
        let files = stop.iter().map(|call| call["path"].as_str().unwrap().to_owned()).collect();
        (starts, stops, files)
    }

    #[test]
    fn an_epoch_or_some_iterations_or_a_schedule_are_traced() {
        let file = |name: &str| vec![name.to_owned()];
        assert_eq!(traced(json!({})), (vec![0], vec![6], file("trace.json")));
        let kwargs = json!({ "by_epoch": false, "profile_times": 3, "json_trace_path": "a.json" });
        assert_eq!(traced(kwargs), (vec![0], vec![2], file("a.json")));
        let schedule = json!({ "skip_first": 1, "wait": 1, "warmup": 1, "active": 2 });
        let kwargs = json!({ "schedule": schedule, "on_trace_ready": { "type": "tb_trace" } });
        let named = "tf_tracing_logs/tiny.20260131_000000.pt.trace.json";
        assert_eq!(traced(kwargs), (vec![2], vec![4], file(named)));
        let late = json!({ "schedule": { "wait": 20, "active": 1 } });
        assert_eq!(traced(late), (vec![], vec![], vec![]));
    }

    #[test]
    fn what_cannot_be_is_refused_and_what_is_missing_is_told() {
        let refused = |kwargs: Json| {
            let mut hook = hook(kwargs);
            let checked = hook.check();
            let mut begun = || run().run_point(&mut hook, HookPoint::BeforeRun, None);
            checked.and_then(|()| begun()).unwrap_err().message
        };
        assert!(refused(json!({ "profile_times": 2 })).contains("expected 1 with by_epoch"));
        let many = json!({ "by_epoch": false, "profile_times": 13 });
        assert!(refused(many).contains("at most the run's 12 iterations"));
        assert!(refused(json!({ "on_trace_ready": { "type": "x" } })).contains("log_trace"));
        assert!(refused(json!({ "schedule": { "activ": 1 } })).contains("schedule.activ: unknown"));
        let mut run = run();
        let mut flops = hook(json!({ "with_flops": true, "record_shapes": true }));
        run.run_point(&mut flops, HookPoint::BeforeRun, None).unwrap();
        assert!(run.logged()[0].starts_with("with_flops: not in this version"));
        let asked = run.calls_of("snaphook.profile/1", "start");
        assert_eq!(asked, [&json!({ "operators": true, "shapes": true })]);
        let ready = json!({ "type": "log_trace", "sort_by": "cuda_time_total" });
        assert!(refused(json!({ "on_trace_ready": ready })).contains("expected self_cpu_time"));
    }
}
