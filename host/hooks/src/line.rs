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
    /// `Iter(train) [ 10/100]`.
    TrainIter {
        /// From 1.
        iter: u64,
        /// Iterations of the run.
        max_iters: u64,
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
    /// `Iter(val) [ 10/100]`, `Epoch(test) [ 10/100]` and `Iter(test) [ 10/100]`.
    Plain {
        /// `Epoch(test)`.
        word: &'static str,
        /// From 1.
        batch: u64,
        /// Batches of the validation or test.
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
            LineHeader::TrainIter { iter, max_iters } => {
                format!("Iter(train) {}", count(iter, max_iters))
            }
            LineHeader::ValEpoch { epoch, max_epochs, batch, batches } => {
                format!("Epoch(val){}{}", epoch_field(epoch, max_epochs), count(batch, batches))
            }
            LineHeader::Plain { word, batch, batches } => {
                format!("{word} {}", count(batch, batches))
            }
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

/// The numbers of a line after an iteration.
#[derive(Clone, Debug, Default)]
pub struct IterationNumbers {
    /// Shown as `1.0000e-02`.
    pub rates: Fields,
    /// Seconds that are left; shown together with `time` and `data_time`, if all three are known.
    pub eta_s: Option<f64>,
    /// Most megabytes of the GPU that tensors took since the line before; none on a CPU.
    pub memory_mb: Option<u64>,
    /// The losses and so on; may hold `time` and `data_time`.
    pub fields: Fields,
    /// Digits behind the point.
    pub digits: usize,
}

/// A line after an iteration: header, learning rates, eta and times, then losses.
pub fn iteration_line(header: &LineHeader, numbers: &IterationNumbers) -> String {
    let digits = numbers.digits;
    let rate = |(name, value): &(String, f64)| format!("{name}: {}", scientific(*value, digits));
    let rates: Vec<_> = numbers.rates.iter().map(rate).collect();
    let mut line = format!("{}  {}  ", header.text(), rates.join(" "));
    let fields = &numbers.fields;
    let value = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    let timed = match (numbers.eta_s, value("time"), value("data_time")) {
        (Some(eta), Some(time), Some(data_time)) => {
            let (time, data_time) = (fixed(time, digits), fixed(data_time, digits));
            line += &format!("eta: {}  time: {time}  data_time: {data_time}  ", duration(eta));
            true
        }
        _ => false,
    };
    if let Some(memory) = numbers.memory_mb {
        line += &format!("memory: {memory}  ");
    }
    let is_shown = |(key, _): &&(String, f64)| match header {
        // MMEngine shows nothing else of an evaluation's iterations.
        LineHeader::ValEpoch { .. } => key.starts_with("val/loss"),
        LineHeader::Plain { .. } => false,
        _ => !(timed && (key == "time" || key == "data_time")),
    };
    let items = fields.iter().filter(is_shown);
    let items: Vec<_> =
        items.map(|(name, value)| format!("{name}: {}", fixed(*value, digits))).collect();
    line + &items.join("  ")
}

/// The line after all batches of a validation or test: metrics, then mean times.
pub fn summary_line(header: &LineHeader, metrics: &Fields, digits: usize) -> String {
    let head = match *header {
        LineHeader::ValEpoch { epoch, batches, .. } => {
            format!("Epoch(val) [{epoch}][{batches}/{batches}]")
        }
        LineHeader::Plain { word, batches, .. } => format!("{word} [{batches}/{batches}]"),
        LineHeader::TrainEpoch { .. } | LineHeader::TrainIter { .. } => header.text(),
    };
    let items: Vec<_> =
        metrics.iter().map(|(name, value)| format!("{name}: {}", fixed(*value, digits))).collect();
    format!("{head}    {}", items.join("  "))
}

fn fixed(value: f64, digits: usize) -> String {
    if value.is_nan() { "nan".to_owned() } else { format!("{value:.digits$}") }
}

/// Python's `{:.4e}`: at least two digits of exponent, with its sign.
fn scientific(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    let text = format!("{value:.digits$e}");
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
pub fn duration(seconds: f64) -> String {
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

    fn line(header: &LineHeader, rates: Fields, eta_s: f64, fields: Fields) -> String {
        let eta_s = Some(eta_s);
        let numbers = IterationNumbers { rates, eta_s, memory_mb: None, fields, digits: 4 };
        iteration_line(header, &numbers)
    }

    #[test]
    fn on_a_gpu_a_line_tells_its_memory() {
        let header = LineHeader::TrainIter { iter: 10, max_iters: 20 };
        let numbers = IterationNumbers {
            memory_mb: Some(1234),
            fields: fields(&[("loss", 1.0)]),
            digits: 4,
            ..IterationNumbers::default()
        };
        let expected = "Iter(train) [10/20]    memory: 1234  loss: 1.0000";
        assert_eq!(iteration_line(&header, &numbers), expected);
    }

    #[test]
    fn a_training_line_is_mmengines_to_the_space() {
        let header = LineHeader::TrainEpoch { epoch: 1, max_epochs: 30, batch: 10, batches: 205 };
        let rates = fields(&[("base_lr", 0.01), ("lr", 0.01)]);
        let values =
            fields(&[("data_time", 0.0123), ("loss", 12.34567), ("loss_cls", 1.0), ("time", 0.5)]);
        assert_eq!(
            line(&header, rates, 3725.9, values),
            "Epoch(train)  [1][ 10/205]  base_lr: 1.0000e-02 lr: 1.0000e-02  eta: 1:02:05  \
             time: 0.5000  data_time: 0.0123  loss: 12.3457  loss_cls: 1.0000"
        );
    }

    #[test]
    fn a_validation_line_keeps_the_gap_of_the_missing_rate() {
        let header = LineHeader::ValEpoch { epoch: 5, max_epochs: Some(30), batch: 3, batches: 11 };
        let values = fields(&[("data_time", 0.0), ("time", 0.25)]);
        assert_eq!(
            line(&header, Fields::new(), 2.0, values),
            "Epoch(val)  [5][ 3/11]    eta: 0:00:02  time: 0.2500  data_time: 0.0000  "
        );
        assert_eq!(
            summary_line(&header, &fields(&[("coco/bbox_mAP", 0.291), ("time", 0.2)]), 4),
            "Epoch(val) [5][11/11]    coco/bbox_mAP: 0.2910  time: 0.2000"
        );
    }

    #[test]
    fn python_spells_numbers_this_way() {
        assert_eq!(scientific(5.0721e-4, 4), "5.0721e-04");
        assert_eq!(scientific(0.0, 4), "0.0000e+00");
        assert_eq!(scientific(12.0, 4), "1.2000e+01");
        assert_eq!(duration(90_061.0), "1 day, 1:01:01");
        assert_eq!(duration(-3.0), "0:00:00");
    }
}
