//! Whether a hook's lives leave memory behind, as the C library counts it. Knows nothing of what a life is; a plugin with an
//! allocator of its own is not seen.

use super::report::StepVerdict;
use std::time::{Duration, Instant};

/// Lives of a round.
pub(super) const LIVES: usize = 100;
/// Of several rounds the middle one counts: what a cache takes at once, or a thread gives back, is in one of them alone.
const ROUNDS: usize = 5;
/// Lives before the counting begins: what is made once is no leak.
const WARM_UP: usize = 20;
/// The least that this allocator hands out, in bytes.
const SMALLEST_BLOCK: i64 = 32;
/// How long threads that a life has left are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

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
    let threads = threads();
    (0..WARM_UP).try_for_each(|_| live())?;
    let mut grown = Vec::new();
    for _ in 0..ROUNDS {
        alive();
        let before = heap_in_use(threads);
        (0..LIVES).try_for_each(|_| live())?;
        let (Some(before), Some(after)) = (before, heap_in_use(threads)) else {
            return Ok((StepVerdict::Remark, "not counted: no glibc here".to_owned()));
        };
        // The counter has 32 bits and goes round.
        grown.push(i64::from(after.wrapping_sub(before) as i32));
    }
    grown.sort_unstable();
    let middle = grown[ROUNDS / 2];
    if middle < SMALLEST_BLOCK * LIVES as i64 / 10 {
        return Ok((StepVerdict::Fine, String::new()));
    }
    Ok((StepVerdict::Wrong, format!("{} bytes are left of each life", middle / LIVES as i64)))
}

/// What is given out once the threads of earlier lives have ended, or have had their time.
#[cfg(target_env = "gnu")]
fn heap_in_use(threads_before: usize) -> Option<u32> {
    let end = Instant::now() + PATIENCE;
    while threads() > threads_before && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: reads counters; any thread may.
    let counters = unsafe { libc::mallinfo() };
    Some((counters.uordblks as u32).wrapping_add(counters.hblkhd as u32))
}

#[cfg(not(target_env = "gnu"))]
fn heap_in_use(_: usize) -> Option<u32> {
    None
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}
