//! The text of a log line, from numbers. Pure: knows nothing of files or of the run.
//!
//! Source: MMEngine 0.10.7 `mmengine/runner/log_processor.py`; every space counts, since people's
//! parsers read these lines.

/// Named numbers in the order in which they are shown.
pub type Fields = Vec<(String, f64)>;

/// What stands before the numbers.
#[derive(Clone, Copy, Debug)]
pub enum LineHeader {
    /// `Epoch(train)  [1][ 10/100]`; epochs count from 1.
    TrainEpoch {
        /// From 1.
        epoch: u64,
        /// Epochs of the run.
        max_epochs: u64,
        /// From 1.
        batch: u64,
        /// Batches of an epoch.
        batches: u64,
    },
    /// `Epoch(val)  [1][ 10/100]`.
    ValEpoch {
        /// Epochs trained; 0 without training.
        epoch: u64,
        /// Epochs of the run; `None` without training.
        max_epochs: Option<u64>,
        /// From 1.
        batch: u64,
        /// Batches of the validation.
        batches: u64,
    },
    /// `Epoch(test) [ 10/100]`.
    Test {
        /// From 1.
        batch: u64,
        /// Batches of the test.
        batches: u64,
    },
}

impl LineHeader {
    fn text(&self) -> String {
        match *self {
            LineHeader::TrainEpoch { epoch, max_epochs, batch, batches } => {
                format!(
                    "Epoch(train){}{}",
                    epoch_field(epoch, Some(max_epochs)),
                    count(batch, batches)
                )
            }
            LineHeader::ValEpoch { epoch, max_epochs, batch, batches } => {
                format!("Epoch(val){}{}", epoch_field(epoch, max_epochs), count(batch, batches))
            }
            LineHeader::Test { batch, batches } => format!("Epoch(test) {}", count(batch, batches)),
        }
    }
}

fn epoch_field(epoch: u64, max_epochs: Option<u64>) -> String {
    let field = format!("[{epoch}]");
    match max_epochs {
        Some(most) => format!("{field:>width$}", width = most.to_string().len() + 3),
        None => field,
    }
}

fn count(batch: u64, batches: u64) -> String {
    let width = batches.to_string().len();
    format!("[{batch:>width$}/{batches}]")
}

/// A line after an iteration: header, learning rates, eta and times, then losses.
///
/// Units: `eta_s` seconds. `rates` are shown as `1.0000e-02`; `fields` may hold `time` and `data_time`,
/// which go to the front when an eta is known.
pub fn iteration_line(
    header: &LineHeader,
    rates: &Fields,
    eta_s: Option<f64>,
    fields: &Fields,
) -> String {
    let rates: Vec<_> =
        rates.iter().map(|(name, value)| format!("{name}: {}", scientific(*value))).collect();
    let mut line = format!("{}  {}  ", header.text(), rates.join(" "));
    let value = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    let timed = match (eta_s, value("time"), value("data_time")) {
        (Some(eta), Some(time), Some(data_time)) => {
            line +=
                &format!("eta: {}  time: {time:.4}  data_time: {data_time:.4}  ", duration(eta));
            true
        }
        _ => false,
    };
    let shown = fields.iter().filter(|(key, _)| !(timed && (key == "time" || key == "data_time")));
    let items: Vec<_> = shown.map(|(name, value)| format!("{name}: {}", fixed(*value))).collect();
    line + &items.join("  ")
}

/// The line after all batches of a validation or test: metrics, then mean times.
pub fn summary_line(header: &LineHeader, metrics: &Fields) -> String {
    let head = match *header {
        LineHeader::ValEpoch { epoch, batches, .. } => {
            format!("Epoch(val) [{epoch}][{batches}/{batches}]")
        }
        LineHeader::Test { batches, .. } => format!("Epoch(test) [{batches}/{batches}]"),
        LineHeader::TrainEpoch { .. } => header.text(),
    };
    let items: Vec<_> =
        metrics.iter().map(|(name, value)| format!("{name}: {}", fixed(*value))).collect();
    format!("{head}    {}", items.join("  "))
}

fn fixed(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { format!("{value:.4}") }
}

/// Python's `{:.4e}`: at least two digits of exponent, with its sign.
fn scientific(value: f64) -> String {
    let text = format!("{value:.4e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => text,
    }
}

/// Python's `str(timedelta(seconds=…))`: `1:02:03`, `1 day, 2:03:04`.
fn duration(seconds: f64) -> String {
    let total = if seconds.is_finite() && seconds > 0.0 { seconds as u64 } else { 0 };
    let (days, rest) = (total / 86_400, total % 86_400);
    let clock = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(items: &[(&str, f64)]) -> Fields {
        items.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn a_training_line_is_mmengines_to_the_space() {
        let header = LineHeader::TrainEpoch { epoch: 1, max_epochs: 30, batch: 10, batches: 205 };
        let rates = fields(&[("base_lr", 0.01), ("lr", 0.01)]);
        let values =
            fields(&[("data_time", 0.0123), ("loss", 12.34567), ("loss_cls", 1.0), ("time", 0.5)]);
        assert_eq!(
            iteration_line(&header, &rates, Some(3725.9), &values),
            "Epoch(train)  [1][ 10/205]  base_lr: 1.0000e-02 lr: 1.0000e-02  eta: 1:02:05  \
             time: 0.5000  data_time: 0.0123  loss: 12.3457  loss_cls: 1.0000"
        );
    }

    #[test]
    fn a_validation_line_keeps_the_gap_of_the_missing_rate() {
        let header = LineHeader::ValEpoch { epoch: 5, max_epochs: Some(30), batch: 3, batches: 11 };
        let values = fields(&[("data_time", 0.0), ("time", 0.25)]);
        assert_eq!(
            iteration_line(&header, &Vec::new(), Some(2.0), &values),
            "Epoch(val)  [5][ 3/11]    eta: 0:00:02  time: 0.2500  data_time: 0.0000  "
        );
        assert_eq!(
            summary_line(&header, &fields(&[("coco/bbox_mAP", 0.291), ("time", 0.2)])),
            "Epoch(val) [5][11/11]    coco/bbox_mAP: 0.2910  time: 0.2000"
        );
    }

    #[test]
    fn python_spells_numbers_this_way() {
        assert_eq!(scientific(5.0721e-4), "5.0721e-04");
        assert_eq!(scientific(0.0), "0.0000e+00");
        assert_eq!(scientific(12.0), "1.2000e+01");
        assert_eq!(duration(90_061.0), "1 day, 1:01:01");
        assert_eq!(duration(-3.0), "0:00:00");
    }
}
