//! Letters on their way, in a thread, in order, tried again. Knows nothing of what is in them.

use crate::deadline::Deadline;
use serde_json::Value as Json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the end waits at most where the run was asked to end: who asks does not wait long either.
const GRACE: Duration = Duration::from_secs(5);
/// How much longer a request may take that is on its way then.
const LAST_TRY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How letters are sent.
pub(crate) struct Letter {
    pub(crate) url: String,
    /// The URL as the log may show it.
    pub(crate) shown: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Of one try.
    pub(crate) timeout: Duration,
    /// Of all tries of one letter.
    pub(crate) patience: Duration,
}

/// A thread that posts.
pub(crate) struct Outbox {
    bodies: Sender<Vec<u8>>,
    thread: JoinHandle<()>,
    /// Hung up by the thread when it ends.
    ended: Receiver<()>,
    waiting: Arc<AtomicUsize>,
    patience: Duration,
    /// When nothing is tried any more, once the run has ended.
    deadline: Arc<Deadline>,
}

impl Outbox {
    pub(crate) fn open(letter: Letter) -> std::io::Result<Outbox> {
        let ((bodies, queue), (is_there, ended)) = (channel(), channel());
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        let (patience, deadline) = (letter.patience, Arc::<Deadline>::default());
        let end = Arc::clone(&deadline);
        let thread = std::thread::Builder::new().name("webhook".to_owned()).spawn(move || {
            let _is_there: Sender<()> = is_there;
            post_all(&letter, &queue, &left, &end);
        })?;
        Ok(Outbox { bodies, thread, ended, waiting, patience, deadline })
    }

    pub(crate) fn send(&self, body: &Json) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        // The thread ends with this, so that it is there; a panic of it is in the log.
        let _ = self.bodies.send(body.to_string().into_bytes());
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Waits until everything has arrived or was given up, as long as one letter is tried; `was_asked` and `is_asked` tell of
    /// somebody who asks the run to end, before and meanwhile, and shorten it.
    pub(crate) fn close(self, was_asked: bool, mut is_asked: impl FnMut() -> bool) {
        drop(self.bodies);
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
                return;
            }
        }
        // As in `send`.
        let _ = self.thread.join();
    }
}

fn post_all(
    letter: &Letter,
    queue: &Receiver<Vec<u8>>,
    waiting: &AtomicUsize,
    deadline: &Deadline,
) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(letter.timeout))
        .http_status_as_error(false)
        // A redirect would take the secret of the URL or the headers elsewhere.
        .max_redirects(0)
        .build()
        .into();
    while let Ok(body) = queue.recv() {
        if deadline.is_over_in(Duration::ZERO) {
            let left = 1 + queue.try_iter().count();
            log::warn!("{} was not told of {left} more events: the run has ended", letter.shown);
            waiting.store(0, Ordering::Release);
            return;
        }
        if let Err(why) = post(letter, &agent, &body, deadline) {
            log::warn!("{} was not told: {why}", letter.shown);
        }
        waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Posts until it arrives.
///
/// Errors: the last one, when patience is at its end or no repetition helps.
fn post(
    letter: &Letter,
    agent: &ureq::Agent,
    body: &[u8],
    deadline: &Deadline,
) -> Result<(), String> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        let mut request = agent.post(&letter.url).header("Content-Type", "application/json");
        for (name, value) in &letter.headers {
            request = request.header(name, value);
        }
        let why = match request.send(body) {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => {
                let status = answer.status();
                // 408 and 429 ask for another try; all others of the 400s stay.
                let is_final = !status.is_server_error() && ![408, 429].contains(&status.as_u16());
                if is_final {
                    return Err(format!("it answers {status}"));
                }
                format!("it answers {status}")
            }
            Err(error) => worded(&error, letter),
        };
        if deadline.is_over_in(pause) || began.elapsed() + pause > letter.patience {
            return Err(why);
        }
        // The end of the run can wake it.
        std::thread::park_timeout(pause);
        if deadline.is_over_in(Duration::ZERO) {
            return Err(why);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// An error without the secret parts of the URL.
fn worded(error: &ureq::Error, letter: &Letter) -> String {
    error.to_string().replace(&letter.url, &letter.shown)
}
