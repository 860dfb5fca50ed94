//! How long reading and decoding of pictures took on a thread, between two looks.
//! Knows nothing of samples and threads' work; what else they do is augmenting.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A part of making a sample.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    /// From the disk, or from the system's cache of it.
    Reading,
    /// From the bytes of a file to pixels.
    Decoding,
}

thread_local! {
    static SPENT: Cell<[Duration; 2]> = const { Cell::new([Duration::ZERO; 2]) };
}

/// Does it, and notes the time on this thread.
pub(crate) fn timed<T>(stage: Stage, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let mut spent = SPENT.get();
    spent[stage as usize] += start.elapsed();
    SPENT.set(spent);
    result
}

/// Reading and decoding on this thread since the last look.
pub(crate) fn take() -> [Duration; 2] {
    SPENT.replace([Duration::ZERO; 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_this_thread_and_of_one_look() {
        take();
        assert_eq!(timed(Stage::Decoding, || std::thread::sleep(Duration::from_millis(2))), ());
        let other = std::thread::spawn(take).join().unwrap();
        let [reading, decoding] = take();
        assert!(reading.is_zero() && decoding >= Duration::from_millis(2));
        assert_eq!((other, take()), ([Duration::ZERO; 2], [Duration::ZERO; 2]));
    }
}
