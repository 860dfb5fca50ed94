//! The page: one file of HTML that needs nothing else, from the data of one run or of several.
//! Knows nothing of folders.

mod chart;
mod compare;
mod curves;
mod details;
mod evaluation;
mod gallery;
mod headline;
mod scale;
mod text;
mod time;

use curves::section;
use text::escape;

pub use gallery::{Figure, Gallery, gallery_page};

use crate::RunData;

/// How the config of a run differs from that of the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigDifference {
    /// Which run, compared with which.
    pub title: String,
    /// A line each.
    pub changes: Vec<String>,
}

/// The page of one run.
pub fn run_page(run: &RunData) -> String {
    let time = run.record.as_ref().map_or_else(String::new, time::section);
    let body = [
        headline::header(run),
        headline::tiles(run),
        headline::notes(run),
        section("Curves", "charts", &curves::charts(run)),
        section("Predictions", "pictures", &details::pictures(run)),
        section("Metrics", "", &details::metrics(run)),
        section("What goes wrong where", "charts", &evaluation::section(run)),
        section("Where the time went", "two", &time),
        section("Machine, program, plugins", "two", &details::environment(run)),
        section("Warnings and errors of the log", "", &details::problems(run)),
        section("Config", "", &details::config(run)),
    ];
    document(&run.folder.title(), &body.concat(), &run.folder.path.display().to_string())
}

/// The page of several runs beside each other.
pub fn comparison_page(runs: &[RunData], differences: &[ConfigDifference]) -> String {
    let title = format!("{} runs compared", runs.len());
    let body = [
        format!("<header><h1>{title}</h1></header>\n"),
        section("What they reached", "", &compare::table(runs)),
        section("Curves", "charts", &curves::compared(runs)),
        section("How their configs differ", "two", &compare::configs(differences)),
    ];
    let folders: Vec<String> =
        runs.iter().map(|run| run.folder.path.display().to_string()).collect();
    document(&title, &body.concat(), &folders.join(", "))
}

fn document(title: &str, body: &str, source: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         {}\n\
         <title>{} · Snaphook</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n{body}\
         <footer>Written by Snaphook {} from {}</footer>\n</main>\n<script>\n{}</script>\n</body>\n</html>\n",
        include_str!("policy.html").trim(),
        escape(title),
        include_str!("style.css"),
        env!("CARGO_PKG_VERSION"),
        escape(source),
        include_str!("script.js")
    )
}
