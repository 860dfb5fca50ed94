//! The user's cache folder: what lies where, who may write, and what a dead run left behind.
//!
//! ```text
//! <cache>/libtorch-2.11.0-cpu-x86_64/   whole, or absent: it appears by one rename
//! <cache>/wheels/                        whole wheels, kept until the folder above is there
//! <cache>/.downloading/                  what pip works in; nothing in it is trusted
//! <cache>/.assembling-*  .replaced-*     drafts; removed by the next run
//! <cache>/lock                           held while one process assembles
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::LibtorchError;
use crate::environment::Environment;
use crate::interrupt::Interrupt;

/// The cache folder.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// Keeps other processes from writing into the cache until it is dropped.
///
/// A copy of the handle is given to pip as its standard input: if this process is killed, the
/// lock holds until its orphaned pip has ended too.
pub(crate) struct CacheLock {
    file: File,
}

impl Cache {
    /// Finds the cache folder as the XDG rules say; it need not exist.
    pub(crate) fn locate(environment: &Environment) -> Result<Self, LibtorchError> {
        let xdg = || environment.folder("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
        let home = || environment.folder("HOME").map(|home| home.join(".cache"));
        let root = environment
            .folder("SNAPHOOK_CACHE")
            .and_then(|folder| std::path::absolute(folder).ok())
            .or_else(|| xdg().or_else(home).map(|folder| folder.join("snaphook")))
            .ok_or(LibtorchError::NoCacheFolder)?;
        Ok(Self { root })
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the assembled libtorch goes.
    pub(crate) fn assembled(&self, folder_name: &str) -> PathBuf {
        self.root.join(folder_name)
    }

    /// Where whole wheels wait.
    pub(crate) fn wheels(&self) -> PathBuf {
        self.root.join("wheels")
    }

    /// Where pip works.
    pub(crate) fn downloading(&self) -> PathBuf {
        self.root.join(".downloading")
    }

    /// Where a folder is put together before it gets its name.
    pub(crate) fn draft(&self) -> PathBuf {
        self.root.join(format!(".assembling-{}", std::process::id()))
    }

    /// Where an older folder goes while it is replaced.
    pub(crate) fn replaced(&self) -> PathBuf {
        self.root.join(format!(".replaced-{}", std::process::id()))
    }

    /// Makes the folder and waits until no other process assembles in it.
    pub(crate) fn lock(&self, interrupt: &Interrupt) -> Result<CacheLock, LibtorchError> {
        let path = self.root.join("lock");
        fs::create_dir_all(&self.root).map_err(LibtorchError::io(
            "make this folder (SNAPHOOK_CACHE names another)",
            &self.root,
        ))?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(LibtorchError::io(
                "write there (SNAPHOOK_CACHE names another folder)",
                &path,
            ))?;
        let mut is_told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(CacheLock { file }),
                Err(TryLockError::WouldBlock) if interrupt.is_asked() => {
                    return Err(LibtorchError::Interrupted);
                }
                Err(TryLockError::WouldBlock) => {
                    if !is_told {
                        eprintln!(
                            "libtorch: another process is preparing it; waiting for that one"
                        );
                        is_told = true;
                    }
                    std::thread::sleep(Duration::from_millis(200));
                }
                Err(TryLockError::Error(source)) => {
                    return Err(LibtorchError::io("lock this file", &path)(source));
                }
            }
        }
    }

    /// Removes what dead runs left; only for the holder of the lock.
    pub(crate) fn remove_leftovers(&self, _lock: &CacheLock) -> Result<(), LibtorchError> {
        let entries = fs::read_dir(&self.root).map_err(LibtorchError::io("list it", &self.root))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_leftover = [".assembling-", ".replaced-", ".downloading"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            if is_leftover {
                eprintln!("libtorch: removing {name}, left by an interrupted run");
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

impl CacheLock {
    /// A handle that keeps the lock alive in a child process.
    pub(crate) fn handle_for_child(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }
}

/// Removes a folder with all that is in it; an absent one is fine.
pub(crate) fn remove(folder: &Path) -> Result<(), LibtorchError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LibtorchError::io("remove it", folder)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root<const N: usize>(variables: [(&str, &str); N]) -> PathBuf {
        Cache::locate(&Environment::of(variables)).unwrap().root
    }

    #[test]
    fn the_most_particular_variable_names_the_cache() {
        let home = ("HOME", "/home/a");
        let xdg = ("XDG_CACHE_HOME", "/xdg");
        assert_eq!(root([home]), Path::new("/home/a/.cache/snaphook"));
        assert_eq!(root([home, xdg]), Path::new("/xdg/snaphook"));
        assert_eq!(root([home, xdg, ("SNAPHOOK_CACHE", "/own")]), Path::new("/own"));
    }

    #[test]
    fn a_relative_xdg_folder_is_ignored_as_the_rules_say() {
        let variables = [("HOME", "/home/a"), ("XDG_CACHE_HOME", "cache")];
        assert_eq!(root(variables), Path::new("/home/a/.cache/snaphook"));
    }

    #[test]
    fn without_any_folder_the_error_names_the_variable() {
        let error = Cache::locate(&Environment::default()).unwrap_err();
        assert!(error.to_string().contains("SNAPHOOK_CACHE"), "{error}");
    }

    #[test]
    fn leftovers_go_and_whole_things_stay() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { root: folder.path().to_path_buf() };
        for name in ["libtorch-2.11.0-cpu-x86_64", "wheels", ".assembling-1", ".downloading"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let lock = cache.lock(&Interrupt::default()).unwrap();
        cache.remove_leftovers(&lock).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["libtorch-2.11.0-cpu-x86_64", "lock", "wheels"]);
    }

    #[test]
    fn the_lock_holds_while_a_childs_handle_lives() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { root: folder.path().to_path_buf() };
        let lock = cache.lock(&Interrupt::default()).unwrap();
        let handle = lock.handle_for_child().unwrap();
        drop(lock);
        let other = File::open(folder.path().join("lock")).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(handle);
        // A child that another test forks just now has it for a moment.
        let is_free = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            other.try_lock().is_ok()
        });
        assert!(is_free);
    }
}
