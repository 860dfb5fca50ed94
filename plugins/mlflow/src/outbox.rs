//! Requests in a thread, in order. Knows nothing of what they say.

use crate::api::{Api, NewRun};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

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
    work: snaphook_plugin_api_outbox::Outbox<Work>,
    run_id: Arc<Mutex<Option<String>>>,
}

impl Outbox {
    pub(crate) fn open(api: Api) -> std::io::Result<Outbox> {
        let (patience, deadline) = api.limits();
        let run_id = Arc::new(Mutex::new(None));
        let told = Arc::clone(&run_id);
        let post = move |queue: &Receiver<Work>| {
            Post { api, run_id: told, is_resumed: false, lost: 0 }.all(queue);
        };
        let work = snaphook_plugin_api_outbox::Outbox::open("mlflow", patience, deadline, post)?;
        Ok(Outbox { work, run_id })
    }

    pub(crate) fn push(&self, work: Work) {
        self.work.push(work);
    }

    /// The run on the server, as soon as it is known.
    pub(crate) fn run_id(&self) -> Option<String> {
        self.run_id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until everything has arrived or was given up, as long as one request is tried; `was_asked` and `is_asked` tell of
    /// somebody who asks the run to end, before and meanwhile, and shorten it. Returns the run on the server.
    pub(crate) fn close(self, was_asked: bool, is_asked: impl FnMut() -> bool) -> Option<String> {
        self.work.close(was_asked, is_asked);
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
            if deadline.is_over() {
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
