//! Shows how far a long step is: a bar on a terminal, now and then a line elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const MB: f64 = 1e6;
/// Elsewhere than on a terminal a line appears at each of these steps, at most once in the shorter
/// time and at least once in the longer.
const LINE_STEP_PERCENT: u64 = 10;
const SHORTEST_INTERVAL: Duration = Duration::from_secs(2);
const LONGEST_INTERVAL: Duration = Duration::from_secs(20);

/// The display of one step that moves bytes.
pub(crate) struct Progress {
    label: String,
    total_bytes: u64,
    started: Instant,
    display: Display,
}

enum Display {
    Bar(ProgressBar),
    Lines { last_percent: u64, last_line: Instant },
}

impl Progress {
    /// Starts the display of a step that will move about `total_bytes`.
    pub(crate) fn start(label: &str, total_bytes: u64) -> Self {
        let started = Instant::now();
        let display = if std::io::stderr().is_terminal() {
            Display::Bar(bar(label, total_bytes))
        } else {
            eprintln!("{label}: {:.0} MB", total_bytes as f64 / MB);
            Display::Lines { last_percent: 0, last_line: started }
        };
        Self { label: label.to_owned(), total_bytes, started, display }
    }

    /// Corrects the total once it is known exactly.
    pub(crate) fn set_total(&mut self, total_bytes: u64) {
        self.total_bytes = total_bytes;
        if let Display::Bar(bar) = &self.display {
            bar.set_length(total_bytes);
        }
    }

    /// Shows that `done_bytes` have been moved since the start.
    pub(crate) fn at(&mut self, done_bytes: u64) {
        let done_bytes = done_bytes.min(self.total_bytes);
        match &mut self.display {
            Display::Bar(bar) => bar.set_position(done_bytes),
            Display::Lines { last_percent, last_line } => {
                let percent = percent(done_bytes, self.total_bytes);
                let silence = last_line.elapsed();
                let is_due = silence >= LONGEST_INTERVAL
                    || silence >= SHORTEST_INTERVAL && percent >= *last_percent + LINE_STEP_PERCENT;
                if is_due && percent < 100 {
                    *last_percent = percent - percent % LINE_STEP_PERCENT;
                    *last_line = Instant::now();
                    let elapsed = self.started.elapsed();
                    eprintln!("{}: {}", self.label, line(done_bytes, self.total_bytes, elapsed));
                }
            }
        }
    }

    /// Ends the display with the time that the step took.
    pub(crate) fn finish(self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
        eprintln!("{}: done in {:.1} s", self.label, self.started.elapsed().as_secs_f64());
    }
}

fn bar(label: &str, total_bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} ETA {eta}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(total_bytes).with_style(style).with_message(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn percent(done_bytes: u64, total_bytes: u64) -> u64 {
    (done_bytes * 100).checked_div(total_bytes).unwrap_or(100)
}

fn line(done_bytes: u64, total_bytes: u64, elapsed: Duration) -> String {
    let rate = done_bytes as f64 / elapsed.as_secs_f64().max(1e-3);
    let left = (total_bytes - done_bytes) as f64 / rate.max(1.0);
    format!(
        "{:.0} of {:.0} MB ({} %), {:.1} MB/s, {left:.0} s left",
        done_bytes as f64 / MB,
        total_bytes as f64 / MB,
        percent(done_bytes, total_bytes),
        rate / MB,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_amount_rate_and_time_left() {
        assert_eq!(
            line(120_000_000, 480_000_000, Duration::from_secs(4)),
            "120 of 480 MB (25 %), 30.0 MB/s, 12 s left"
        );
    }

    #[test]
    fn an_empty_step_is_complete() {
        assert_eq!(percent(0, 0), 100);
    }
}
