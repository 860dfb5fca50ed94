//! The thread that uploads, and what is known of it from outside. Knows nothing of hooks.

use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::upload::OnBytes;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Something to upload.
pub(crate) enum Job {
    Checkpoint { snapshot: Snapshot, keep: Option<usize> },
    File { file: PathBuf, name: String },
}

/// What goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// Jobs that have not ended.
    pub(crate) waiting: usize,
    /// What is being uploaded.
    pub(crate) current: String,
    pub(crate) sent: u64,
    pub(crate) total: u64,
    /// Errors that nobody has taken yet.
    failures: VecDeque<String>,
}

#[derive(Default)]
struct Shared {
    status: Mutex<Status>,
    changed: Condvar,
}

/// A thread with a queue.
pub(crate) struct Worker {
    jobs: Option<Sender<Job>>,
    shared: Arc<Shared>,
    store: Store,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start(store: Store) -> std::io::Result<Worker> {
        let (jobs, queue) = channel();
        let shared = Arc::new(Shared::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = Work { store: store.clone(), shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new()
            .name("cloud-upload".to_owned())
            .spawn(move || runtime.block_on(work.run(&queue)))?;
        Ok(Worker { jobs: Some(jobs), shared, store, thread: Some(thread) })
    }

    /// Puts a job at the end of the queue.
    pub(crate) fn push(&self, job: Job) {
        self.shared.lock().waiting += 1;
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            self.shared.end(Err("the thread that uploads has ended".to_owned()));
        }
    }

    /// The oldest error that nobody has taken yet.
    pub(crate) fn take_failure(&self) -> Option<String> {
        self.shared.lock().failures.pop_front()
    }

    pub(crate) fn status(&self) -> Status {
        self.shared.lock().clone()
    }

    /// Waits until all jobs have ended, at most so long; whether they have.
    pub(crate) fn wait(&self, longest: Duration) -> bool {
        let status = self.shared.lock();
        let is_busy = |status: &mut Status| status.waiting > 0;
        let waited = self.shared.changed.wait_timeout_while(status, longest, is_busy);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiting == 0
    }

    /// From now on all jobs share one patience: the run ends with them.
    pub(crate) fn hurry(&self) {
        self.store.retry.patience.begin_last();
    }

    /// Ends the thread, whose queue must be empty.
    pub(crate) fn join(&mut self) {
        self.jobs = None;
        // A panic of the thread has been logged by the panic hook.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Worker {
    /// Does not wait: what is not uploaded is left for the next run.
    fn drop(&mut self) {
        self.store.retry.cancel();
        self.jobs = None;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, result: Result<(), String>) {
        let mut status = self.lock();
        status.waiting -= 1;
        status.failures.extend(result.err());
        self.changed.notify_all();
    }
}

struct Work {
    store: Store,
    shared: Arc<Shared>,
}

impl Work {
    /// Blocking on the queue is fine: nothing else runs in this runtime.
    async fn run(&self, queue: &Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            self.store.retry.patience.begin();
            let result = match job {
                Job::Checkpoint { snapshot, keep } => self.checkpoint(&snapshot, keep).await,
                Job::File { file, name } => {
                    let path = self.store.place.below(&name);
                    self.begin(name, file.metadata().map_or(0, |data| data.len()));
                    self.store.put_file(&file, &path, &self.on_bytes()).await
                }
            };
            self.shared.end(result);
        }
    }

    async fn checkpoint(&self, snapshot: &Snapshot, keep: Option<usize>) -> Result<(), String> {
        let (name, place) = (&snapshot.entry.name, &self.store.place);
        self.begin(name.clone(), snapshot.bytes());
        let (url, began) = (place.url(&place.below(name)), Instant::now());
        let put = self.store.put_checkpoint(snapshot, keep, &self.on_bytes()).await?;
        snapshot.forget();
        if put.is_new {
            let (megabytes, seconds) =
                (snapshot.bytes() as f64 / 1e6, began.elapsed().as_secs_f64());
            log::info!("Uploaded {name} to {url} ({megabytes:.1} MB in {seconds:.1} s)");
        } else {
            log::info!("{url} is there already");
        }
        put.removed.map_err(|error| format!("{error} (the next upload tries to remove it again)"))
    }

    fn begin(&self, what: String, total: u64) {
        let mut status = self.shared.lock();
        (status.current, status.sent, status.total) = (what, 0, total);
    }

    fn on_bytes(&self) -> OnBytes {
        let shared = Arc::clone(&self.shared);
        Arc::new(move |bytes| shared.lock().sent += bytes)
    }
}
