//! `snaphook runs where`: what every process of a run does at this moment. Knows nothing of who writes it down.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::json;
use snaphook_heartbeat::{Record, process_state};
use snaphook_report::ReportError;

use super::launch::LOG_DIR_POINTER;
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
    drop_repeated(&mut places);
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
                "no run of several processes is at work there (--all shows those that ended; what `launch --log-dir DIR` started without a work folder is found in DIR)\n",
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

/// A folder may lie below another one, and be pointed at from a third.
fn drop_repeated(places: &mut Vec<Place>) {
    let mut known = HashSet::new();
    places.retain(|place| {
        let folder = std::fs::canonicalize(&place.folder).unwrap_or(place.folder.clone());
        known.insert((folder, place.rank))
    });
}

fn look(folder: &Path, depth: usize, places: &mut Vec<Place>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth > 0 {
            look(&path, depth - 1, places);
        }
        if name.ends_with(LOG_DIR_POINTER) && depth > 0 {
            look_elsewhere(&path, places);
        }
        let rank = name.strip_prefix("rank_").and_then(|rest| rest.strip_suffix(".heartbeat"));
        let Some(rank) = rank.and_then(|rank| rank.parse().ok()) else { continue };
        if let Ok(record) = Record::read(&path) {
            let state = state(record.process);
            places.push(Place { folder: folder.to_owned(), rank, record, state });
        }
    }
}

/// In the folder that a job's pointer names, not below it.
fn look_elsewhere(pointer: &Path, places: &mut Vec<Place>) {
    if let Ok(folder) = std::fs::read_to_string(pointer) {
        look(Path::new(folder.trim()), 0, places);
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

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_heartbeat::{Heartbeat, WORDS};
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_job_is_found_from_its_work_folder_wherever_its_logs_are() {
        let folder = tempfile::tempdir().unwrap();
        let (work, logs) = (folder.path().join("work"), folder.path().join("logs"));
        std::fs::create_dir_all(&work).unwrap();
        std::fs::create_dir_all(&logs).unwrap();
        let words: &'static [AtomicU64] =
            Box::leak((0..WORDS).map(|_| AtomicU64::new(0)).collect());
        Heartbeat::over(words).unwrap();
        let bytes = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        std::fs::write(logs.join("rank_0.heartbeat"), bytes.collect::<Vec<u8>>()).unwrap();
        let found = |folder: &Path| {
            let mut places = Vec::new();
            look(folder, DEPTH, &mut places);
            drop_repeated(&mut places);
            places.into_iter().map(|place| (place.folder, place.state)).collect::<Vec<_>>()
        };
        assert_eq!(found(&work), []);
        let pointer = logs.as_os_str().as_encoded_bytes();
        std::fs::write(work.join(format!("launch_1{LOG_DIR_POINTER}")), pointer).unwrap();
        assert_eq!(found(&work), [(logs.clone(), "runs")]);
        assert_eq!(found(folder.path()), [(logs, "runs")], "found once");
    }
}
