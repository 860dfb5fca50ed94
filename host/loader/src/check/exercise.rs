//! Everything that a host does with a plugin, once, with a run that exists only in memory. Runs code of the plugin, so
//! it is meant for a process that may crash. Knows nothing of that process.

use super::conformance;
use super::report::{CheckStep, Event, StepVerdict};
use super::sample::{Sample, sample};
use crate::catalog::Plugin;
use crate::hook::PluginHook;
use crate::load::{LoadedPlugin, load};
use crate::resolve::PluginType;
use serde_json::{Value as Json, json};
use snaphook_plugin_api::host::{HookInstance, LogLevel, set_log_sink};
use snaphook_plugin_api::testing::FakeRunner;
use snaphook_plugin_api::{HookError, HookErrorKind, HookPoint};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// What is tried.
#[derive(Clone, Debug, Default)]
pub struct Exercise {
    /// Keyword arguments instead of the defaults, for every type.
    pub kwargs: Option<Json>,
    /// Also: unknown arguments, every point, states that go round, two ends, a second life, leaks, cost.
    pub conformance: bool,
    /// Only this many lives of each hook, for a tool that watches the process, such as valgrind.
    pub lives: Option<usize>,
}

/// Errors that a plugin logged outside of a call, such as a panic while it is dropped or in a thread.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note(level: LogLevel, _: &str, message: &str) {
    if level == LogLevel::Error {
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
    }
}

fn take_logged() -> Vec<String> {
    std::mem::take(&mut LOGGED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Loads the plugin, and of each of its hook types: builds it, calls it at every declared point, saves and loads its
/// state, drops it. Writes an event per line: what begins, how it ended.
///
/// Errors: the events cannot be written; what is wrong with the plugin is an event.
pub fn exercise(plugin: Plugin, what: &Exercise, events: &mut dyn Write) -> io::Result<()> {
    set_log_sink(note, LogLevel::Info);
    let mut steps = Steps { events };
    let hooks = PluginType::hooks_of(plugin);
    if hooks.is_empty() {
        let text = "it exports no hook, so there is nothing to try";
        steps.step("types".to_owned(), || (StepVerdict::Remark, text.to_owned()))?;
    }
    for plugin_type in hooks {
        let name = plugin_type.info().name.clone();
        let mut loaded = None;
        steps.step("load".to_owned(), || match load(&plugin_type) {
            Ok(plugin) => {
                loaded = Some(plugin);
                fine()
            }
            Err(error) => (StepVerdict::Wrong, error.to_string()),
        })?;
        let Some(loaded) = loaded else { break };
        let sample = match &what.kwargs {
            Some(kwargs) => Sample { kwargs: kwargs.clone(), made_up: Vec::new() },
            None => sample(&plugin_type.info().kwargs_schema),
        };
        let subject = Subject { name, loaded, sample, points: plugin_type.info().points.clone() };
        if let Some(lives) = what.lives {
            let at = format!("{} {lives} lives", subject.name);
            steps.step(at, || match subject.construct() {
                Ok(_) => conformance::live_often(&subject, lives),
                Err(error) => refused(&subject.sample, &error),
            })?;
            continue;
        }
        if exercise_hook(&subject, &mut steps)? && what.conformance {
            conformance::exercise_more(&subject, &mut steps)?;
        }
    }
    steps.write(&Event::Finished)
}

/// What is exercised.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) loaded: LoadedPlugin,
    pub(super) sample: Sample,
    pub(super) points: Vec<HookPoint>,
}

impl Subject {
    pub(super) fn construct(&self) -> Result<PluginHook, HookError> {
        self.loaded.construct(&self.sample.kwargs)
    }
}

/// Whether the hook could be built.
fn exercise_hook(subject: &Subject, steps: &mut Steps<'_>) -> io::Result<bool> {
    let name = &subject.name;
    let mut hook = None;
    steps.step(format!("{name} construct"), || match subject.construct() {
        Ok(built) => {
            hook = Some(built);
            made_up(&subject.sample)
        }
        Err(error) => refused(&subject.sample, &error),
    })?;
    let Some(hook) = hook else { return Ok(false) };
    let Some(mut hook) = call_points(subject, hook, steps)? else { return Ok(false) };
    keep_state(subject, &mut hook, steps)?;
    steps.step(format!("{name} close"), || {
        drop(hook);
        fine()
    })?;
    Ok(true)
}

/// Every declared point once; the hook, or another one after a panic, since a hook is not called again after one.
fn call_points(
    subject: &Subject,
    mut hook: PluginHook,
    steps: &mut Steps<'_>,
) -> io::Result<Option<PluginHook>> {
    let mut run = typical_run();
    for point in &subject.points {
        let mut has_panicked = false;
        steps.step(format!("{} {}", subject.name, point.name()), || {
            let result = hook.call(*point, batch_of(*point), &mut run);
            has_panicked = result.as_ref().is_err_and(|error| error.kind == HookErrorKind::Panic);
            answered(result)
        })?;
        match has_panicked.then(|| subject.construct()) {
            Some(Ok(another)) => hook = another,
            Some(Err(_)) => return Ok(None),
            None => {}
        }
    }
    Ok(Some(hook))
}

/// Saves the state, and loads it into another hook.
fn keep_state(subject: &Subject, hook: &mut PluginHook, steps: &mut Steps<'_>) -> io::Result<()> {
    let mut state = None;
    steps.step(format!("{} save_state", subject.name), || match hook.save_state() {
        Ok(saved) => {
            let text = saved.as_ref().map(|saved| format!("version {}", saved.version));
            state = saved;
            (StepVerdict::Fine, text.unwrap_or_else(|| "none".to_owned()))
        }
        Err(error) => (StepVerdict::Wrong, worded(&error)),
    })?;
    let Some(state) = state else { return Ok(()) };
    steps.step(format!("{} load_state", subject.name), || {
        let loaded = subject.construct().and_then(|mut fresh| fresh.load_state(state));
        loaded.map_or_else(|error| (StepVerdict::Wrong, worded(&error)), |()| fine())
    })
}

fn made_up(sample: &Sample) -> (StepVerdict, String) {
    match sample.made_up.as_slice() {
        [] => fine(),
        _ => (StepVerdict::Fine, format!("with made-up arguments {}", sample.kwargs)),
    }
}

/// Made-up arguments may be wrong in a way that no schema says.
fn refused(sample: &Sample, error: &HookError) -> (StepVerdict, String) {
    let is_ours = !sample.made_up.is_empty() && error.kind != HookErrorKind::Panic;
    if is_ours {
        let text = format!("not tried: made-up arguments {} were refused: ", sample.kwargs);
        return (StepVerdict::Remark, text + &worded(error) + " (give your own with --kwargs)");
    }
    (StepVerdict::Wrong, worded(error))
}

/// An error in a run that is none may be right; a panic never is.
pub(super) fn answered(result: Result<(), HookError>) -> (StepVerdict, String) {
    match result {
        Ok(()) => fine(),
        Err(error) if error.kind == HookErrorKind::Panic => (StepVerdict::Wrong, worded(&error)),
        Err(error) => (StepVerdict::Remark, format!("answered an error: {error}")),
    }
}

pub(super) fn worded(error: &HookError) -> String {
    match (&error.location, error.kind) {
        (Some(place), HookErrorKind::Panic) => format!("panicked: {error} ({place})"),
        (None, HookErrorKind::Panic) => format!("panicked: {error}"),
        _ => error.to_string(),
    }
}

pub(super) fn fine() -> (StepVerdict, String) {
    (StepVerdict::Fine, String::new())
}

pub(super) fn batch_of(point: HookPoint) -> Option<u64> {
    let name = point.name();
    let is_of_a_batch =
        name.ends_with("_iter") || name.ends_with("_backward") || name.ends_with("_optim_step");
    // The fiftieth, so that what is done every fifty batches is done.
    is_of_a_batch.then_some(49)
}

/// A run of a detector in its first epoch, as far as a fake can be one.
pub(super) fn typical_run() -> FakeRunner {
    let saved =
        json!({ "path": "work_dirs/fake/epoch_1", "epoch": 1, "iter": 100, "is_best": false });
    FakeRunner::new()
        .max_epochs(2)
        .max_iters(200)
        .iter(49)
        .output("loss", [0.5])
        .output("loss_cls", [0.25])
        .output("loss_bbox", [0.25])
        .learning_rate(0.01)
        .metrics([("coco/bbox_mAP", 0.5), ("coco/bbox_mAP_50", 0.7)])
        .payload(HookPoint::AfterSaveCheckpoint, saved)
        .payload(
            HookPoint::FetchCheckpoint,
            json!({ "url": "check://none", "folder": "work_dirs/fake" }),
        )
        .payload(HookPoint::OnException, json!({ "kind": "hook", "message": "a check" }))
}

/// Tells how each step goes.
pub(super) struct Steps<'a> {
    events: &'a mut dyn Write,
}

impl Steps<'_> {
    /// One step; what the plugin logs as an error meanwhile is a defect too.
    pub(super) fn step(
        &mut self,
        at: String,
        work: impl FnOnce() -> (StepVerdict, String),
    ) -> io::Result<()> {
        self.long_step(at, |_| work())
    }

    /// One step of several parts: each has the time of a step, from the call of `alive` before it on.
    pub(super) fn long_step(
        &mut self,
        at: String,
        work: impl FnOnce(&mut dyn FnMut()) -> (StepVerdict, String),
    ) -> io::Result<()> {
        let begin = Event::Begin(at.clone());
        self.write(&begin)?;
        // What cannot be written now cannot be written in the end either, which is told.
        let (mut verdict, mut text) = work(&mut || drop(self.write(&begin)));
        for logged in take_logged().iter().filter(|logged| logged.contains("panicked")) {
            (verdict, text) = (StepVerdict::Wrong, logged.clone());
        }
        self.write(&Event::End(CheckStep { at, verdict, text }))
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        let line = serde_json::to_string(event)?;
        writeln!(self.events, "{line}")?;
        self.events.flush()
    }
}
