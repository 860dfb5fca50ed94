//! `snaphook runs list` and `snaphook runs diff`: what runs reached, without opening a page.
//! Knows nothing of how a run is read.

use serde_json::{Map, Value as Json, json};
use snaphook_config::{Change, LoadOptions, Written};
use snaphook_report::{
    Point, RunData, RunFolder, RunRecord, find_run, find_runs, is_greater_better,
};

use crate::args::{Format, RunsDiffArguments, RunsListArguments};
use crate::{CliError, Exit, output};

pub(super) fn list(arguments: &RunsListArguments) -> Result<Exit, CliError> {
    let mut folders: Vec<RunFolder> = Vec::new();
    for path in &arguments.folders {
        folders.extend(find_runs(path)?);
    }
    folders.dedup();
    let runs = folders.iter().map(RunData::read).collect::<Result<Vec<_>, _>>()?;
    let text = match arguments.format {
        Format::Text => listing(&runs),
        Format::Json => format!("{:#}\n", runs.iter().map(summary).collect::<Json>()),
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

fn listing(runs: &[RunData]) -> String {
    let head = ["RUN", "STATUS", "PROGRESS", "BEST", "LAST LOSS", "TIME", "STARTED"];
    let mut rows = vec![head.map(str::to_owned)];
    for run in runs {
        let record = run.record.as_ref();
        let text = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
        rows.push([
            output::plain(&run.folder.title()),
            text(run.status().map(|status| status.name().to_owned())),
            text(record.map(|record| record.position.reached())),
            text(best(run)),
            text(last_loss(run).map(|loss| format!("{loss:.4}"))),
            text(record.map(|record| duration(record.seconds))),
            text(record.map(|record| output::plain(&record.started.replace('T', " ")))),
        ]);
    }
    output::table(&rows, "")
}

fn best(run: &RunData) -> Option<String> {
    if let Some((metric, best)) = run.main_metric().zip(run.best()) {
        let (value, name) = (best.value, output::plain(&metric.name));
        return Some(format!("{value:.4} {name} @{}", at(best)));
    }
    let (name, value) = run.test.first()?;
    Some(format!("{value:.4} {} (test)", output::plain(name)))
}

/// The epoch, or the iteration of a training without epochs.
fn at(point: Point) -> String {
    match point.epoch {
        0 => format!("it {}", point.iter),
        epoch => epoch.to_string(),
    }
}

/// The last one, which is NaN for a run that diverged.
fn last_loss(run: &RunData) -> Option<f64> {
    Some(run.scalars.training("loss")?.points.last()?.value)
}

/// `h:mm:ss`.
fn duration(seconds: f64) -> String {
    let total = seconds.max(0.0) as u64;
    format!("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60)
}

/// What programs want to know of a run; `metrics` are `{name: {best, epoch, iter, last}}`, with null for the
/// epoch of a training without epochs.
fn summary(run: &RunData) -> Json {
    let metric = |curve: &snaphook_report::Curve| {
        let best = curve.best(is_greater_better(&curve.name))?;
        let epoch = (best.epoch > 0).then_some(best.epoch);
        let last = curve.last()?.value;
        let value = json!({ "best": best.value, "epoch": epoch, "iter": best.iter, "last": last });
        Some((curve.name.clone(), value))
    };
    let metrics: Map<String, Json> = run.metrics().filter_map(metric).collect();
    json!({
        "run": run.folder.title(),
        "path": run.folder.path,
        "status": run.status().map(|status| status.name()),
        "reason": run.record.as_ref().and_then(|record| record.reason.clone()),
        "position": run.record.as_ref().map(|record| record.position),
        "started": run.record.as_ref().map(|record| record.started.clone()),
        "seconds": run.record.as_ref().map(|record| record.seconds),
        "iterations_per_second": run.record.as_ref().and_then(RunRecord::iterations_per_second),
        "last_loss": last_loss(run),
        "metrics": metrics,
        "test": run.test.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>(),
    })
}

pub(super) fn diff(arguments: &RunsDiffArguments) -> Result<Exit, CliError> {
    let folders = [find_run(&arguments.before)?, find_run(&arguments.after)?];
    let runs = [RunData::read(&folders[0])?, RunData::read(&folders[1])?];
    let changes = config_changes(&folders[0], &folders[1]);
    let text = match arguments.format {
        Format::Json => {
            let (changes, problem) = match changes {
                Ok(changes) => (Some(changes), None),
                Err(problem) => (None, Some(problem)),
            };
            let runs: Vec<Json> = runs.iter().map(summary).collect();
            format!("{:#}\n", json!({ "runs": runs, "config": changes, "config_problem": problem }))
        }
        Format::Text => comparison(&runs, changes),
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

fn comparison(runs: &[RunData; 2], changes: Result<Vec<String>, String>) -> String {
    let [a, b] = runs;
    let mut rows = vec![["".to_owned(), a.folder.title(), b.folder.title(), "CHANGE".to_owned()]];
    let mut row = |name: &str, text: &dyn Fn(&RunData) -> Option<String>, change: Option<f64>| {
        let (left, right) = (text(a), text(b));
        if left.is_some() || right.is_some() {
            let dash = || "-".to_owned();
            let change = change.map_or_else(String::new, |change| format!("{change:+.4}"));
            rows.push([
                name.to_owned(),
                left.unwrap_or_else(dash),
                right.unwrap_or_else(dash),
                change,
            ]);
        }
    };
    row("status", &|run| Some(run.status()?.name().to_owned()), None);
    row("progress", &|run| run.record.as_ref().map(|record| record.position.reached()), None);
    row("time", &|run| run.record.as_ref().map(|record| duration(record.seconds)), None);
    row(
        "iterations a second",
        &|run| Some(format!("{:.2}", run.record.as_ref()?.iterations_per_second()?)),
        None,
    );
    let loss = last_loss(a).zip(last_loss(b)).map(|(a, b)| b - a);
    row("last loss", &|run| Some(format!("{:.4}", last_loss(run)?)), loss);
    let mut names: Vec<&str> = Vec::new();
    for curve in a.metrics().chain(b.metrics()) {
        if !names.contains(&curve.name.as_str()) {
            names.push(&curve.name);
        }
    }
    for name in names {
        let value = |run: &RunData| {
            let curve = run.metrics().find(|curve| curve.name == name)?;
            curve.best(is_greater_better(name))
        };
        let change = value(a).zip(value(b)).map(|(a, b)| b.value - a.value);
        let text =
            |run: &RunData| value(run).map(|best| format!("{:.4} @{}", best.value, at(best)));
        row(&format!("best {}", output::plain(name)), &text, change);
    }
    let config = match changes {
        Ok(changes) if changes.is_empty() => "the same config\n".to_owned(),
        Ok(changes) => changes.iter().map(|change| format!("{change}\n")).collect(),
        Err(why) => format!("the configs cannot be compared: {why}\n"),
    };
    format!("{}\nconfig\n{config}", output::table(&rows, ""))
}

/// How the configs of two runs differ, a line each; why they cannot be compared.
pub(super) fn config_changes(before: &RunFolder, after: &RunFolder) -> Result<Vec<String>, String> {
    let load = |run: &RunFolder| {
        snaphook_config::load(&run.vis_data().join("config.py"), &LoadOptions::default())
            .map_err(|error| error.to_string())
    };
    let changes = snaphook_config::diff(&load(before)?, &load(after)?);
    Ok(changes.iter().map(line).collect())
}

/// A change without the places, which are lines of the two copies that nobody wrote by hand.
fn line(change: &Change) -> String {
    let text = |written: &Option<Written>| {
        written.as_ref().map_or_else(String::new, |written| written.value.to_string())
    };
    let (before, after) = (text(&change.before), text(&change.after));
    let line = match (&change.before, &change.after) {
        (Some(_), Some(_)) => format!("~ {}: {before} -> {after}", change.key),
        (Some(_), None) => format!("- {}: {before}", change.key),
        (None, _) => format!("+ {}: {after}", change.key),
    };
    output::plain(&line)
}
