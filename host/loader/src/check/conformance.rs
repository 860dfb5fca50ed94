//! What a good plugin also does: refuse unknown arguments, take every point, give back the state it was given, live twice,
//! leak nothing, cost no more than they say. Knows nothing of processes.

use super::exercise::{Steps, Subject, answered, batch_of, fine, typical_run, worded};
use super::leaks::{LIVES, leaks};
use super::report::StepVerdict;
use serde_json::json;
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::{HookError, HookErrorKind, HookPoint};
use std::io;
use std::time::{Duration, Instant};

/// The fastest of so many rounds counts, so that a busy machine makes nothing dearer.
const ROUNDS: u32 = 10;
/// Calls of a round, and of one whose calls are longer than [`SLOW`].
const CALLS: u32 = 100;
const SLOW_CALLS: u32 = 3;
const SLOW: Duration = Duration::from_millis(1);

/// All further steps for a hook that can be built.
pub(super) fn exercise_more(subject: &Subject, steps: &mut Steps<'_>) -> io::Result<()> {
    let name = &subject.name;
    steps.step(format!("{name} unknown argument"), || unknown_argument(subject))?;
    steps.step(format!("{name} every point"), || every_point(subject))?;
    steps.step(format!("{name} state goes round"), || state_goes_round(subject))?;
    steps.step(format!("{name} closes twice"), || closes_twice(subject))?;
    steps.step(format!("{name} second life"), || {
        outcome(live(subject).and_then(|()| live(subject)))
    })?;
    steps.long_step(format!("{name} leaks in {LIVES} lives"), |alive| {
        let counted = leaks(|| live(subject), alive);
        counted.unwrap_or_else(|error| (StepVerdict::Wrong, worded(&error)))
    })?;
    for point in &subject.points {
        steps.step(format!("{name} cost of {}", point.name()), || cost(subject, *point))?;
    }
    Ok(())
}

fn outcome(result: Result<(), HookError>) -> (StepVerdict, String) {
    result.map_or_else(|error| (StepVerdict::Wrong, worded(&error)), |()| fine())
}

/// Either the manifest or the constructor must refuse it.
fn unknown_argument(subject: &Subject) -> (StepVerdict, String) {
    const UNKNOWN: &str = "no_such_argument";
    let mut kwargs = subject.sample.kwargs.clone();
    kwargs[UNKNOWN] = json!(1);
    let info = subject.loaded.plugin_type().info();
    let by_manifest =
        !snaphook_plugin_api::check_kwargs(&info.name, &info.kwargs_schema, &kwargs).is_empty();
    match subject.loaded.construct(&kwargs) {
        Err(error) if error.kind == HookErrorKind::Panic => (StepVerdict::Wrong, worded(&error)),
        Ok(_) if !by_manifest => {
            let text =
                format!("{UNKNOWN} is taken without a word (list the arguments in the manifest)");
            (StepVerdict::Wrong, text)
        }
        _ => fine(),
    }
}

/// Also those that it did not ask for: a host may call them.
fn every_point(subject: &Subject) -> (StepVerdict, String) {
    let mut run = typical_run();
    for point in HookPoint::ALL {
        let called = subject
            .construct()
            .map(|mut hook| answered(hook.call(point, batch_of(point), &mut run)));
        match called {
            Ok((StepVerdict::Wrong, text)) => {
                return (StepVerdict::Wrong, format!("{}: {text}", point.name()));
            }
            Err(error) => return (StepVerdict::Wrong, worded(&error)),
            Ok(_) => {}
        }
    }
    fine()
}

fn state_goes_round(subject: &Subject) -> (StepVerdict, String) {
    let round = || -> Result<(StepVerdict, String), HookError> {
        let mut first = subject.construct()?;
        let mut run = typical_run();
        for point in &subject.points {
            // What it says of a run that is none was told before.
            let _ = first.call(*point, batch_of(*point), &mut run);
        }
        let Some(saved) = first.save_state()? else {
            return Ok((StepVerdict::Fine, "none".to_owned()));
        };
        let mut second = subject.construct()?;
        second.load_state(saved.clone())?;
        Ok(match second.save_state()? {
            Some(again) if again == saved => fine(),
            again => {
                let again = again.map_or("nothing".to_owned(), |again| again.data.to_string());
                let text = format!("saved {}, and after loading it {again}", saved.data);
                (StepVerdict::Wrong, text)
            }
        })
    };
    round().unwrap_or_else(|error| (StepVerdict::Wrong, worded(&error)))
}

/// A run may end more than once for a hook: it fails in its end, or a test follows the training.
fn closes_twice(subject: &Subject) -> (StepVerdict, String) {
    let close = || -> Result<(StepVerdict, String), HookError> {
        let (mut hook, mut run) = (subject.construct()?, typical_run());
        for point in &subject.points {
            // What it says of a run that is none was told before.
            let _ = hook.call(*point, None, &mut run);
        }
        for point in [HookPoint::AfterRun, HookPoint::OnException, HookPoint::AfterRun] {
            let (verdict, text) = answered(hook.call(point, None, &mut run));
            if verdict == StepVerdict::Wrong {
                return Ok((verdict, format!("{} again: {text}", point.name())));
            }
        }
        Ok(fine())
    };
    close().unwrap_or_else(|error| (StepVerdict::Wrong, worded(&error)))
}

/// So many lives, for whoever watches from outside.
pub(super) fn live_often(subject: &Subject, lives: usize) -> (StepVerdict, String) {
    outcome((0..lives).try_for_each(|_| live(subject)))
}

/// One life of a hook: built, called at its points, saved, loaded, dropped.
fn live(subject: &Subject) -> Result<(), HookError> {
    let (mut hook, mut run) = (subject.construct()?, typical_run());
    for point in &subject.points {
        // As above.
        let _ = hook.call(*point, batch_of(*point), &mut run);
    }
    match hook.save_state()? {
        Some(state) => hook.load_state(state),
        None => Ok(()),
    }
}

fn cost(subject: &Subject, point: HookPoint) -> (StepVerdict, String) {
    let mut hook = match subject.construct() {
        Ok(hook) => hook,
        Err(error) => return (StepVerdict::Wrong, worded(&error)),
    };
    let mut run = typical_run();
    let begin = Instant::now();
    if hook.call(point, batch_of(point), &mut run).is_err() {
        return (StepVerdict::Fine, "not measured: it answers an error".to_owned());
    }
    let calls = if begin.elapsed() > SLOW { SLOW_CALLS } else { CALLS };
    let round = |_| {
        let begin = Instant::now();
        for _ in 0..calls {
            // An error of a later call costs what a call costs.
            let _ = hook.call(point, batch_of(point), &mut run);
        }
        begin.elapsed().as_nanos() / u128::from(calls)
    };
    let fastest = (0..ROUNDS).map(round).min().unwrap_or_default();
    let limit = subject.loaded.plugin_type().info().cost_us;
    match limit.filter(|limit| fastest > u128::from(*limit) * 1000) {
        Some(limit) => {
            let text = format!("{fastest} ns a call, where its manifest says at most {limit} µs");
            (StepVerdict::Wrong, text)
        }
        None => (StepVerdict::Fine, format!("{fastest} ns a call")),
    }
}
