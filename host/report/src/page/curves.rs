//! Which curves of a run make which chart. Knows nothing of how a chart is drawn.

use super::chart::{COLOURS, Chart, Line};
use super::text::escape;
use crate::{Curve, RunData};

/// Curves of one chart; more would be a tangle.
const MOST_LINES: usize = 8;

/// What kind of scalar a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Loss,
    Rate,
    Time,
    Gradient,
    Memory,
    Other,
}

fn kind(name: &str) -> Kind {
    match name {
        "time" | "data_time" => Kind::Time,
        "grad_norm" => Kind::Gradient,
        "memory" => Kind::Memory,
        name if name.contains("loss") => Kind::Loss,
        name if name.ends_with("lr") || name.contains("momentum") => Kind::Rate,
        _ => Kind::Other,
    }
}

/// The charts of one run: losses, metrics, learning rate, times and the rest.
pub(super) fn charts(run: &RunData) -> String {
    let iterations = iterations(std::slice::from_ref(run));
    let chart = |title: &str, unit: &str, curves: &[&Curve]| Chart {
        iterations,
        ..chart(title, unit, curves)
    };
    let train = &run.scalars.train;
    let of = |wanted: Kind| -> Vec<&Curve> {
        train.iter().filter(|curve| kind(&curve.name) == wanted).collect()
    };
    let mut html = String::new();
    html += &chart("Losses", "training", &of(Kind::Loss)).smoothed().log().html();
    for group in metric_groups(run) {
        html +=
            &Chart { has_dots: true, ..chart(&group.title, "validation", &group.curves) }.html();
    }
    html += &chart("Learning rate", "", &of(Kind::Rate)).log().html();
    html += &chart("Time of an iteration", "seconds", &of(Kind::Time)).smoothed().log().html();
    html += &chart("Gradient norm", "", &of(Kind::Gradient)).smoothed().log().html();
    html += &chart("Memory of the device", "MB", &of(Kind::Memory)).html();
    html += &chart("Other scalars", "training", &of(Kind::Other)).smoothed().html();
    html
}

/// From the start to the last iteration that any run wrote something of.
fn iterations(runs: &[RunData]) -> Option<(u64, u64)> {
    let curves = runs.iter().flat_map(|run| run.scalars.train.iter().chain(run.metrics()));
    let last = curves.flat_map(|curve| &curve.points).map(|point| point.iter).max()?;
    Some((0, last))
}

struct Group<'a> {
    title: String,
    curves: Vec<&'a Curve>,
}

/// Metrics of one evaluator (`coco/…`) share a chart; losses of a validation have one of their own.
fn metric_groups(run: &RunData) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for curve in run.metrics() {
        let title = match curve.name.rsplit_once('/') {
            _ if kind(&curve.name) == Kind::Loss => "Validation loss".to_owned(),
            Some((prefix, _)) => format!("Metrics: {prefix}"),
            None => "Metrics".to_owned(),
        };
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.curves.push(curve),
            None => groups.push(Group { title, curves: vec![curve] }),
        }
    }
    groups
}

fn chart(title: &str, unit: &str, curves: &[&Curve]) -> Chart {
    // The sum of the losses comes first in MMEngine's records, and the main metric too.
    let line = |(index, curve): (usize, &&Curve)| Line {
        name: short(&curve.name).to_owned(),
        points: curve.points.clone(),
        colour: index % COLOURS,
    };
    let lines = curves.iter().take(MOST_LINES).enumerate().map(line).collect();
    Chart { title: title.to_owned(), unit: unit.to_owned(), lines, ..Chart::default() }
}

impl Chart {
    fn log(self) -> Chart {
        Chart { may_be_log: true, ..self }
    }

    fn smoothed(self) -> Chart {
        Chart { is_smoothed: true, ..self }
    }
}

/// The name without its evaluator: `coco/bbox_mAP` is `bbox_mAP`.
pub(super) fn short(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}

/// A chart for each scalar that several runs have, a line for each run.
pub(super) fn compared(runs: &[RunData]) -> String {
    let mut html = String::new();
    let loss = |run: &RunData| run.scalars.training("loss").cloned();
    html += &overlay("Loss", "training", runs, &loss).smoothed().log().html();
    for name in metric_names(runs) {
        let metric = |run: &RunData| run.metrics().find(|curve| curve.name == name).cloned();
        let chart = overlay(&name, "validation", runs, &metric);
        html += &Chart { has_dots: true, ..chart }.html();
    }
    for (title, unit, name) in
        [("Learning rate", "", "lr"), ("Time of an iteration", "seconds", "time")]
    {
        let curve = |run: &RunData| run.scalars.training(name).cloned();
        let chart = overlay(title, unit, runs, &curve);
        let chart = if name == "time" { chart.smoothed() } else { chart };
        html += &chart.log().html();
    }
    html
}

/// The names of metrics of all runs, those of the first run first.
pub(super) fn metric_names(runs: &[RunData]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for curve in runs.iter().flat_map(RunData::metrics) {
        if !names.contains(&curve.name) {
            names.push(curve.name.clone());
        }
    }
    names
}

fn overlay(
    title: &str,
    unit: &str,
    runs: &[RunData],
    curve: &dyn Fn(&RunData) -> Option<Curve>,
) -> Chart {
    let line = |(index, run): (usize, &RunData)| {
        let points = curve(run)?.points;
        Some(Line { name: run.folder.title(), points, colour: index % COLOURS })
    };
    let lines = runs.iter().enumerate().filter_map(line).collect();
    let iterations = iterations(runs);
    Chart { title: title.to_owned(), unit: unit.to_owned(), lines, iterations, ..Chart::default() }
}

/// A section with a heading; nothing without a content.
pub(super) fn section(title: &str, class: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!("<section><h2>{}</h2><div class=\"{class}\">{content}</div></section>\n", escape(title))
}
