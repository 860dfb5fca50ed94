//! What the hook does with checkpoints: which are uploaded, when failures are told, and waiting at the end. Knows nothing of
//! requests.

use crate::settings::{Destination, Settings};
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::worker::{Job, Worker};
use snaphook_plugin_api::prelude::*;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two lines about an upload that the end of a run waits for.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Between two looks whether somebody asks for the end meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The state of the hook in one run.
#[derive(Default)]
pub(crate) struct Uploads {
    begun: Option<Begun>,
}

struct Begun {
    settings: Settings,
    store: Store,
    /// Started with the first job.
    worker: Option<Worker>,
    work_dir: PathBuf,
}

impl Uploads {
    /// Checks the settings, without sending anything, and takes up what an earlier run has not uploaded. Other processes
    /// than the first one upload nothing.
    pub(crate) fn begin(&mut self, settings: Settings, runner: &mut Runner) -> HookResult {
        if runner.distributed().rank() != 0 {
            return Ok(());
        }
        let store = Store::open(&settings, &settings.url).map_err(HookError::fatal)?;
        let work_dir = runner.run().info()?.work_dir;
        runner.info(&format!("Checkpoints will be uploaded to {}", settings.url));
        let destination = settings.destination();
        let mut begun = Begun { settings, store, worker: None, work_dir };
        let all = Snapshot::left_in(&begun.work_dir);
        let is_own = |snapshot: &Snapshot| snapshot.to.as_ref() == Some(&destination);
        let (own, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_own);
        tell_of_nobodys(runner, &others, &destination)?;
        for snapshot in own {
            let name = &snapshot.entry.name;
            runner.info(&format!("{name} was not uploaded by an earlier run: it is uploaded now"));
            begun.push_checkpoint(snapshot)?;
        }
        self.begun = Some(begun);
        Ok(())
    }

    /// Uploads a checkpoint if it is due.
    pub(crate) fn take(&mut self, runner: &mut Runner, saved: &SavedCheckpoint) -> HookResult {
        // Told at the end: with on_error='warn' this checkpoint is uploaded all the same.
        let failures = self.tell_failures();
        let Some(begun) = &mut self.begun else { return Ok(()) };
        if !begun.is_due(runner, saved) {
            return failures;
        }
        let what = (saved.epoch, saved.iter, saved.is_best);
        let to = begun.settings.destination();
        let taken = Snapshot::take(&begun.work_dir, &saved.path, what, &to);
        let snapshot = taken.map_err(|error| format!("{}: {error}", saved.path.display()))?;
        begun.push_checkpoint(snapshot).and(failures)
    }

    /// An error of the thread becomes one of the hook, so that the config's `on_error` says what it means.
    pub(crate) fn tell_failures(&self) -> HookResult {
        let worker = self.begun.as_ref().and_then(|begun| begun.worker.as_ref());
        match worker.and_then(Worker::take_failure) {
            Some(failure) => Err(HookError::new(failure)),
            None => Ok(()),
        }
    }

    /// Uploads what comes last, and waits for everything, or until somebody asks this process to end: what is not uploaded
    /// then is left for the next run.
    pub(crate) fn finish(&mut self, runner: &mut Runner) -> HookResult {
        let Some(mut begun) = self.begun.take() else { return Ok(()) };
        // What it could not push takes nothing from what is on its way.
        let files = begun.push_files(runner);
        let Some(worker) = &mut begun.worker else { return files };
        worker.hurry();
        let is_done = wait(worker, &begun.work_dir, runner)?;
        let failures: Vec<String> = std::iter::from_fn(|| worker.take_failure()).collect();
        if is_done {
            worker.join();
            Snapshot::clear(&begun.work_dir);
        }
        if failures.is_empty() { files } else { Err(HookError::new(failures.join("; "))) }
    }
}

/// Waits for all jobs, with a line now and then; false when this process is asked to end meanwhile.
fn wait(worker: &Worker, work_dir: &Path, runner: &mut Runner) -> Result<bool, HookError> {
    let (asked, mut told) = (times_asked(runner)?, Instant::now());
    while !worker.wait(LOOK_EVERY) {
        let status = worker.status();
        if times_asked(runner)? > asked {
            runner.warn(&format!(
                "Not waiting for uploads any more, since this process is asked to end: {} to go, which the next run in {} \
                 makes up for",
                status.waiting,
                work_dir.display()
            ));
            return Ok(false);
        }
        if told.elapsed() >= LINE_EVERY {
            told = Instant::now();
            runner.info(&format!(
                "Waiting for uploads: {}, {:.1} of {:.1} MB, {} to go",
                status.current,
                status.sent as f64 / 1e6,
                status.total as f64 / 1e6,
                status.waiting
            ));
        }
    }
    Ok(true)
}

impl Begun {
    /// Interruptions and the end of the training come always: they are what one goes on from.
    fn is_due(&self, runner: &Runner, saved: &SavedCheckpoint) -> bool {
        if saved.is_best {
            return self.settings.best;
        }
        let progress = runner.progress();
        let (done, last) = match self.settings.by_epoch {
            true => (saved.epoch, progress.max_epochs),
            false => (saved.iter, progress.max_iters),
        };
        let is_interim = saved.details["is_interim"] == true;
        done.is_multiple_of(self.settings.interval) || done >= last || is_interim
    }

    fn push_checkpoint(&mut self, snapshot: Snapshot) -> HookResult {
        let keep = self.settings.keep;
        self.worker()?.push(Job::Checkpoint { snapshot, keep });
        Ok(())
    }

    fn worker(&mut self) -> Result<&Worker, HookError> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(self.store.clone())?,
        };
        Ok(self.worker.insert(worker))
    }

    /// The log, the scalars and the config, under the run's timestamp.
    fn push_files(&mut self, runner: &mut Runner) -> HookResult {
        let run = runner.run().info()?;
        let mut files = Vec::new();
        if self.settings.logs {
            files.extend(files_in(&run.run_dir, "log"));
            files.extend(files_in(&run.run_dir.join("vis_data"), "json"));
        }
        if self.settings.config {
            files.extend(files_in(&run.run_dir.join("vis_data"), "py"));
        }
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let name = format!("{}/{name}", run.timestamp);
            self.worker()?.push(Job::File { file, name });
        }
        Ok(())
    }
}

/// Warns of what no hook of this run uploads, and leaves it where it is.
fn tell_of_nobodys(runner: &mut Runner, left: &[Snapshot], own: &Destination) -> HookResult {
    if left.is_empty() {
        return Ok(());
    }
    let config = runner.run().config()?;
    let hooks = config["custom_hooks"].as_array().into_iter().flatten();
    let wanted: Vec<Destination> = hooks.filter_map(Destination::read).collect();
    for snapshot in left {
        let folder = snapshot.folder.display();
        match &snapshot.to {
            Some(to) if wanted.contains(to) => {}
            Some(to) => runner.warn(&format!(
                "{folder} was to be uploaded to {to}, and not to {own}, and stays: a hook with that url and endpoint uploads \
                 it (or change them in its .entry.json, or remove it)"
            )),
            None => runner.warn(&format!(
                "{folder} does not say where it was to be uploaded, and stays (write url and endpoint into its .entry.json, \
                 or remove it)"
            )),
        }
    }
    Ok(())
}

/// How often this process was asked to end; never, on a host that does not tell.
pub(crate) fn times_asked(runner: &mut Runner) -> Result<u64, HookError> {
    match runner.control().interruption() {
        Err(ServiceError::Unsupported(_)) => Ok(0),
        answer => Ok(answer?.map_or(0, |interruption| interruption.times)),
    }
}

fn files_in(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == ending)).collect();
    files.sort();
    files
}
