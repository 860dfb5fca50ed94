//! Requests in a thread, in order. Knows nothing of what they say.

use crate::api::{Api, NewRun};
use crate::deadline::Deadline;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the end waits at most where the run was asked to end: who asks does not wait long either.
const GRACE: Duration = Duration::from_secs(5);
/// How much longer a request may take that is on its way then.
const LAST_TRY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Something for the server.
pub(crate) enum Work {
    Begin {
        experiment: String,
        name: String,
        /// The run to go on with, where the server had told it.
        resumed: Option<String>,
        /// See [`NewRun`].
        mark: String,
        is_resumed: bool,
        at: u64,
        tags: Vec<(String, String)>,
    },
    Parameters(Vec<(String, String)>),
    Metrics {
        at: u64,
        step: u64,
        values: Vec<(String, f64)>,
    },
    End {
        state: &'static str,
        at: u64,
    },
}

/// A thread with a queue.
pub(crate) struct Outbox {
    work: Sender<Work>,
    thread: JoinHandle<()>,
    /// Hung up by the thread when it ends.
    ended: Receiver<()>,
    run_id: Arc<Mutex<Option<String>>>,
    /// How long the end waits.
    patience: Duration,
    /// Where it says until when.
    deadline: Arc<Deadline>,
}

impl Outbox {
    pub(crate) fn open(api: Api) -> std::io::Result<Outbox> {
        let ((work, queue), (is_there, ended)) = (channel(), channel());
        let (patience, deadline) = api.limits();
        let run_id = Arc::new(Mutex::new(None));
        let told = Arc::clone(&run_id);
        let thread = std::thread::Builder::new().name("mlflow".to_owned()).spawn(move || {
            let _is_there: Sender<()> = is_there;
            Post { api, run_id: told, is_resumed: false, lost: 0 }.all(&queue);
        })?;
        Ok(Outbox { work, thread, ended, run_id, patience, deadline })
    }

    pub(crate) fn push(&self, work: Work) {
        // The thread ends with this, so that it is there; a panic of it is in the log.
        let _ = self.work.send(work);
    }

    /// The run on the server, as soon as it is known.
    pub(crate) fn run_id(&self) -> Option<String> {
        self.run_id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until everything has arrived or was given up, as long as one request is tried; `was_asked` and `is_asked` tell of
    /// somebody who asks the run to end, before and meanwhile, and shorten it. Returns the run on the server.
    pub(crate) fn close(
        self,
        was_asked: bool,
        mut is_asked: impl FnMut() -> bool,
    ) -> Option<String> {
        drop(self.work);
        let began = Instant::now();
        let mut end =
            began.checked_add(if was_asked { self.patience.min(GRACE) } else { self.patience });
        if let Some(end) = end {
            self.deadline.set(end);
        }
        // One try at once, however long the pause would be.
        self.thread.thread().unpark();
        let mut may_leave = was_asked;
        while self.ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            if !may_leave && is_asked() {
                (may_leave, end) = (true, Some(Instant::now()));
                self.deadline.set(Instant::now());
                self.thread.thread().unpark();
            }
            // A request without an answer ends later; nobody waits for it.
            if may_leave && end.is_some_and(|end| Instant::now() > end + LAST_TRY) {
                return self.run_id.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        }
        // As in `push`.
        let _ = self.thread.join();
        self.run_id.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Post {
    api: Api,
    run_id: Arc<Mutex<Option<String>>>,
    /// Whether the run on the server is an older one, which has its parameters: they never change.
    is_resumed: bool,
    /// Requests that were given up.
    lost: u64,
}

impl Post {
    fn all(mut self, queue: &Receiver<Work>) {
        let (_, deadline) = self.api.limits();
        while let Ok(work) = queue.recv() {
            if deadline.is_over_in(Duration::ZERO) {
                let left = 1 + queue.try_iter().count() as u64;
                log::warn!("MLflow was not told of {left} more requests: the run has ended");
                return;
            }
            if let Err(why) = self.one(&work) {
                self.lost += 1;
                // A power of two, so that a server that is away does not fill the log.
                if self.lost.is_power_of_two() {
                    log::warn!("MLflow was not told ({} requests so far): {why}", self.lost);
                }
            }
        }
    }

    fn one(&mut self, work: &Work) -> Result<(), String> {
        match work {
            Work::Begin { experiment, name, resumed, mark, is_resumed, at, tags } => {
                let (at, is_resumed) = (*at, *is_resumed);
                let run = NewRun { experiment, name, at, tags, mark, is_resumed };
                let resumed = resumed.as_ref().map(|run_id| self.api.go_on(run_id));
                match resumed {
                    Some(Ok(())) => self.is_resumed = true,
                    // The server did not answer: what comes next belongs to that run all the same.
                    Some(Err((code, why))) if code.is_empty() => {
                        self.is_resumed = true;
                        *self.run_id.lock().unwrap_or_else(PoisonError::into_inner) =
                            self.api.run_id().map(str::to_owned);
                        return Err(why);
                    }
                    Some(Err((_, why))) => {
                        log::warn!(
                            "The MLflow run that was resumed is not there, a new one is begun: {why}"
                        );
                        self.api.begin(&NewRun { is_resumed: false, ..run })?;
                    }
                    None => self.is_resumed = self.api.begin(&run)?,
                }
                let run_id = self.api.run_id().map(str::to_owned);
                log::info!("The MLflow run is {}", run_id.as_deref().unwrap_or_default());
                *self.run_id.lock().unwrap_or_else(PoisonError::into_inner) = run_id;
                Ok(())
            }
            _ if self.api.run_id().is_none() => Err("there is no MLflow run".to_owned()),
            Work::Parameters(_) if self.is_resumed => Ok(()),
            Work::Parameters(parameters) => self.api.parameters(parameters),
            Work::Metrics { at, step, values } => self.api.metrics(*at, *step, values),
            Work::End { state, at } => self.api.end(state, *at),
        }
    }
}
