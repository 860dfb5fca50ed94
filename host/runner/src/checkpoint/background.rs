//! Writes checkpoints on a thread of its own, one after the other. Knows nothing of what they hold.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use serde_json::Value as Json;

use super::folder::check_removable;
use super::write::{Saved, save_beside};
use super::{Checkpoint, CheckpointError, remove, supplement, write_last};

/// A checkpoint on its way to the disk.
pub struct Job {
    /// What is written. Nobody else may change its tensors meanwhile: they are copies.
    pub checkpoint: Checkpoint,
    /// The folder that it goes into.
    pub folder: PathBuf,
    /// Its name there.
    pub name: String,
    /// The folder whose `last_checkpoint` names it once it is whole.
    pub last_in: Option<PathBuf>,
    /// Handed back with the result.
    pub details: Json,
}

/// What a validation adds to a checkpoint, see [`super`].
pub struct Supplement {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Everything that is not a tensor, as it is after the validation.
    pub state: Json,
}

/// What was begun in this process and is not done.
static UNDONE: AtomicUsize = AtomicUsize::new(0);

/// How many checkpoints, additions and removals were begun in this process, by any [`Writer`], and are not done: for whoever is
/// about to end it without asking the writer.
pub fn undone() -> usize {
    UNDONE.load(Ordering::Acquire)
}

/// Work that was begun, until this is dropped.
struct Begun;

impl Begun {
    fn new() -> Begun {
        UNDONE.fetch_add(1, Ordering::AcqRel);
        Begun
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        UNDONE.fetch_sub(1, Ordering::AcqRel);
    }
}

enum Work {
    Checkpoint(Box<Job>),
    Supplement(Supplement),
    Removal(PathBuf),
}

/// A checkpoint that is whole on the disk.
#[derive(Clone, Debug)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// What came with the job.
    pub details: Json,
    /// Where something is now that had the checkpoint's name and was none.
    pub moved: Option<PathBuf>,
}

/// The thread that writes. Dropping it waits for what was begun.
#[derive(Default)]
pub struct Writer {
    thread: Option<Thread>,
    /// Whose results have not been taken.
    pending: usize,
    /// How many of them are checkpoints.
    in_flight: usize,
}

/// How a piece of work ended.
struct Done {
    is_checkpoint: bool,
    result: Result<Option<Written>, CheckpointError>,
}

impl Done {
    fn failed(error: CheckpointError) -> Done {
        Done { is_checkpoint: false, result: Err(error) }
    }
}

struct Thread {
    jobs: Sender<(Work, Begun)>,
    results: Receiver<Done>,
    handle: JoinHandle<()>,
}

impl Writer {
    /// Begins to write; [`Writer::finished`] and [`Writer::wait`] tell when it is done. Everything is done in order, so
    /// that a checkpoint that is there means that those before it are.
    ///
    /// Errors: no thread can be started.
    pub fn start(&mut self, job: Job) -> Result<(), CheckpointError> {
        let path = job.folder.join(&job.name);
        self.send(Work::Checkpoint(Box::new(job)), path)?;
        self.in_flight += 1;
        Ok(())
    }

    /// Begins to remove a checkpoint, after what was begun before; its end is told only when it fails. One that is not there
    /// is no error.
    ///
    /// Errors: what is there is no checkpoint; as [`Writer::start`].
    pub fn remove(&mut self, path: PathBuf) -> Result<(), CheckpointError> {
        check_removable(&path)?;
        self.send(Work::Removal(path.clone()), path)
    }

    /// Begins to add to a checkpoint; its end is told only when it fails.
    ///
    /// Errors: as [`Writer::start`].
    pub fn add(&mut self, supplement: Supplement) -> Result<(), CheckpointError> {
        let path = supplement.checkpoint.clone();
        self.send(Work::Supplement(supplement), path)
    }

    fn send(&mut self, work: Work, path: PathBuf) -> Result<(), CheckpointError> {
        if self.thread.is_none() {
            self.thread = Some(Thread::start().map_err(CheckpointError::write(&path))?);
        }
        if let Some(thread) = &self.thread {
            thread.jobs.send((work, Begun::new())).map_err(|_| gone(path))?;
            self.pending += 1;
        }
        Ok(())
    }

    /// How many checkpoints were begun whose end has not been asked for.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The next checkpoint that has reached the disk since the last question, without waiting.
    ///
    /// Errors: it could not be written.
    pub fn finished(&mut self) -> Option<Result<Written, CheckpointError>> {
        while self.pending > 0 {
            let result = self.thread.as_ref()?.results.try_recv().ok()?;
            if let Some(told) = self.took(result) {
                return Some(told);
            }
        }
        None
    }

    /// Waits for the next one that is in flight; `None` when there is none.
    ///
    /// Errors: it could not be written.
    pub fn wait(&mut self) -> Option<Result<Written, CheckpointError>> {
        while self.pending > 0 {
            let received = self.thread.as_ref()?.results.recv();
            let result = received.unwrap_or_else(|_| Done::failed(gone("checkpoint".into())));
            if let Some(told) = self.took(result) {
                return Some(told);
            }
        }
        None
    }

    /// Counts a result; what is to be told of it.
    fn took(&mut self, done: Done) -> Option<Result<Written, CheckpointError>> {
        self.pending -= 1;
        self.in_flight -= usize::from(done.is_checkpoint).min(self.in_flight);
        done.result.transpose()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(Thread { jobs, results, handle }) = self.thread.take() {
            drop(jobs);
            // What is in flight is written to its end; nobody is left to be told.
            let _ = handle.join();
            drop(results);
        }
    }
}

impl Thread {
    fn start() -> std::io::Result<Thread> {
        let (jobs, todo) = channel::<(Work, Begun)>();
        let (done, results) = channel();
        let work = move || {
            for (work, begun) in todo {
                let is_checkpoint = matches!(work, Work::Checkpoint(_));
                let result = match work {
                    Work::Checkpoint(job) => write(*job).map(Some),
                    Work::Supplement(new) => {
                        supplement::write(&new.checkpoint, &new.state).map(|()| None)
                    }
                    Work::Removal(path) => remove(&path).map(|()| None),
                };
                drop(begun);
                if done.send(Done { is_checkpoint, result }).is_err() {
                    return;
                }
            }
        };
        let handle = std::thread::Builder::new().name("checkpoint".to_owned()).spawn(work)?;
        Ok(Thread { jobs, results, handle })
    }
}

fn write(job: Job) -> Result<Written, CheckpointError> {
    let Saved { path, moved } = save_beside(&job.checkpoint, &job.folder, &job.name)?;
    if let Some(folder) = &job.last_in {
        write_last(folder, &path)?;
    }
    Ok(Written { path, details: job.details, moved })
}

/// The thread ended without an answer: it panicked.
fn gone(path: PathBuf) -> CheckpointError {
    let source = std::io::Error::other("the thread that writes checkpoints has ended");
    CheckpointError::Write { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::find_last;
    use serde_json::json;

    fn job(folder: &std::path::Path, name: &str, is_last: bool) -> Job {
        let checkpoint = Checkpoint { meta: json!({ "epoch": 1 }), ..Checkpoint::default() };
        let (folder, name) = (folder.to_owned(), name.to_owned());
        let last_in = is_last.then(|| folder.clone());
        Job { checkpoint, folder, details: json!(name), name, last_in }
    }

    #[test]
    fn checkpoints_are_written_in_order_and_told_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::default();
        assert!(writer.wait().is_none());
        writer.start(job(folder.path(), "epoch_1", true)).unwrap();
        writer.start(job(folder.path(), "best", false)).unwrap();
        assert_eq!(writer.in_flight(), 2);
        let mut names = Vec::new();
        while let Some(written) = writer.wait() {
            names.push(written.unwrap().details);
        }
        assert_eq!(names, [json!("epoch_1"), json!("best")]);
        assert_eq!(find_last(folder.path()).unwrap(), Some(folder.path().join("epoch_1")));
    }

    #[test]
    fn a_write_that_fails_is_told_and_the_next_one_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let mut writer = Writer::default();
        writer.start(job(&folder.path().join("file"), "epoch_1", true)).unwrap();
        writer.start(job(folder.path(), "epoch_2", true)).unwrap();
        assert!(writer.wait().unwrap().is_err());
        assert!(writer.wait().unwrap().is_ok());
    }

    #[test]
    fn checkpoints_are_removed_after_those_begun_before_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::default();
        writer.start(job(folder.path(), "epoch_1", false)).unwrap();
        writer.remove(folder.path().join("epoch_1")).unwrap();
        writer.remove(folder.path().join("epoch_0")).unwrap();
        assert_eq!(writer.in_flight(), 1);
        assert!(writer.wait().unwrap().is_ok());
        assert!(writer.wait().is_none());
        assert!(!folder.path().join("epoch_1").exists());
        std::fs::create_dir(folder.path().join("mine")).unwrap();
        assert!(writer.remove(folder.path().join("mine")).is_err());
    }

    #[test]
    fn what_is_no_checkpoint_and_has_its_name_is_kept_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("epoch_1"), "mine").unwrap();
        let mut writer = Writer::default();
        writer.start(job(folder.path(), "epoch_1", true)).unwrap();
        let written = writer.wait().unwrap().unwrap();
        assert_eq!(written.moved, Some(path("epoch_1.kept")));
        assert_eq!(std::fs::read_to_string(path("epoch_1.kept")).unwrap(), "mine");
        // A checkpoint is replaced.
        writer.start(job(folder.path(), "epoch_1", true)).unwrap();
        assert_eq!(writer.wait().unwrap().unwrap().moved, None);
    }

    #[test]
    fn dropping_the_writer_finishes_what_was_begun() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::default();
        writer.start(job(folder.path(), "epoch_1", true)).unwrap();
        drop(writer);
        assert!(find_last(folder.path()).unwrap().is_some());
    }
}
