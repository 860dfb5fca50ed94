//! Letters on their way, in a thread, in order, tried again. Knows nothing of what is in them.

use serde_json::Value as Json;
use snaphook_plugin_api_outbox::Deadline;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

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
    bodies: snaphook_plugin_api_outbox::Outbox<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

impl Outbox {
    pub(crate) fn open(letter: Letter) -> std::io::Result<Outbox> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        let (patience, deadline) = (letter.patience, Arc::<Deadline>::default());
        let end = Arc::clone(&deadline);
        let post = move |queue: &Receiver<Vec<u8>>| post_all(&letter, queue, &left, &end);
        let bodies = snaphook_plugin_api_outbox::Outbox::open("webhook", patience, deadline, post)?;
        Ok(Outbox { bodies, waiting })
    }

    pub(crate) fn send(&self, body: &Json) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.bodies.push(body.to_string().into_bytes());
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Waits until everything has arrived or was given up, as long as one letter is tried; `was_asked` and `is_asked` tell of
    /// somebody who asks the run to end, before and meanwhile, and shorten it.
    pub(crate) fn close(self, was_asked: bool, is_asked: impl FnMut() -> bool) {
        self.bodies.close(was_asked, is_asked);
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
        if deadline.is_over() {
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
        if began.elapsed() + pause > letter.patience || !deadline.rest(pause) {
            return Err(why);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// An error without the secret parts of the URL.
fn worded(error: &ureq::Error, letter: &Letter) -> String {
    error.to_string().replace(&letter.url, &letter.shown)
}
