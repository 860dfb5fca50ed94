//! Finds runs on disk: a run's folder has `run.json`, or MMEngine's `vis_data`. Knows nothing of what is in them.

use std::path::{Path, PathBuf};

use crate::{RUN_FILE, ReportError};

/// Folders above runs that are looked into: `work_dirs/<config>/<timestamp>`.
const DEPTH: usize = 3;

/// The folder of one run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunFolder {
    /// `work_dirs/<config>/<timestamp>`.
    pub path: PathBuf,
}

impl RunFolder {
    /// When the run began, as its folder says.
    pub fn timestamp(&self) -> String {
        name(&self.path)
    }

    /// The folder of checkpoints, in which the run's folder lies.
    pub fn work_dir(&self) -> PathBuf {
        self.path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
    }

    /// `<config>/<timestamp>`: short, and different for different runs of one folder.
    pub fn title(&self) -> String {
        match name(&self.work_dir()).as_str() {
            "" => self.timestamp(),
            work => format!("{work}/{}", self.timestamp()),
        }
    }

    /// The folder of scalars and pictures.
    pub fn vis_data(&self) -> PathBuf {
        self.path.join("vis_data")
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.path.join(format!("{}.log", self.timestamp()))
    }

    fn is_at(path: &Path) -> bool {
        path.join(RUN_FILE).is_file() || path.join("vis_data").is_dir()
    }
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// All runs at or below a folder, by the work folder's name and the time of their start.
///
/// Errors: no such folder, one that cannot be read, or no run in it.
pub fn find_runs(path: &Path) -> Result<Vec<RunFolder>, ReportError> {
    // Names of folders are names of runs: `.` has none.
    let whole = path.canonicalize().map_err(|source| ReportError::file(path, source))?;
    let mut runs = Vec::new();
    collect(&whole, DEPTH, &mut runs)?;
    runs.sort();
    if runs.is_empty() {
        let message = "expected a run's folder, or a folder with runs in it (they have a file run.json, or a folder \
                       vis_data), found none";
        return Err(ReportError::NoRun { path: path.to_owned(), message: message.to_owned() });
    }
    Ok(runs)
}

/// The run that a path means: itself, or the last one that began in this work folder.
///
/// Errors: as [`find_runs`]; a folder with runs of several work folders.
pub fn find_run(path: &Path) -> Result<RunFolder, ReportError> {
    let runs = find_runs(path)?;
    let works: Vec<PathBuf> = runs.iter().map(RunFolder::work_dir).collect();
    if let Some(other) = works.iter().find(|work| **work != works[0]) {
        let message = format!(
            "expected one run or work folder, found several, such as {} and {} (name one of them)",
            works[0].display(),
            other.display()
        );
        return Err(ReportError::NoRun { path: path.to_owned(), message });
    }
    let last = runs.into_iter().next_back();
    last.ok_or_else(|| ReportError::NoRun { path: path.to_owned(), message: "no run".to_owned() })
}

fn collect(folder: &Path, depth: usize, runs: &mut Vec<RunFolder>) -> Result<(), ReportError> {
    if RunFolder::is_at(folder) {
        runs.push(RunFolder { path: folder.to_owned() });
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let failed = |source| ReportError::file(folder, source);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !is_hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // A folder below that nobody may look into holds no run for us.
            let _ = collect(&entry.path(), depth - 1, runs);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_from_any_of_the_folders_above() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str| std::fs::create_dir_all(root.path().join(path)).unwrap();
        make("work_dirs/a/20260101_000000/vis_data");
        make("work_dirs/a/20260102_000000/vis_data");
        make("work_dirs/a/epoch_1");
        make("work_dirs/b/20260103_000000/vis_data");
        let work = root.path().join("work_dirs");
        let titles: Vec<_> = find_runs(&work).unwrap().iter().map(RunFolder::title).collect();
        assert_eq!(titles, ["a/20260101_000000", "a/20260102_000000", "b/20260103_000000"]);
        assert_eq!(find_run(&work.join("a")).unwrap().timestamp(), "20260102_000000");
        let first = work.join("a/20260101_000000");
        assert_eq!(find_run(&first).unwrap().timestamp(), "20260101_000000");
        assert!(find_run(&work).unwrap_err().to_string().contains("name one of them"));
        let empty = find_runs(&work.join("a/epoch_1")).unwrap_err().to_string();
        assert!(empty.contains("found none"), "{empty}");
        assert!(find_runs(&work.join("missing")).is_err());
    }
}
