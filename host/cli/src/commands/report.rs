//! `snaphook report`: the page of a run, or of several beside each other. Knows nothing of what is on it.

use std::path::{Path, PathBuf};

use snaphook_report::{
    ConfigDifference, REPORT_FILE, ReportError, RunData, RunFolder, comparison_page, find_run,
    run_page,
};

use super::runs::config_changes;
use crate::args::ReportArguments;
use crate::{CliError, Exit, output};

pub(super) fn report(arguments: &ReportArguments) -> Result<Exit, CliError> {
    let mut folders: Vec<RunFolder> = Vec::new();
    for path in &arguments.runs {
        let folder = find_run(path)?;
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let runs = folders.iter().map(RunData::read).collect::<Result<Vec<_>, _>>()?;
    let (page, usual) = match runs.as_slice() {
        [run] => (run_page(run), run.folder.path.join(REPORT_FILE)),
        runs => (comparison_page(runs, &differences(runs)), PathBuf::from("comparison.html")),
    };
    let path = arguments.out.clone().unwrap_or(usual);
    write(&path, &page)?;
    output::print(&format!("{}\n", path.display()))?;
    Ok(Exit::Done)
}

/// Each run's config against that of the first one.
fn differences(runs: &[RunData]) -> Vec<ConfigDifference> {
    let Some((first, others)) = runs.split_first() else { return Vec::new() };
    let difference = |run: &RunData| {
        let changes = config_changes(&first.folder, &run.folder);
        ConfigDifference {
            title: format!("{} against {}", run.folder.title(), first.folder.title()),
            changes: changes.unwrap_or_else(|why| vec![format!("cannot be compared: {why}")]),
        }
    };
    others.iter().map(difference).collect()
}

fn write(path: &Path, page: &str) -> Result<(), ReportError> {
    std::fs::write(path, page).map_err(|source| ReportError::File { path: path.to_owned(), source })
}
