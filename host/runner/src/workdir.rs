//! The work folder: MMEngine's layout and names. Knows nothing of what is written there.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use chrono::Local;
use tch::Device;

use crate::RunError;
use crate::machine::RunInfo;

/// What names a run.
#[derive(Clone, Debug)]
pub struct RunNames<'a> {
    /// The config file.
    pub config_path: &'a Path,
    /// `--work-dir` or the config's `work_dir`; `./work_dirs/<config>` without it.
    pub work_dir: Option<&'a Path>,
    /// The config's `experiment_name`.
    pub experiment_name: Option<&'a str>,
    /// Seed of every random draw.
    pub seed: u64,
    /// Where the model lives.
    pub device: Device,
}

/// Keeps other trainings out of a work folder as long as it is there; the system ends it with the process.
#[derive(Debug)]
pub(crate) struct WorkFolderLock {
    _folder: File,
}

impl WorkFolderLock {
    /// Takes the folder; `None` where there is no such folder yet, or its file system has no locks.
    ///
    /// Errors: another process trains into it.
    pub(crate) fn take(work_dir: &Path) -> Result<Option<WorkFolderLock>, RunError> {
        let Ok(folder) = File::open(work_dir) else { return Ok(None) };
        match folder.try_lock() {
            Ok(()) => Ok(Some(WorkFolderLock { _folder: folder })),
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "another training is going on in {} (give --work-dir, or wait for its end)",
                    work_dir.display()
                );
                Err(RunError::config("work_dir", message))
            }
            Err(TryLockError::Error(_)) => Ok(None),
        }
    }
}

impl RunNames<'_> {
    /// Makes `work_dirs/<config>/<timestamp>/`, and tells what the run is called.
    ///
    /// Two runs that start in the same second get different folders: the later one a timestamp with
    /// `_1`, `_2` and so on.
    ///
    /// Errors: a folder that cannot be made (read-only, full disk).
    pub fn create(&self) -> Result<RunInfo, RunError> {
        let work_dir = self.folder();
        let failed = |path: &Path, error| RunError::file(path, error);
        std::fs::create_dir_all(&work_dir).map_err(|error| failed(&work_dir, error))?;
        let work_dir = work_dir.canonicalize().map_err(|error| failed(&work_dir, error))?;
        let (run_dir, timestamp) = new_folder(&work_dir)?;
        Ok(RunInfo {
            experiment_name: self.experiment(&timestamp),
            work_dir,
            run_dir,
            timestamp,
            config_path: self.config_path.to_owned(),
            seed: self.seed,
            device: self.device,
        })
    }

    fn stem(&self) -> String {
        self.config_path
            .file_stem()
            .map_or("run".into(), |stem| stem.to_string_lossy().into_owned())
    }

    fn folder(&self) -> PathBuf {
        match self.work_dir {
            Some(folder) => folder.to_owned(),
            None => Path::new("work_dirs").join(self.stem()),
        }
    }

    fn experiment(&self, timestamp: &str) -> String {
        match self.experiment_name {
            Some(name) => name.to_owned(),
            None => format!("{}_{timestamp}", self.stem()),
        }
    }
}

impl RunInfo {
    /// What a run will be called, before its folders are made.
    pub fn planned(names: &RunNames<'_>) -> RunInfo {
        let work_dir = names.folder();
        let timestamp = Local::now().format("%Y%m%d_%H%M%S").to_string();
        RunInfo {
            run_dir: work_dir.join(&timestamp),
            work_dir,
            experiment_name: names.experiment(&timestamp),
            timestamp,
            config_path: names.config_path.to_owned(),
            seed: names.seed,
            device: names.device,
        }
    }
}

fn new_folder(work_dir: &Path) -> Result<(PathBuf, String), RunError> {
    let now = Local::now().format("%Y%m%d_%H%M%S").to_string();
    for attempt in 0..100 {
        let timestamp = if attempt == 0 { now.clone() } else { format!("{now}_{attempt}") };
        let folder = work_dir.join(&timestamp);
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok((folder, timestamp)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(RunError::file(folder, error)),
        }
    }
    let error = std::io::Error::other("a hundred runs have started in this second");
    Err(RunError::file(work_dir, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_folder_belongs_to_one_training_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        assert!(WorkFolderLock::take(&folder.path().join("new")).unwrap().is_none());
        let lock = WorkFolderLock::take(folder.path()).unwrap();
        assert!(lock.is_some());
        let refused = WorkFolderLock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("another training is going on in"), "{refused}");
        drop(lock);
        assert!(WorkFolderLock::take(folder.path()).unwrap().is_some());
    }

    #[test]
    fn two_runs_of_one_second_have_two_folders() {
        let folder = tempfile::tempdir().unwrap();
        let names = RunNames {
            config_path: Path::new("configs/tiny.py"),
            work_dir: Some(folder.path()),
            experiment_name: None,
            seed: 0,
            device: Device::Cpu,
        };
        let (first, second) = (names.create().unwrap(), names.create().unwrap());
        assert_ne!(first.run_dir, second.run_dir);
        assert!(first.experiment_name.starts_with("tiny_2"));
        assert!(second.run_dir.is_dir());
    }
}
