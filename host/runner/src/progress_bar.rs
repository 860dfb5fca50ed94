//! One progress bar for a training run on a terminal. Nothing is drawn elsewhere.

use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::log::{Console, RunLogger};
use crate::machine::Machine;

/// Losses that are shown.
const MOST_LOSSES: usize = 5;

const LOSS_PERIOD: Duration = Duration::from_millis(500);

/// How much the newest iteration counts in the mean time of one.
const NEWEST: f64 = 0.1;

/// The bar: iterations of the whole run, rate, the time left, epoch and losses.
pub(crate) struct TrainingBar {
    log: RunLogger,
    last_loss: Instant,
    /// When the iteration before ended, or the training began anew after a validation.
    since: Instant,
    /// The mean time of an iteration of this process; none before the first.
    seconds: Option<f64>,
    /// What stood behind the bar before a validation.
    message: String,
}

impl TrainingBar {
    /// A bar below the log lines, on a terminal only.
    pub(crate) fn new(machine: &Machine) -> Option<TrainingBar> {
        if machine.log.console() != Console::Terminal {
            return None;
        }
        let bar = ProgressBar::new(machine.progress.max_iters);
        let template = "{bar:24.cyan/blue} {pos}/{len}  {prefix}{wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_position(machine.progress.iter);
        machine.log.set_bar(Some(bar));
        let now = Instant::now();
        Some(TrainingBar {
            log: machine.log.clone(),
            last_loss: now,
            since: now,
            seconds: None,
            message: String::new(),
        })
    }

    /// Says that so many batches of a validation are done, in place of losses.
    pub(crate) fn validating(&mut self, done: u64, batches: u64) {
        self.log.with_bar(|bar| bar.set_message(format!("validating {done}/{batches}")));
        // Its time is none of the training's.
        self.since = Instant::now();
        if done == batches {
            self.log.with_bar(|bar| bar.set_message(self.message.clone()));
        }
    }

    /// Moves it. The loss is read twice a second at most, since reading it waits for the device.
    pub(crate) fn update(&mut self, machine: &mut Machine) {
        let progress = machine.progress;
        let took = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        let seconds = self.seconds.map_or(took, |mean| mean + NEWEST * (took - mean));
        self.seconds = Some(seconds);
        let left = progress.max_iters.saturating_sub(progress.iter) as f64 * seconds;
        let losses = (self.last_loss.elapsed() >= LOSS_PERIOD).then(|| {
            self.last_loss = Instant::now();
            losses(machine)
        });
        self.log.with_bar(|bar| {
            bar.set_position(progress.iter);
            let left = HumanDuration(Duration::from_secs_f64(left));
            bar.set_prefix(format!("{}  eta {left:#}  ", rate(seconds)));
            if let Some(losses) = losses {
                let epoch = format!("epoch {}/{}  ", progress.epoch + 1, progress.max_epochs);
                self.message = if progress.max_epochs > 1 { epoch + &losses } else { losses };
                bar.set_message(self.message.clone());
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
fn rate(seconds: f64) -> String {
    if seconds <= 1.0 {
        format!("{:.1} it/s", 1.0 / seconds.max(1e-6))
    } else {
        format!("{seconds:.1} s/it")
    }
}

impl Drop for TrainingBar {
    fn drop(&mut self) {
        self.log.set_bar(None);
    }
}
