//! `snaphook runs where`: what every process of a run does at this moment. Knows nothing of who writes it down.

use std::path::{Path, PathBuf};

use serde_json::json;
use snaphook_heartbeat::{Record, process_state};
use snaphook_report::ReportError;

use crate::args::{Format, RunsWhereArguments};
use crate::{CliError, Exit, output};

/// How deep below a folder records are looked for: `work_dirs/config/launch_…`.
const DEPTH: usize = 4;

/// A rank's record with where it lies.
struct Place {
    folder: PathBuf,
    rank: u32,
    record: Record,
    state: &'static str,
}

pub(super) fn show(arguments: &RunsWhereArguments) -> Result<Exit, CliError> {
    let mut places = Vec::new();
    for folder in &arguments.folders {
        std::fs::read_dir(folder)
            .map_err(|source| ReportError::File { path: folder.clone(), source })?;
        look(folder, DEPTH, &mut places);
    }
    if !arguments.all {
        places.retain(|place| place.state != "ended");
    }
    places.sort_by(|a, b| (&a.folder, a.rank).cmp(&(&b.folder, b.rank)));
    match arguments.format {
        Format::Text if places.is_empty() && arguments.all => {
            output::print("no run of several processes was there\n")?;
        }
        Format::Text if places.is_empty() => {
            output::print(
                "no run of several processes is at work there (--all shows those that ended)\n",
            )?;
        }
        Format::Text => output::print(&listing(&places))?,
        Format::Json => {
            let all: Vec<_> = places.iter().map(to_json).collect();
            output::print(&format!("{:#}\n", json!(all)))?;
        }
    }
    Ok(Exit::Done)
}

fn look(folder: &Path, depth: usize, places: &mut Vec<Place>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth > 0 {
            look(&path, depth - 1, places);
        }
        let rank = name.strip_prefix("rank_").and_then(|rest| rest.strip_suffix(".heartbeat"));
        let Some(rank) = rank.and_then(|rank| rank.parse().ok()) else { continue };
        if let Ok(record) = Record::read(&path) {
            let state = state(record.process);
            places.push(Place { folder: folder.to_owned(), rank, record, state });
        }
    }
}

/// Of a process of this machine; what runs elsewhere looks as if it had ended.
fn state(process: u64) -> &'static str {
    match process_state(process) {
        Some('T' | 't') => "stopped",
        Some('Z') | None => "ended",
        Some(_) => "runs",
    }
}

fn listing(places: &[Place]) -> String {
    let mut rows = vec![["RANK", "PROCESS", "STATE", "WHERE", "FOLDER"].map(str::to_owned)];
    for Place { folder, rank, record, state } in places {
        rows.push([
            rank.to_string(),
            record.process.to_string(),
            (*state).to_owned(),
            record.place(),
            output::plain(&folder.display().to_string()),
        ]);
    }
    output::table(&rows, "")
}

fn to_json(Place { folder, rank, record, state }: &Place) -> serde_json::Value {
    let (hook, point) = record.hook.clone().unzip();
    let (epoch, iteration) = record.running.unzip();
    json!({
        "folder": folder.to_string_lossy(), "rank": rank, "process": record.process, "state": state,
        "phase": record.phase, "hook": hook, "point": point, "epoch": epoch, "iteration": iteration,
    })
}
