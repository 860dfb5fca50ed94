//! A queue with a thread, for hooks that tell a server what happens: a training iteration never waits for the network, and
//! the end of a run no longer than it was told to, and for one try that is on its way. Knows nothing of what is sent, nor how.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use snaphook_plugin_api_outbox::{Deadline, Outbox};
//!
//! let (patience, deadline) = (Duration::from_secs(5), Arc::new(Deadline::default()));
//! let end = Arc::clone(&deadline);
//! let outbox = Outbox::open("letters", patience, deadline, move |queue| {
//!     while let Ok(letter) = queue.recv() {
//!         let letter: String = letter;
//!         let _is_sent = letter.len() > 3 || !end.rest(Duration::from_millis(1));
//!     }
//! })?;
//! outbox.push("the first".to_owned()); // in a hook, at each iteration
//! outbox.close(false, || false); // in `after_run`
//! # Ok::<(), std::io::Error>(())
//! ```

use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the end waits at most where the run was asked to end: who asks does not wait long either.
const GRACE: Duration = Duration::from_secs(5);
/// How much longer something may take that is on its way then; and for what was not tried yet at the end, at least.
const LAST_TRY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// When nothing is tried any more: never, until the run ends.
#[derive(Debug, Default)]
pub struct Deadline(Mutex<Option<Instant>>);

impl Deadline {
    fn set(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// Whether it is over now.
    pub fn is_over(&self) -> bool {
        self.is_over_in(Duration::ZERO)
    }

    /// Whether it is over within the next `pause`, so that another try after it makes no sense.
    pub fn is_over_in(&self, pause: Duration) -> bool {
        let end = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        end.is_some_and(|end| Instant::now() + pause > end)
    }

    /// Rests before another try, in the thread of an [`Outbox`], whose end wakes it; whether there is to be another try.
    pub fn rest(&self, pause: Duration) -> bool {
        if self.is_over_in(pause) {
            return false;
        }
        std::thread::park_timeout(pause);
        !self.is_over()
    }
}

/// A thread with a queue of things to deliver, in order.
#[derive(Debug)]
pub struct Outbox<T> {
    queue: Sender<T>,
    thread: JoinHandle<()>,
    /// Hung up by the thread when it ends.
    ended: Receiver<()>,
    patience: Duration,
    deadline: Arc<Deadline>,
}

impl<T: Send + 'static> Outbox<T> {
    /// Starts a thread called `name` which delivers what comes out of the queue, until the queue ends or `deadline` is over.
    /// `patience` is how long [`Outbox::close`] waits for it.
    ///
    /// Errors: there can be no further thread.
    pub fn open(
        name: &str,
        patience: Duration,
        deadline: Arc<Deadline>,
        deliver: impl FnOnce(&Receiver<T>) + Send + 'static,
    ) -> std::io::Result<Outbox<T>> {
        let ((queue, things), (is_there, ended)) = (channel(), channel());
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _is_there: Sender<()> = is_there;
            deliver(&things);
        })?;
        Ok(Outbox { queue, thread, ended, patience, deadline })
    }

    /// Puts something into the queue.
    pub fn push(&self, thing: T) {
        // The thread ends with this, so that it is there; a panic of it is in the log.
        let _ = self.queue.send(thing);
    }

    /// Waits until everything has arrived or was given up: the outbox's patience, at least a second for what was not tried yet,
    /// and for the end of a try that is on its way. `was_asked` and `is_asked` tell
    /// of somebody who asks the run to end, before and meanwhile, and shorten it.
    pub fn close(self, was_asked: bool, mut is_asked: impl FnMut() -> bool) {
        drop(self.queue);
        let patience = self.patience.max(LAST_TRY);
        let patience = if was_asked { patience.min(GRACE) } else { patience };
        let mut end = Instant::now().checked_add(patience);
        if let Some(end) = end {
            self.deadline.set(end);
        }
        // Another try at once, however long the pause would be.
        self.thread.thread().unpark();
        let mut may_leave = was_asked;
        while self.ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            if !may_leave && is_asked() {
                (may_leave, end) = (true, Some(Instant::now()));
                self.deadline.set(Instant::now());
                self.thread.thread().unpark();
            }
            // Something without an answer ends later; nobody waits for it.
            if may_leave && end.is_some_and(|end| Instant::now() > end + LAST_TRY) {
                return;
            }
        }
        // As in `push`.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn outbox(patience: Duration) -> (Outbox<u32>, Arc<Mutex<Vec<u32>>>) {
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let (told, deadline) = (Arc::clone(&delivered), Arc::new(Deadline::default()));
        let end = Arc::clone(&deadline);
        let outbox = Outbox::open("test", patience, deadline, move |queue| {
            while let Ok(thing) = queue.recv() {
                // Zero never arrives.
                if thing == 0 {
                    while end.rest(Duration::from_millis(5)) {}
                    return;
                }
                told.lock().unwrap().push(thing);
            }
        });
        (outbox.unwrap(), delivered)
    }

    #[test]
    fn everything_arrives_in_order_before_the_end() {
        let (outbox, delivered) = outbox(Duration::MAX);
        (1..100).for_each(|thing| outbox.push(thing));
        outbox.close(false, || false);
        assert_eq!(*delivered.lock().unwrap(), (1..100).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_arrive_is_given_up_when_patience_ends() {
        let (outbox, delivered) = outbox(Duration::from_millis(50));
        [1, 0, 2].into_iter().for_each(|thing| outbox.push(thing));
        outbox.close(false, || false);
        assert_eq!(*delivered.lock().unwrap(), [1]);
    }

    #[test]
    fn the_end_tries_what_was_not_tried_yet_and_waits_for_a_try_on_its_way() {
        let ((release, held), (tell, delivered)) = (channel::<()>(), channel());
        let deadline = Arc::new(Deadline::default());
        let end = Arc::clone(&deadline);
        let outbox = Outbox::open("test", Duration::ZERO, deadline, move |queue| {
            while let Ok(thing) = queue.recv() {
                if end.is_over() {
                    return;
                }
                if thing == 2_u32 {
                    held.recv().unwrap();
                }
                tell.send(thing).unwrap();
            }
        });
        let outbox = outbox.unwrap();
        [1, 2].into_iter().for_each(|thing| outbox.push(thing));
        let began = Instant::now();
        outbox.close(false, || {
            if began.elapsed() > 2 * LAST_TRY {
                // It is waited for all the same.
                let _ = release.send(());
            }
            false
        });
        assert_eq!(delivered.iter().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn who_asks_the_run_to_end_does_not_wait_for_an_answer_that_does_not_come() {
        let (release, held) = channel::<()>();
        let outbox = Outbox::open("test", Duration::MAX, Arc::default(), move |queue| {
            let _: u32 = queue.recv().unwrap();
            let _ = held.recv();
        });
        let outbox = outbox.unwrap();
        outbox.push(1);
        let (began, mut asked) = (Instant::now(), 0);
        outbox.close(false, || {
            asked += 1;
            asked > 3
        });
        assert!(began.elapsed() >= LAST_TRY);
        drop(release);
    }
}
