//! Everything of a run that a report shows, read from its folder. Knows nothing of how it is shown.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::diagnosed::{self, Diagnosed};
use crate::{Curve, Point, ReportError, RunFolder, RunRecord, Scalars, Status, find_runs};

/// Bytes of all pictures that a report takes in.
const PICTURE_BYTES: u64 = 6 << 20;

/// Pictures that a report takes in: the last ones.
const PICTURES: usize = 12;

/// Warnings and errors of the log that a report shows.
const PROBLEMS: usize = 50;

/// A run as its folder tells it.
#[derive(Clone, Debug)]
pub struct RunData {
    /// Where it lies.
    pub folder: RunFolder,
    /// `run.json`; runs of MMEngine have none.
    pub record: Option<RunRecord>,
    /// The curves, with those of the runs that it went on from.
    pub scalars: Scalars,
    /// What goes wrong where, in the last evaluation.
    pub diagnoses: Vec<Diagnosed>,
    /// Metrics of a test.
    pub test: Vec<(String, f64)>,
    /// The resolved config.
    pub config: Option<String>,
    /// What was written down of each plugin.
    pub plugins: Vec<Json>,
    /// Pictures of predictions, the newest last.
    pub pictures: Vec<PathBuf>,
    /// Warnings and errors of the log, the last ones.
    pub problems: Vec<String>,
}

impl RunData {
    /// Reads a run's folder. What is missing is left out: a run may have been killed at any moment.
    ///
    /// Errors: a file that is there and cannot be read.
    pub fn read(folder: &RunFolder) -> Result<RunData, ReportError> {
        let record = RunRecord::read(&folder.path)?;
        let mut scalars = own_scalars(folder)?;
        if let Some(record) = record.as_ref().filter(|record| record.resumed_from.is_some()) {
            scalars = scalars.after(earlier_scalars(folder, record)?);
        }
        let log = text(&folder.log())?.unwrap_or_default();
        let plugins = text(&folder.path.join("plugins.json"))?;
        Ok(RunData {
            record,
            scalars,
            diagnoses: diagnosed::read(&folder.vis_data()),
            test: test_metrics(folder)?,
            config: text(&folder.vis_data().join("config.py"))?,
            plugins: plugins.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
            pictures: pictures(folder),
            problems: problems(&log),
            folder: folder.clone(),
        })
    }

    /// How it stands; a run without a record has ended, one way or another.
    pub fn status(&self) -> Option<Status> {
        self.record.as_ref().map(RunRecord::status_now)
    }

    /// The metrics of validations, without times and other measurements of the machine, and without those that could not
    /// be computed: COCO's are -1 where the data has no object of a size.
    pub fn metrics(&self) -> impl Iterator<Item = &Curve> {
        let is_time =
            |curve: &Curve| matches!(curve.name.as_str(), "time" | "data_time" | "memory");
        let is_absent = |curve: &Curve| curve.points.iter().all(|point| point.value == -1.0);
        let curves = self.scalars.validation.iter();
        curves.filter(move |curve| !is_time(curve) && !is_absent(curve))
    }

    /// The metric that people look at first: the first one of a validation, or of a test.
    pub fn main_metric(&self) -> Option<&Curve> {
        self.metrics().next()
    }

    /// The best value of the main metric.
    pub fn best(&self) -> Option<Point> {
        let metric = self.main_metric()?;
        metric.best(is_greater_better(&metric.name))
    }
}

/// Whether more of a metric is better, by MMEngine's words: less is better of a loss or an error only.
pub fn is_greater_better(name: &str) -> bool {
    let name = name.to_lowercase();
    !["loss", "error", "perplexity", "mae", "rmse"].iter().any(|word| name.contains(word))
}

fn text(path: &Path) -> Result<Option<String>, ReportError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReportError::file(path, source)),
    }
}

fn own_scalars(folder: &RunFolder) -> Result<Scalars, ReportError> {
    let text = text(&folder.vis_data().join("scalars.json"))?;
    let validations = RunRecord::read(&folder.path)?.map(|record| record.validations);
    let validations = validations.unwrap_or_default();
    Ok(text.map(|text| Scalars::parse_with(&text, &validations)).unwrap_or_default())
}

/// The curves of the runs that this one went on from: those whose checkpoints were resumed, one after the other. Records
/// that do not say which run that was (of an older version) stand for all runs before them in the same work folder.
fn earlier_scalars(folder: &RunFolder, record: &RunRecord) -> Result<Scalars, ReportError> {
    let runs = find_runs(&folder.work_dir())?;
    let mut scalars = Scalars::default();
    if record.resumed_experiment.is_some() {
        for run in chain(&runs, record)?.iter().rev() {
            scalars = own_scalars(run)?.after(scalars);
        }
        return Ok(scalars);
    }
    for run in runs.iter().filter(|run| *run < folder) {
        let is_fresh = RunRecord::read(&run.path)?.is_some_and(|run| run.resumed_from.is_none());
        let own = own_scalars(run)?;
        scalars = if is_fresh { own } else { own.after(scalars) };
    }
    Ok(scalars)
}

/// The runs that a run went on from, the last one first.
fn chain(runs: &[RunFolder], record: &RunRecord) -> Result<Vec<RunFolder>, ReportError> {
    let mut records = Vec::new();
    for run in runs {
        records.extend(RunRecord::read(&run.path)?.map(|record| (run, record)));
    }
    let mut found: Vec<RunFolder> = Vec::new();
    let mut wanted = record.resumed_experiment.as_ref();
    while let Some(name) = wanted {
        let Some((run, record)) = records.iter().find(|(_, record)| record.experiment == *name)
        else {
            break;
        };
        // A record that was edited by hand must not lead round in a circle.
        if found.contains(run) {
            break;
        }
        found.push((*run).clone());
        wanted = record.resumed_experiment.as_ref();
    }
    Ok(found)
}

fn test_metrics(folder: &RunFolder) -> Result<Vec<(String, f64)>, ReportError> {
    let path = folder.path.join(format!("{}.json", folder.timestamp()));
    let Some(text) = text(&path)? else { return Ok(Vec::new()) };
    // The same spelling as a record of `scalars.json`, without a step.
    let read = Scalars::parse(&text.replace('\n', " "));
    let value = |curve: &Curve| curve.points.first().map(|point| (curve.name.clone(), point.value));
    Ok(read.validation.iter().filter_map(value).collect())
}

/// The newest pictures of a validation or test, as many as a page can hold.
fn pictures(folder: &RunFolder) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.vis_data().join("vis_image")];
    folders.extend(std::fs::read_dir(&folder.path).into_iter().flatten().flatten().filter_map(
        |entry| {
            let path = entry.path();
            (path.is_dir() && !path.ends_with("vis_data")).then_some(path)
        },
    ));
    for folder in folders {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
            let is_picture = ending
                .is_some_and(|ending| ["png", "jpg", "jpeg"].iter().any(|known| ending == *known));
            if let (true, Ok(meta)) = (is_picture, entry.metadata()) {
                found.push((meta.modified().ok(), path, meta.len()));
            }
        }
    }
    found.sort();
    let mut bytes = 0;
    let newest = found.into_iter().rev().take(PICTURES).take_while(|(_, _, length)| {
        bytes += length;
        bytes <= PICTURE_BYTES
    });
    let mut paths: Vec<PathBuf> = newest.map(|(_, path, _)| path).collect();
    paths.reverse();
    paths
}

/// The log's warnings and errors without their time, the last ones.
fn problems(log: &str) -> Vec<String> {
    let is_problem = |line: &&str| {
        [" - mmengine - WARNING - ", " - mmengine - ERROR - "]
            .iter()
            .any(|mark| line.contains(mark))
    };
    let text = |line: &str| line.split_once(" - mmengine - ").map(|(_, text)| text.to_owned());
    let mut found: Vec<String> = log.lines().filter(is_problem).filter_map(text).collect();
    found.drain(..found.len().saturating_sub(PROBLEMS));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_mmengine_is_read_without_a_record() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("work/20260101_000000");
        std::fs::create_dir_all(folder.join("vis_data/vis_image")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write(
            "vis_data/scalars.json",
            "{\"loss\": 1.0, \"epoch\": 1, \"iter\": 1, \"step\": 1}\n{\"coco/bbox_mAP\": 0.5, \"step\": 1}\n",
        );
        write("vis_data/vis_image/val_img_1.png", "picture");
        write("20260101_000000.json", "{\"coco/bbox_mAP\": NaN, \"time\": 0.5}");
        write(
            "20260101_000000.log",
            "2026/01/01 00:00:00 - mmengine - INFO - fine\n2026/01/01 00:00:00 - mmengine - WARNING - look\n",
        );
        let run = RunData::read(&RunFolder { path: folder }).unwrap();
        assert_eq!(run.status(), None);
        assert_eq!(run.best().map(|point| (point.epoch, point.value)), Some((1, 0.5)));
        assert!(run.test[0].1.is_nan() && run.test[1] == ("time".to_owned(), 0.5));
        assert_eq!(run.problems, ["WARNING - look"]);
        assert_eq!(run.pictures.len(), 1);
    }

    #[test]
    fn less_is_better_of_losses_alone() {
        assert!(is_greater_better("coco/bbox_mAP") && is_greater_better("toy/speed"));
        assert!(!is_greater_better("val_loss") && !is_greater_better("depth/RMSE"));
    }
}
