//! What a good plugin also does: refuse unknown arguments, take every point, give back the state it was given, live twice,
//! leak nothing. Knows nothing of processes.

use super::exercise::{Steps, Subject, answered, batch_of, fine, typical_run, worded};
use super::report::StepVerdict;
use serde_json::json;
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::{HookError, HookErrorKind, HookPoint};
use std::io;
use std::time::Instant;

const CYCLES: usize = 100;
const ROUNDS: usize = 20;
/// Lives before the counting begins: what is made once is no leak.
const WARM_UP: usize = 20;
/// The least that an allocator hands out.
const SMALLEST_BLOCK: usize = 16;
const CALLS: u32 = 1000;

/// All further steps for a hook that can be built.
pub(super) fn exercise_more(subject: &Subject, steps: &mut Steps<'_>) -> io::Result<()> {
    let name = &subject.name;
    steps.step(format!("{name} unknown argument"), || unknown_argument(subject))?;
    steps.step(format!("{name} every point"), || every_point(subject))?;
    steps.step(format!("{name} state goes round"), || state_goes_round(subject))?;
    steps.step(format!("{name} second life"), || {
        outcome(live(subject).and_then(|()| live(subject)))
    })?;
    steps.step(format!("{name} leaks in {CYCLES} lives"), || leaks(subject))?;
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

/// Counts what the C library's allocator has given out; a plugin with an allocator of its own is not seen.
///
/// What that allocator keeps for later counts as given out, so that a single round may show growth: a leak grows in each.
fn leaks(subject: &Subject) -> (StepVerdict, String) {
    let lives = |count: usize| (0..count).try_for_each(|_| live(subject));
    if let Err(error) = lives(WARM_UP) {
        return (StepVerdict::Wrong, worded(&error));
    }
    let mut least = usize::MAX;
    for _ in 0..ROUNDS {
        let before = heap_in_use();
        if let Err(error) = lives(CYCLES) {
            return (StepVerdict::Wrong, worded(&error));
        }
        let (Some(before), Some(after)) = (before, heap_in_use()) else {
            return (StepVerdict::Remark, "not counted: no glibc here".to_owned());
        };
        // The counter has 32 bits and goes round.
        let grown = usize::try_from(after.saturating_sub(before)).unwrap_or(0);
        least = least.min(grown / CYCLES);
        if least < SMALLEST_BLOCK {
            return fine();
        }
    }
    (StepVerdict::Wrong, format!("{least} bytes are left of each life"))
}

#[cfg(target_env = "gnu")]
fn heap_in_use() -> Option<i64> {
    // SAFETY: reads counters; any thread may.
    let counters = unsafe { libc::mallinfo() };
    Some(i64::from(counters.uordblks as u32) + i64::from(counters.hblkhd as u32))
}

#[cfg(not(target_env = "gnu"))]
fn heap_in_use() -> Option<i64> {
    None
}

fn cost(subject: &Subject, point: HookPoint) -> (StepVerdict, String) {
    let mut hook = match subject.construct() {
        Ok(hook) => hook,
        Err(error) => return (StepVerdict::Wrong, worded(&error)),
    };
    let mut run = typical_run();
    let begin = Instant::now();
    for call in 0..CALLS {
        if hook.call(point, batch_of(point), &mut run).is_err() && call == 0 {
            return (StepVerdict::Fine, "not measured: it answers an error".to_owned());
        }
    }
    let nanoseconds = begin.elapsed().as_nanos() / u128::from(CALLS);
    (StepVerdict::Fine, format!("{nanoseconds} ns a call"))
}
