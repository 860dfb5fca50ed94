//! Trying again after what a network does, and not after what no repetition mends. Knows nothing of what is sent.

use crate::patience::Patience;
use object_store::Error;
use std::error::Error as _;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a refusal that may come from bytes that changed on their way is tried again.
const DOUBTS: u32 = 4;
const LONGEST_TEXT: usize = 500;

/// How long to try, and what must not be said.
#[derive(Clone)]
pub(crate) struct Retry {
    pub(crate) patience: Patience,
    secrets: Secrets,
    cancelled: Arc<AtomicBool>,
}

/// Texts that no message shows; a clone has the same ones.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Mutex<Vec<String>>>);

impl Secrets {
    pub(crate) fn add<T: AsRef<str>>(&self, secrets: impl IntoIterator<Item = T>) {
        let secrets = secrets.into_iter().map(|secret| secret.as_ref().to_owned());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(secrets.filter(|secret| !secret.is_empty()));
    }

    /// The text with stars in place of each.
    pub(crate) fn hidden(&self, text: &str) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

/// What an error means for the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The network, or a server that is busy.
    Passes,
    /// Perhaps damaged on its way, perhaps a wrong key.
    Doubtful,
    /// The same each time.
    Stays,
}

/// An answer that is not what was stored, or was stored so.
#[derive(Debug)]
struct Damaged(String);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Damaged {}

/// The error of an answer that a few more tries may mend, each after a pause.
pub(crate) fn damaged(text: impl Into<String>) -> Error {
    Error::Generic { store: "cloud", source: Box::new(Damaged(text.into())) }
}

impl Retry {
    pub(crate) fn new(patience: Duration, secrets: Secrets) -> Retry {
        Retry { patience: Patience::new(patience), secrets, cancelled: Arc::default() }
    }

    /// Ends all tries after the one that runs.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Does something until it works. `what` begins the messages.
    ///
    /// Errors: the last one, without secrets, when no repetition mends it or the patience with all requests is at its end.
    pub(crate) async fn run<T>(
        &self,
        what: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Result<T, String> {
        let (began, mut pause, mut tries) = (Instant::now(), FIRST_PAUSE, 0);
        let mut failing = None;
        loop {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            tries += 1;
            let verdict = verdict(&error);
            let text = self.text(&error);
            let is_hopeless = match verdict {
                Verdict::Stays => true,
                Verdict::Doubtful => tries >= DOUBTS,
                Verdict::Passes => false,
            };
            if is_hopeless {
                return Err(format!("{what}: {text}"));
            }
            let failing = failing.get_or_insert_with(|| self.patience.failing(began));
            if failing.is_over(pause) {
                let seconds = began.elapsed().as_secs_f64();
                return Err(format!(
                    "{what}: given up after {tries} tries in {seconds:.1} s: {text}"
                ));
            }
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(format!("{what}: the run has ended: {text}"));
            }
            // A power of two, so that a long outage is told again without filling the log.
            if tries.is_power_of_two() {
                log::warn!("{what}: {text}; trying again in {:.1} s", pause.as_secs_f64());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// An error with its causes, on one line, without credentials.
    pub(crate) fn text(&self, error: &Error) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            if !text.contains(&inner_text) {
                text = format!("{text}: {inner_text}");
            }
            cause = inner.source();
        }
        let text = self.secrets.hidden(&text);
        let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().count() > LONGEST_TEXT {
            text = text.chars().take(LONGEST_TEXT).chain(['…']).collect();
        }
        text
    }
}

/// Answers of a store to a body that is not what was signed.
const DAMAGED: [&str; 4] =
    ["SignatureDoesNotMatch", "ContentSHA256Mismatch", "BadDigest", "InvalidDigest"];

fn verdict(error: &Error) -> Verdict {
    let is_damaged = || {
        let text = format!("{error:?}");
        DAMAGED.iter().any(|word| text.contains(word))
    };
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } if is_damaged() => {
            Verdict::Doubtful
        }
        Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. }
        | Error::NotFound { .. }
        | Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::UnknownConfigurationKey { .. } => Verdict::Stays,
        Error::Generic { source, .. } if source.is::<Damaged>() => Verdict::Doubtful,
        _ if is_refused(error) => Verdict::Doubtful,
        _ => Verdict::Passes,
    }
}

/// Whether the server refused what it was sent, in words that the library knows no kind for: another region, a token that
/// is too old. 408 and 429 ask for another try.
fn is_refused(error: &Error) -> bool {
    let text = format!("{error:?} {error}");
    let code = text.split("status code: ").nth(1).and_then(|rest| rest.get(..3));
    let is_client_error =
        code.is_some_and(|code| code.starts_with('4') && !["408", "429"].contains(&code));
    is_client_error || text.contains("redirect without LOCATION")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &'static str) -> Error {
        Error::Generic { store: "S3", source: text.into() }
    }

    fn denied(text: &'static str) -> Error {
        Error::PermissionDenied { path: "a".into(), source: text.into() }
    }

    fn run(
        patience_ms: u64,
        mut error: impl FnMut(u32) -> Option<Error>,
    ) -> (u32, Result<(), String>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let secrets = Secrets::default();
        secrets.add(["SECRET", ""]);
        let retry = Retry::new(Duration::from_millis(patience_ms), secrets);
        let mut tries = 0;
        let result = runtime.block_on(retry.run("put x", async || {
            tries += 1;
            error(tries).map_or(Ok(()), Err)
        }));
        (tries, result)
    }

    #[test]
    fn what_passes_is_tried_until_it_works_or_patience_ends() {
        let (tries, result) = run(60_000, |tries| (tries < 3).then(|| generic("reset")));
        assert_eq!((tries, result), (3, Ok(())));
        let (tries, result) = run(0, |_| Some(generic("reset by SECRET")));
        let error = result.unwrap_err();
        assert_eq!(tries, 1);
        assert!(
            error.contains("given up after 1 tries") && error.contains("reset by ***"),
            "{error}"
        );
    }

    #[test]
    fn what_stays_is_not_tried_again() {
        assert_eq!(run(60_000, |_| Some(denied("AccessDenied"))).0, 1);
        let refused = "Server returned non-2xx status code: 400 Bad Request: ExpiredToken";
        assert_eq!(run(60_000, |_| Some(generic(refused))).0, DOUBTS);
        assert_eq!(run(60_000, |_| Some(damaged("no JSON"))).0, DOUBTS);
        let busy = "Server returned non-2xx status code: 429 Too Many Requests";
        assert_eq!(run(60_000, |tries| (tries < 6).then(|| generic(busy))).0, 6);
        let damaged = |tries| (tries == 1).then(|| denied("<Code>SignatureDoesNotMatch</Code>"));
        assert_eq!(run(60_000, damaged), (2, Ok(())));
    }
}
