//! Whether a hook's lives leave memory behind, as the C library counts it. Knows nothing of what a life is; a plugin with an
//! allocator of its own is not seen.

use super::report::StepVerdict;
use std::time::{Duration, Instant};

/// Lives of a round.
pub(super) const LIVES: usize = 100;
/// So many rounds must say the same, of at most one less than twice as many: what a cache takes at once, or a thread gives
/// back, is in one of them alone.
const MAJORITY: usize = 3;
/// Lives before the counting begins: what is made once is no leak.
const WARM_UP: usize = 20;
/// The least that this allocator hands out, in bytes.
const SMALLEST_BLOCK: i64 = 32;
/// How long threads that lives have left are waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long those of one life are waited for: the more threads there are at once, the more the C library keeps for later ones,
/// and on a busy machine that number would be another each time.
const PATIENCE_OF_A_LIFE: Duration = Duration::from_millis(200);

/// Settings of glibc's allocator, by which it counts every block that it has given out and no other: none is kept for later
/// by a thread, and all come from one place. They hold for a process that starts with them.
pub(super) const TUNABLES: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0:glibc.malloc.arena_max=1",
);

/// Lives so often, and says what is left of a life; calls `alive` between two rounds.
///
/// Errors: what `live` answers.
pub(super) fn leaks<E>(
    mut live: impl FnMut() -> Result<(), E>,
    alive: &mut dyn FnMut(),
) -> Result<(StepVerdict, String), E> {
    let threads = threads_that_stay();
    let mut threads_end = true;
    let mut live = || {
        live()?;
        // Threads that stay are not waited for again.
        threads_end = threads_end && settle(threads, PATIENCE_OF_A_LIFE);
        Ok(())
    };
    (0..WARM_UP).try_for_each(|_| live())?;
    let (mut growing, mut still) = (Vec::new(), 0);
    while growing.len() < MAJORITY && still < MAJORITY {
        alive();
        let before = heap_in_use(threads);
        (0..LIVES).try_for_each(|_| live())?;
        let (Some(before), Some(after)) = (before, heap_in_use(threads)) else {
            return Ok((StepVerdict::Remark, "not counted: no glibc here".to_owned()));
        };
        // The counter has 32 bits and goes round.
        match i64::from(after.wrapping_sub(before) as i32) {
            grown if grown < SMALLEST_BLOCK * LIVES as i64 / 10 => still += 1,
            grown => growing.push(grown),
        }
    }
    if still == MAJORITY {
        return Ok((StepVerdict::Fine, String::new()));
    }
    growing.sort_unstable();
    let middle = growing[MAJORITY / 2];
    Ok((StepVerdict::Wrong, format!("{} bytes are left of each life", middle / LIVES as i64)))
}

/// What is given out once the threads of earlier lives have ended, or have had their time.
#[cfg(target_env = "gnu")]
fn heap_in_use(threads_before: usize) -> Option<u32> {
    settle(threads_before, PATIENCE);
    // SAFETY: reads counters; any thread may.
    let counters = unsafe { libc::mallinfo() };
    Some((counters.uordblks as u32).wrapping_add(counters.hblkhd as u32))
}

#[cfg(not(target_env = "gnu"))]
fn heap_in_use(_: usize) -> Option<u32> {
    None
}

/// Waits for threads beyond these to end; whether they have.
fn settle(threads_before: usize, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    while threads() > threads_before {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}

/// How many threads there are once those of earlier steps have ended.
fn threads_that_stay() -> usize {
    let (mut least, mut since) = (threads(), Instant::now());
    while since.elapsed() < PATIENCE_OF_A_LIFE {
        std::thread::sleep(Duration::from_millis(1));
        let now = threads();
        if now < least {
            (least, since) = (now, Instant::now());
        }
    }
    least
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}
