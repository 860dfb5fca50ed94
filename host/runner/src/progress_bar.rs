//! One progress bar for a training run on a terminal. Nothing is drawn elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::log::{Console, RunLogger};
use crate::machine::Machine;

const LOSS_PERIOD: Duration = Duration::from_millis(500);

/// The bar: iterations of the whole run, epoch, loss, rate and the time left.
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
        let template = "{bar:30.cyan/blue} {pos}/{len}  {rate}  eta {eta}  {msg}";
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
        let loss = if self.last_loss.elapsed() >= LOSS_PERIOD {
            self.last_loss = Instant::now();
            machine.messages.current("train/loss")
        } else {
            None
        };
        self.log.with_bar(|bar| {
            bar.set_position(progress.iter);
            if let Some(loss) = loss {
                bar.set_message(format!(
                    "epoch {}/{} loss {loss:.4}",
                    progress.epoch + 1,
                    progress.max_epochs
                ));
            }
        });
    }
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
