//! What one more value of a scalar costs after 500,000 iterations, against MMEngine in the same run where it is
//! installed: `cargo bench -p snaphook-runner --bench scalar_history`. `SNAPHOOK_PYTHON` names the Python that has MMEngine
//! 0.10.7 (`python3` without it); without MMEngine only our own figure is printed.

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use snaphook_runner::history::Messages;

/// Lengths of history at which the cost is looked at.
const LENGTHS: [u64; 4] = [10_000, 100_000, 250_000, 500_000];

/// Values added for one figure.
const VALUES: u32 = 2_000;

/// Nanoseconds for adding a value and taking the mean of the last 50, at each length.
fn ours() -> Vec<f64> {
    let mut messages = Messages::default();
    let mut added = 0;
    let cost = |length: u64| {
        while added < length {
            messages.add("train/loss", added as f64, 1);
            added += 1;
        }
        let began = Instant::now();
        for value in 0..VALUES {
            messages.add("train/loss", f64::from(value), 1);
        }
        let each = began.elapsed().as_secs_f64() * 1e9 / f64::from(VALUES);
        added += u64::from(VALUES);
        black_box(messages.mean("train/loss", 50));
        each
    };
    LENGTHS.into_iter().map(cost).collect()
}

/// The same of MMEngine's message hub, in nanoseconds.
fn theirs() -> Option<Vec<f64>> {
    let python = std::env::var("SNAPHOOK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/scalar_history.py");
    let output = Command::new(python)
        .arg(script)
        .args(LENGTHS.map(|length| length.to_string()))
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    text.split_whitespace().map(|word| word.parse().ok()).collect()
}

fn main() {
    let (ours, theirs) = (ours(), theirs());
    println!("{:>10} {:>16} {:>16} {:>10}", "values", "Snaphook", "MMEngine 0.10.7", "ratio");
    for (index, length) in LENGTHS.iter().enumerate() {
        let own = ours[index];
        let peer = theirs.as_ref().and_then(|theirs| theirs.get(index));
        let other = peer.map_or_else(|| "-".to_owned(), |peer| format!("{peer:.0} ns"));
        let ratio = peer.map_or_else(|| "-".to_owned(), |peer| format!("{:.0}", peer / own));
        println!("{length:>10} {:>16} {other:>16} {ratio:>10}", format!("{own:.0} ns"));
    }
    println!("A value added to one scalar; the last line over the first: {:.2}", ours[3] / ours[0]);
    if theirs.is_none() {
        println!("MMEngine was not found (SNAPHOOK_PYTHON names a Python that has it)");
    }
}
