//! Numbers in Prometheus' text format. Knows nothing of where they come from.

use std::fmt::Write;

/// A metric as Prometheus knows it: name, meaning, and the samples that have it.
#[derive(Debug)]
pub(crate) struct Family {
    name: &'static str,
    help: &'static str,
}

impl Family {
    pub(crate) const INFO: Family =
        Family { name: "snaphook_run_info", help: "The run, in labels." };
    pub(crate) const EPOCH: Family = Family { name: "snaphook_epoch", help: "Epochs finished." };
    pub(crate) const MAX_EPOCHS: Family =
        Family { name: "snaphook_max_epochs", help: "Epochs of the whole run." };
    pub(crate) const ITERATION: Family =
        Family { name: "snaphook_iteration", help: "Training iterations finished." };
    pub(crate) const MAX_ITERATIONS: Family =
        Family { name: "snaphook_max_iterations", help: "Training iterations of the whole run." };
    pub(crate) const LEARNING_RATE: Family =
        Family { name: "snaphook_learning_rate", help: "Learning rate of the first group." };
    pub(crate) const LOSS: Family =
        Family { name: "snaphook_loss", help: "Losses of an iteration." };
    pub(crate) const METRIC: Family =
        Family { name: "snaphook_metric", help: "Metrics of the last validation." };
    pub(crate) const CHECKPOINT: Family = Family {
        name: "snaphook_checkpoint_iteration",
        help: "Training iterations in the newest checkpoint.",
    };
    pub(crate) const UPDATED: Family = Family {
        name: "snaphook_updated_timestamp_seconds",
        help: "When these numbers were read, in seconds since 1970.",
    };
}

/// A number with its labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// As it stands in the text, `{name="loss"}`.
    labels: String,
    value: f64,
}

impl Sample {
    pub(crate) fn plain(value: f64) -> Sample {
        Sample { labels: String::new(), value }
    }

    pub(crate) fn named(name: &str, value: f64) -> Sample {
        Sample::labelled(&[("name", name.to_owned())], value)
    }

    pub(crate) fn labelled(labels: &[(&str, String)], value: f64) -> Sample {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, text)| {
                let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("{name}=\"{text}\"")
            })
            .collect();
        Sample { labels: format!("{{{}}}", labels.join(",")), value }
    }
}

/// All samples, by family, in the order in which families first came.
#[derive(Debug, Default)]
pub(crate) struct Page {
    families: Vec<(&'static str, &'static str, Vec<Sample>)>,
}

impl Page {
    /// Sets a sample; one with the same labels is replaced.
    pub(crate) fn set(&mut self, family: &Family, sample: Sample) {
        let known = self.families.iter().position(|(name, ..)| *name == family.name);
        let position = known.unwrap_or_else(|| {
            self.families.push((family.name, family.help, Vec::new()));
            self.families.len() - 1
        });
        let samples = &mut self.families[position].2;
        match samples.iter_mut().find(|known| known.labels == sample.labels) {
            Some(known) => *known = sample,
            None => samples.push(sample),
        }
    }

    /// The page.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, help, samples) in &self.families {
            // Writing into a string does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for sample in samples {
                let _ = writeln!(text, "{name}{} {}", sample.labels, number(sample.value));
            }
        }
        text
    }
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_head_for_each_family_and_escaped_labels() {
        let mut page = Page::default();
        page.set(&Family::LOSS, Sample::named("a \"b\"\\\n", 1.0));
        page.set(&Family::EPOCH, Sample::plain(1.0));
        page.set(&Family::LOSS, Sample::named("c", f64::NEG_INFINITY));
        page.set(&Family::EPOCH, Sample::plain(2.0));
        assert_eq!(
            page.text(),
            "# HELP snaphook_loss Losses of an iteration.\n# TYPE snaphook_loss gauge\n\
             snaphook_loss{name=\"a \\\"b\\\"\\\\\\n\"} 1\nsnaphook_loss{name=\"c\"} -Inf\n\
             # HELP snaphook_epoch Epochs finished.\n# TYPE snaphook_epoch gauge\nsnaphook_epoch 2\n"
        );
    }

    /// An independent reader of the format finds the same numbers.
    #[test]
    fn a_reader_of_the_format_takes_the_page() {
        let mut page = Page::default();
        page.set(&Family::LOSS, Sample::named("loss: part/1", 1e-7));
        page.set(&Family::METRIC, Sample::named("nan", f64::NAN));
        page.set(&Family::UPDATED, Sample::plain(1.7e9));
        let lines = page.text().lines().map(|line| Ok(line.to_owned())).collect::<Vec<_>>();
        let read = prometheus_parse::Scrape::parse(lines.into_iter()).unwrap();
        assert_eq!(read.samples.len(), 3);
        let loss = &read.samples[0];
        assert_eq!(
            (loss.metric.as_str(), loss.labels.get("name")),
            ("snaphook_loss", Some("loss: part/1"))
        );
        assert_eq!(loss.value, prometheus_parse::Value::Gauge(1e-7));
        assert_eq!(read.samples[2].value, prometheus_parse::Value::Gauge(1.7e9));
    }
}
