//! Waiting for the other processes of a run to come: says for whom it waits, and hears a signal meanwhile. Knows nothing of
//! how processes talk once they are there.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use snaphook_c10d::{Arrivals, Error, Failure, Store, arrived_ranks, await_ranks};
use snaphook_cli::args::LogFormat;
use snaphook_cli::report::print_warning_as;
use snaphook_runner::{Interrupt, RunError, signal_name};

use crate::error::TrainerError;

/// How often a signal is looked for.
const PAUSE: Duration = Duration::from_millis(50);
/// For the others to be told that this rank leaves, who may be about to connect to their store, and to hear it.
const FAREWELL: Duration = Duration::from_secs(5);
/// For ranks that were asked to end at their start to meet all the same.
const COMING: Duration = Duration::from_secs(3);
/// How often ranks look whether another one has left.
const LOOK: Duration = Duration::from_millis(500);
/// When it is said for the first time that ranks are waited for, at the latest.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// The rank that was asked to end, and by which signal.
const LEFT: &str = "snaphook/joining/left";
/// The ranks that another one has waited for until its time was up.
const GIVEN_UP: &str = "snaphook/joining/given_up";

/// What rank 0 was started for.
const STARTED_FOR: &str = "snaphook/joining/started_for";
/// A rank that was started for something else, and for what.
const OTHERWISE: &str = "snaphook/joining/otherwise";
/// A rank that cannot take part, and why, in a line of its own.
const UNABLE: &str = "snaphook/joining/unable";
/// Set by each rank that knows why ranks do not come together.
const HEARD: &str = "snaphook/joining/heard";

/// What a process needs that waits for others.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) interrupt: Interrupt,
    pub(crate) format: LogFormat,
    /// A training that is asked to end can go on later, a test cannot.
    pub(crate) trains: bool,
}

impl Waiting {
    /// Ended by a signal, with nothing to save.
    fn ended(&self, signal: usize) -> TrainerError {
        match self.trains {
            true => TrainerError::Run {
                place: String::new(),
                error: Box::new(RunError::Interrupted { signal }),
            },
            false => TrainerError::TestStopped { signal },
        }
    }

    /// What a failure to reach the others means: one that was asked to end may have left, and this one was asked as well.
    pub(crate) fn or_ended(&self, error: TrainerError) -> TrainerError {
        match (&error, self.interrupt.signal()) {
            (
                TrainerError::Company(_)
                | TrainerError::Unconnected { .. }
                | TrainerError::Meeting { .. },
                Some(signal),
            ) => self.ended(signal),
            _ => error,
        }
    }

    pub(crate) fn say(&self, text: &str) {
        print_warning_as(self.format, text);
    }
}

/// One rank of several that waits for the others; a signal ends its process as long as this lives.
pub(crate) struct Joining {
    waiting: Waiting,
    rank: usize,
    world: usize,
    began: Instant,
    timeout: Duration,
    next_word: Duration,
    store: Arc<Mutex<Option<Store>>>,
    _hearing: Hearing,
}

impl Joining {
    /// From now on a signal is heard.
    pub(crate) fn begin(
        waiting: &Waiting,
        (rank, world): (usize, usize),
        timeout: Duration,
    ) -> Joining {
        let store = Arc::default();
        let guard = Guard {
            waiting: waiting.clone(),
            place: (rank, world),
            until: "before all ranks had come",
            patience: Duration::ZERO,
            store: Some(Arc::clone(&store)),
        };
        Joining {
            waiting: waiting.clone(),
            rank,
            world,
            began: Instant::now(),
            timeout,
            next_word: FIRST_WORD.min(timeout / 4),
            store,
            _hearing: Hearing::start(guard),
        }
    }

    /// What is left of the time in which all must come.
    pub(crate) fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.began.elapsed()).max(Duration::from_millis(1))
    }

    /// Opens the store, which may take until rank 0 has come.
    pub(crate) fn open(
        &mut self,
        place: &str,
        open: impl FnOnce(Duration) -> Result<Store, Error> + Send + 'static,
    ) -> Result<Store, TrainerError> {
        let (sender, receiver) = mpsc::channel();
        let left = self.left();
        std::thread::spawn(move || sender.send(open(left)));
        let opened = loop {
            match receiver.recv_timeout(PAUSE) {
                Ok(opened) => break opened,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let words = format!("rank 0 of {}, at {place}", self.world);
                    self.say_when_due(self.began.elapsed(), || words.clone());
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(TrainerError::Panic("the store cannot be opened".to_owned()));
                }
            }
        };
        let rank = self.rank;
        let store = opened.map_err(|source| TrainerError::Meeting { rank, source })?;
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = Some(store.clone());
        Ok(store)
    }

    /// This rank cannot take part, and the others need not wait for it.
    pub(crate) fn give_up(&self, store: &Store, error: TrainerError) -> TrainerError {
        let words = format!("{}\n{error}", self.rank);
        if store.set(UNABLE, words.as_bytes()).is_ok() {
            say_farewell(store, (self.rank, self.world));
        }
        error
    }

    /// Waits until all ranks have come to the store.
    ///
    /// Errors: those that do not come, by their numbers; one that was asked to end meanwhile, or cannot take part.
    pub(crate) fn wait(&mut self, store: &Store) -> Result<(), TrainerError> {
        let met = self.wait_for_all(store);
        if met.is_err() {
            say_farewell(store, (self.rank, self.world));
        }
        met
    }

    fn wait_for_all(&mut self, store: &Store) -> Result<(), TrainerError> {
        let (place, left) = ((self.rank, self.world), self.left());
        self.check_started_alike(store)?;
        let (mut otherwise, mut unable) = (None, None);
        let (mut gone, mut given_up) = (None, None);
        let mut next_look = Duration::ZERO;
        let come = await_ranks(store, place, left, |arrivals| {
            if arrivals.waited() >= next_look {
                next_look = arrivals.waited() + LOOK;
                // Its own word is this process' end, on another thread.
                gone = who_left(store).filter(|(rank, _)| *rank != place.0);
                given_up = told(store, GIVEN_UP).map(|told| numbers(&told));
                otherwise = told(store, OTHERWISE);
                unable = told(store, UNABLE);
            }
            self.say_when_due(arrivals.waited(), || missing_words(arrivals, place.1));
            gone.is_none() && given_up.is_none() && otherwise.is_none() && unable.is_none()
        });
        let seconds = self.timeout.as_secs_f64();
        if let Some((other, found)) = otherwise.as_deref().and_then(|told| told.split_once(' ')) {
            let (own, other) = (self.started_for(), other.parse().unwrap_or(0));
            let (rank, found) = (self.rank, found.to_owned());
            return Err(TrainerError::StartedOtherwise { rank, own, other, found });
        }
        if let Some((rank, message)) = unable.as_deref().and_then(|told| told.split_once('\n')) {
            let (rank, message) = (rank.parse().unwrap_or(0), message.to_owned());
            return Err(TrainerError::OtherRank { rank, message });
        }
        if let Some(missing) = given_up {
            return Err(TrainerError::MissingRanks { place, missing, seconds });
        }
        match (come, gone) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some((rank, signal))) => {
                let name = signal_name(signal);
                self.waiting.say(&format!(
                    "rank {}: rank {rank} was asked to end by {name} before all ranks had come, nothing was there to save",
                    self.rank
                ));
                Err(self.waiting.ended(signal))
            }
            (Err(error), None) if error.failure() == Failure::Timeout => {
                let missing = error.peers().to_vec();
                let words: Vec<_> = missing.iter().map(usize::to_string).collect();
                // The others, which came later, may know as much now.
                let _ = store.set(GIVEN_UP, words.join(" ").as_bytes());
                Err(TrainerError::MissingRanks { place, missing, seconds })
            }
            (Err(error), None) => Err(TrainerError::Company(error)),
        }
    }

    fn started_for(&self) -> String {
        let what = if self.waiting.trains { "a training" } else { "a test" };
        format!("{what} with {} ranks", self.world)
    }

    /// Rank 0 says what it was started for, and the others compare.
    ///
    /// Errors: another command or number of ranks; a store that does not answer.
    fn check_started_alike(&self, store: &Store) -> Result<(), TrainerError> {
        let own = self.started_for();
        if self.rank == 0 {
            return store.set(STARTED_FOR, own.as_bytes()).map_err(TrainerError::Company);
        }
        let found = store.get(STARTED_FOR).map_err(TrainerError::Company)?;
        let found = String::from_utf8_lossy(&found).into_owned();
        if found == own {
            return Ok(());
        }
        // Rank 0 may be gone already, and this rank knows enough.
        let _ = store.set(OTHERWISE, format!("{} {own}", self.rank).as_bytes());
        Err(TrainerError::StartedOtherwise { rank: self.rank, own, other: 0, found })
    }

    /// Says who is waited for, after a while, and again when the time has doubled.
    fn say_when_due(&mut self, waited: Duration, whom: impl Fn() -> String) {
        if waited < self.next_word {
            return;
        }
        while self.next_word <= waited {
            self.next_word *= 2;
        }
        let (rank, seconds) = (self.rank, waited.as_secs_f64());
        let end = self.timeout.as_secs_f64();
        self.waiting.say(&format!(
            "rank {rank}: waiting for {} for {seconds:.0} s (until {end:.0} s)",
            whom()
        ));
    }
}

/// Hears a signal while this lives, and ends the process on it: the thread that waits is within libtorch, which hears none.
pub(crate) struct Hearing {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hearing {
    /// While ranks that have come wait for each other at their start; one that is asked to end may get there by itself.
    pub(crate) fn at_start(waiting: &Waiting, place: (usize, usize)) -> Hearing {
        Hearing::start(Guard {
            waiting: waiting.clone(),
            place,
            until: "while it waited for the other ranks to start",
            patience: COMING,
            store: None,
        })
    }

    fn start(guard: Guard) -> Hearing {
        let is_over = Arc::default();
        let seen = Arc::clone(&is_over);
        let thread = std::thread::Builder::new().name("signals".to_owned());
        // Without a thread a signal is heard when the others have come.
        Hearing { is_over, thread: thread.spawn(move || guard.watch(&seen)).ok() }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

/// `rank 2 of 4`, `ranks 1, 2 of 4`.
fn missing_words(arrivals: &Arrivals<'_>, world: usize) -> String {
    match arrivals.missing() {
        Ok(missing) => format!("{} of {world}", ranks(&missing)),
        Err(_) => "ranks, of whom the store does not tell".to_owned(),
    }
}

/// `rank 2`, `ranks 1, 2`.
pub(crate) fn ranks(numbers: &[usize]) -> String {
    let all: Vec<_> = numbers.iter().map(usize::to_string).collect();
    match all.as_slice() {
        [one] => format!("rank {one}"),
        all => format!("ranks {}", all.join(", ")),
    }
}

/// This rank knows why ranks do not come together. Rank 0 takes the store with it, and waits until those that have come know, too.
fn say_farewell(store: &Store, (rank, world): (usize, usize)) {
    let key = |rank: usize| format!("{HEARD}/{rank}");
    let is_told = store.set(&key(rank), b"").is_ok();
    if rank != 0 || !is_told {
        return;
    }
    // For one that is about to come.
    std::thread::sleep(2 * LOOK);
    let end = Instant::now() + FAREWELL;
    let waits = |other: &usize| store.has(&key(*other)).is_ok_and(|has_heard| !has_heard);
    while Instant::now() < end
        && arrived_ranks(store, world).is_ok_and(|arrived| arrived.iter().any(waits))
    {
        std::thread::sleep(PAUSE);
    }
}

/// The rank that was asked to end, and by which signal.
fn who_left(store: &Store) -> Option<(usize, usize)> {
    match numbers(&told(store, LEFT)?)[..] {
        [rank, signal] => Some((rank, signal)),
        _ => None,
    }
}

/// What is under a key, if it is set.
fn told(store: &Store, key: &str) -> Option<String> {
    let told = store.has(key).ok()?.then(|| store.get(key).ok())??;
    String::from_utf8(told).ok()
}

fn numbers(told: &str) -> Vec<usize> {
    told.split(' ').filter_map(|number| number.parse().ok()).collect()
}

/// What ends the process on a signal.
struct Guard {
    waiting: Waiting,
    /// Its rank, and of how many.
    place: (usize, usize),
    until: &'static str,
    /// From the signal on, for the wait to end by itself.
    patience: Duration,
    /// Where word is left, once there is one.
    store: Option<Arc<Mutex<Option<Store>>>>,
}

impl Guard {
    fn watch(self, is_over: &AtomicBool) {
        let mut asked: Option<Instant> = None;
        while !is_over.load(Ordering::Relaxed) {
            if let Some(signal) = self.waiting.interrupt.signal()
                && asked.get_or_insert_with(Instant::now).elapsed() >= self.patience
            {
                self.end(signal);
            }
            std::thread::park_timeout(PAUSE);
        }
    }

    fn end(&self, signal: usize) -> ! {
        let name = signal_name(signal);
        self.waiting.say(&format!(
            "rank {}: interrupted by {name} {}, nothing was there to save",
            self.place.0, self.until
        ));
        self.leave_word(signal);
        let _ = std::io::stdout().flush();
        // No destructor runs: the other thread is in the midst of something.
        signal_hook::low_level::exit(i32::from(self.waiting.ended(signal).exit_code()))
    }

    fn leave_word(&self, signal: usize) {
        let Some(store) = &self.store else { return };
        let end = Instant::now() + FAREWELL;
        let store = loop {
            match store.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                Some(store) => break store,
                // Nobody serves one.
                None if Instant::now() > end => return,
                None => std::thread::sleep(PAUSE),
            }
        };
        let (place, (sender, receiver)) = (self.place, mpsc::channel());
        std::thread::spawn(move || {
            let words = format!("{} {signal}", place.0);
            let is_left = store.set(LEFT, words.as_bytes()).is_ok();
            if is_left {
                say_farewell(&store, place);
            }
            sender.send(())
        });
        let _ = receiver.recv_timeout(2 * LOOK + FAREWELL);
    }
}
