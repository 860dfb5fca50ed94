//! One progress bar for a training run on a terminal. Nothing is drawn elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::log::{Console, RunLogger};
use crate::machine::Machine;

/// Losses that are shown.
const MOST_LOSSES: usize = 5;

const LOSS_PERIOD: Duration = Duration::from_millis(500);

/// The bar: iterations of the whole run, rate, the time left, epoch and losses.
pub(crate) struct TrainingBar {
    log: RunLogger,
    last_loss: Instant,
}

impl TrainingBar {
    /// A bar below the log lines, on a terminal only.
    pub(crate) fn new(machine: &Machine) -> Option<TrainingBar> {
        if machine.log.console() != Console::Terminal {
            return None;
        }
        let bar = ProgressBar::new(machine.progress.max_iters);
        let template = "{bar:24.cyan/blue} {pos}/{len}  {rate}  eta {eta}  {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("rate", write_rate));
        }
        bar.set_position(machine.progress.iter);
        bar.reset_eta();
        machine.log.set_bar(Some(bar));
        Some(TrainingBar { log: machine.log.clone(), last_loss: Instant::now() })
    }

    /// Moves it. The loss is read twice a second at most, since reading it waits for the device.
    pub(crate) fn update(&mut self, machine: &mut Machine) {
        let progress = machine.progress;
        let losses = (self.last_loss.elapsed() >= LOSS_PERIOD).then(|| {
            self.last_loss = Instant::now();
            losses(machine)
        });
        self.log.with_bar(|bar| {
            bar.set_position(progress.iter);
            if let Some(losses) = losses {
                let epoch = format!("epoch {}/{}  ", progress.epoch + 1, progress.max_epochs);
                bar.set_message(if progress.max_epochs > 1 { epoch + &losses } else { losses });
            }
        });
    }
}

/// The sum of the losses and its first parts, as the log calls them; what does not fit the terminal is cut off.
fn losses(machine: &mut Machine) -> String {
    let keys =
        machine.messages.keys().filter(|key| key.starts_with("train/") && key.contains("loss"));
    let keys: Vec<String> = keys.take(MOST_LOSSES).map(str::to_owned).collect();
    let text = |key: String| {
        let value = machine.messages.current(&key)?;
        Some(format!("{} {value:.4}", key.trim_start_matches("train/")))
    };
    keys.into_iter().filter_map(text).collect::<Vec<_>>().join("  ")
}

/// Iterations a second, or seconds an iteration when they are long.
fn write_rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let rate = state.per_sec();
    // What cannot be written cannot be told either.
    let _ = if rate >= 1.0 || rate <= 0.0 {
        write!(out, "{rate:.1} it/s")
    } else {
        write!(out, "{:.1} s/it", 1.0 / rate)
    };
}

impl Drop for TrainingBar {
    fn drop(&mut self) {
        self.log.set_bar(None);
    }
}
