//! Several runs beside each other: a table of what they reached, and how their configs differ.
//! Knows nothing of charts.

use super::curves::{metric_names, short};
use super::text::{duration, escape, number, rate};
use super::time;
use crate::{ConfigDifference, RunData, is_greater_better};

/// Metrics of the table; the charts show all.
const MOST_METRICS: usize = 3;

/// A row for each run; the best of each metric stands out.
pub(super) fn table(runs: &[RunData]) -> String {
    let names: Vec<String> = metric_names(runs).into_iter().take(MOST_METRICS).collect();
    let best = |run: &RunData, name: &str| {
        let curve = run.metrics().find(|curve| curve.name == name)?;
        curve.best(is_greater_better(name)).map(|point| point.value)
    };
    let winner = |name: &str| {
        let values = runs.iter().filter_map(|run| best(run, name));
        values.reduce(|a, b| if is_greater_better(name) { a.max(b) } else { a.min(b) })
    };
    let winners: Vec<Option<f64>> = names.iter().map(|name| winner(name)).collect();
    let heads: String = names
        .iter()
        .map(|name| format!("<th class=\"n\">best {}</th>", escape(short(name))))
        .collect();
    let mut rows = String::new();
    for (index, run) in runs.iter().enumerate() {
        let cells: String = names
            .iter()
            .zip(&winners)
            .map(|(name, winner)| {
                let value = best(run, name);
                let class = if value.is_some() && value == *winner { "n best" } else { "n" };
                let text = value.map_or_else(|| "–".to_owned(), number);
                format!("<td class=\"{class}\">{text}</td>")
            })
            .collect();
        rows += &format!(
            "<tr><td class=\"run\"><i class=\"swatch\" style=\"background:var(--c{})\"></i>{}</td><td>{}</td>{cells}{}</tr>",
            index % super::chart::COLOURS,
            escape(&run.folder.title()),
            pill(run),
            numbers(run)
        );
    }
    format!(
        "<div class=\"card scroll\"><table><tr><th>run</th><th></th>{heads}<th class=\"n\">last loss</th>\
         <th class=\"n\">progress</th><th class=\"n\">time</th><th class=\"n\">rate</th><th>where the time went</th></tr>\
         {rows}</table></div>"
    )
}

fn pill(run: &RunData) -> String {
    let status = run.status();
    status.map_or_else(String::new, |status| {
        format!("<span class=\"pill {0}\">{0}</span>", status.name())
    })
}

fn numbers(run: &RunData) -> String {
    let none = || "–".to_owned();
    let loss = run.scalars.training("loss").and_then(|loss| loss.last());
    let loss = loss.map_or_else(none, |point| number(point.value));
    let Some(record) = &run.record else {
        return format!(
            "<td class=\"n\">{loss}</td>{}<td></td>",
            "<td class=\"n\">–</td>".repeat(3)
        );
    };
    format!(
        "<td class=\"n\">{loss}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td style=\"min-width:150px\">{}</td>",
        record.position.reached(),
        duration(record.seconds),
        record.iterations_per_second().map_or_else(none, rate),
        time::bar(record)
    )
}

/// How the configs of the runs differ from the first one's.
pub(super) fn configs(differences: &[ConfigDifference]) -> String {
    let card = |difference: &ConfigDifference| {
        let text = match difference.changes.as_slice() {
            [] => "the same config".to_owned(),
            changes => changes.join("\n"),
        };
        format!(
            "<div class=\"card\"><h3>{}</h3><pre>{}</pre></div>",
            escape(&difference.title),
            escape(&text)
        )
    };
    differences.iter().map(card).collect()
}
