//! `snaphook runs where`: what every process of a run does at this moment. Knows nothing of who writes it down.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;
use snaphook_heartbeat::{Presence, Record};
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
    presence: Presence,
    /// Since the file was written last, as far as its file system tells.
    age: Option<Duration>,
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
        places.retain(|place| matches!(place.presence, Presence::Runs | Presence::Stopped));
    }
    places.sort_by(|a, b| (&a.folder, a.rank).cmp(&(&b.folder, b.rank)));
    match arguments.format {
        Format::Text if places.is_empty() && arguments.all => {
            output::print("no run of several processes was there\n")?;
        }
        Format::Text if places.is_empty() => {
            output::print(
                "no run of several processes is at work there (--all shows those that ended or run elsewhere; what `launch --log-dir DIR` started without a work folder is found in DIR)\n",
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
            let (folder, presence, age) = (folder.to_owned(), record.presence(), age(&path));
            places.push(Place { folder, rank, record, presence, age });
        }
    }
}

/// In the folder that a job's pointer names, not below it.
fn look_elsewhere(pointer: &Path, places: &mut Vec<Place>) {
    if let Ok(folder) = std::fs::read_to_string(pointer) {
        look(Path::new(folder.trim()), 0, places);
    }
}

fn age(path: &Path) -> Option<Duration> {
    let written = std::fs::metadata(path).ok()?.modified().ok()?;
    // Another machine's clock may be ahead.
    Some(SystemTime::now().duration_since(written).unwrap_or_default())
}

fn state(presence: Presence) -> &'static str {
    match presence {
        Presence::Runs => "runs",
        Presence::Stopped => "stopped",
        Presence::Ended => "ended",
        Presence::Elsewhere => "elsewhere",
    }
}

/// Of a process elsewhere the age of its record is all that is known.
fn told_state(presence: Presence, age: Option<Duration>) -> String {
    match (presence, age) {
        (Presence::Elsewhere, Some(age)) => {
            format!("{}, written {} ago", state(presence), rounded(age))
        }
        _ => state(presence).to_owned(),
    }
}

fn rounded(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    let (length, name) = unit.unwrap_or((1, "s"));
    format!("{} {name}", seconds / length)
}

fn listing(places: &[Place]) -> String {
    let mut rows = vec![["RANK", "PROCESS", "STATE", "WHERE", "FOLDER"].map(str::to_owned)];
    for Place { folder, rank, record, presence, age } in places {
        rows.push([
            rank.to_string(),
            record.process.to_string(),
            told_state(*presence, *age),
            record.place(),
            output::plain(&folder.display().to_string()),
        ]);
    }
    output::table(&rows, "")
}

fn to_json(Place { folder, rank, record, presence, age }: &Place) -> serde_json::Value {
    let (hook, point) = record.hook.clone().unzip();
    let (epoch, iteration) = record.running.unzip();
    json!({
        "folder": folder.to_string_lossy(), "rank": rank, "process": record.process,
        "state": state(*presence), "written_ago_s": age.map(|age| age.as_secs()),
        "phase": record.phase, "hook": hook, "point": point, "epoch": epoch, "iteration": iteration,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_heartbeat::{Heartbeat, WORDS};
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The word of a record that says where its process is.
    const HOME: usize = 11;

    /// Writes the record of this process, as its words are after a change.
    fn write_record(folder: &Path, change: impl Fn(&[AtomicU64])) {
        std::fs::create_dir_all(folder).unwrap();
        let words: &'static [AtomicU64] =
            Box::leak((0..WORDS).map(|_| AtomicU64::new(0)).collect());
        Heartbeat::over(words).unwrap();
        change(words);
        let bytes = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        std::fs::write(folder.join("rank_0.heartbeat"), bytes.collect::<Vec<u8>>()).unwrap();
    }

    fn found(folder: &Path) -> Vec<Place> {
        let mut places = Vec::new();
        look(folder, DEPTH, &mut places);
        drop_repeated(&mut places);
        places
    }

    #[test]
    fn a_job_is_found_from_its_work_folder_wherever_its_logs_are() {
        let folder = tempfile::tempdir().unwrap();
        let (work, logs) = (folder.path().join("work"), folder.path().join("logs"));
        std::fs::create_dir_all(&work).unwrap();
        write_record(&logs, |_| {});
        let found = |folder: &Path| {
            let places = found(folder).into_iter();
            places.map(|place| (place.folder, place.presence)).collect::<Vec<_>>()
        };
        assert_eq!(found(&work), []);
        let pointer = logs.as_os_str().as_encoded_bytes();
        std::fs::write(work.join(format!("launch_1{LOG_DIR_POINTER}")), pointer).unwrap();
        assert_eq!(found(&work), [(logs.clone(), Presence::Runs)]);
        assert_eq!(found(folder.path()), [(logs, Presence::Runs)], "found once");
    }

    #[test]
    fn a_record_of_elsewhere_is_told_by_its_age_alone() {
        let folder = tempfile::tempdir().unwrap();
        // The process of this number runs here.
        write_record(folder.path(), |words| words[HOME].store(7, Ordering::Relaxed));
        let file =
            std::fs::File::options().write(true).open(folder.path().join("rank_0.heartbeat"));
        file.unwrap().set_modified(SystemTime::now() - Duration::from_secs(864_123)).unwrap();
        let places = found(folder.path());
        assert_eq!(places[0].presence, Presence::Elsewhere);
        assert!(
            listing(&places).contains("  elsewhere, written 10 d ago  "),
            "{}",
            listing(&places)
        );
        assert_eq!(to_json(&places[0])["state"], "elsewhere");
    }

    #[test]
    fn ages_are_told_in_the_largest_unit_that_says_enough() {
        let told =
            [0, 119, 120, 7199, 7200, 864_000].map(|time| rounded(Duration::from_secs(time)));
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "10 d"]);
    }
}
