//! What a heartbeat adds to a hook call and to a phase, in nanoseconds. `cargo bench -p snaphook-heartbeat`.

use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use snaphook_heartbeat::{Heartbeat, WORDS};

const CALLS: u64 = 20_000_000;

fn main() {
    let words: &'static [AtomicU64] = Box::leak((0..WORDS).map(|_| AtomicU64::new(0)).collect());
    let heartbeat = Heartbeat::over(words).expect("enough words");
    let nothing = nanoseconds(|call| {
        black_box(call);
    });
    let hook = nanoseconds(|call| {
        heartbeat.enter_hook(black_box(3), black_box(7), 1, call);
        heartbeat.leave_hook();
    });
    let phase = nanoseconds(|_| heartbeat.enter_phase(black_box(3)));
    println!("a hook call: {:.1} ns more; a phase: {:.1} ns more", hook - nothing, phase - nothing);
}

fn nanoseconds(mut call: impl FnMut(u64)) -> f64 {
    let began = Instant::now();
    (0..CALLS).for_each(&mut call);
    1e9 * began.elapsed().as_secs_f64() / CALLS as f64
}
