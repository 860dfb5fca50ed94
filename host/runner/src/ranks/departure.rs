//! The end of a rank that the others do not expect: it leaves word in the store, and those who find a connection closed
//! look there, or tell by a roll call who does not answer.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use snaphook_c10d::{Error, Failure, Group, Store};

use super::Ranks;
use super::agreement::chain;
use super::lateness::{Coming, late_rank, own_lateness};
use super::meeting::places;
use crate::RunError;

/// How long ranks wait for each other's words at the end.
const GRACE: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(50);
/// For the last round of questions to a store that is asked by many.
const MARGIN: Duration = Duration::from_secs(3);
const REASON: &str = "snaphook/failure/reason";
const READ: &str = "snaphook/failure/read";
/// What a rank was in when it lost the others.
const DOING: &str = "doing";

impl Ranks {
    /// Tells the others why this rank leaves, or finds out why they have left; returns the error that people should see.
    /// `place` is where this rank stood.
    pub(crate) fn depart(&mut self, error: RunError, place: &str) -> RunError {
        let Some(group) = self.group.clone().filter(|_| !self.is_agreed) else { return error };
        match lost_company(&error, &group) {
            Some(lost) => self.ask_why(&group, lost, place),
            None => {
                let words = format!("{} ({place})", chain(&error));
                let _ = group.store().set(REASON, format!("{}\n{words}", group.rank()).as_bytes());
                self.reducer = None;
                group.close();
                error
            }
        }
    }

    /// The last thing that a rank does: rank 0 keeps the store until the others have read what is in it.
    pub(crate) fn linger(&mut self) {
        let Some(group) = self.group.take() else { return };
        if self.is_agreed || !group.is_broken() || group.rank() != 0 {
            return;
        }
        // One that failed by itself asks nobody.
        let readers = self.readers.unwrap_or(group.size() - 1) as i64;
        let store = group.store().clone();
        within(GRACE, move || {
            while store.add(READ, 0).is_ok_and(|read| read < readers) {
                thread::sleep(PAUSE);
            }
        });
    }

    fn ask_why(&mut self, group: &Group, lost: String, place: &str) -> RunError {
        // Whoever waits for this rank hears of it.
        group.close();
        let (store, rank, size) = (group.store().clone(), group.rank(), group.size());
        let words = format!("{lost} ({place})");
        let told = self.what_to_tell(group).to_string();
        let silent = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&silent);
        let found = within(GRACE + MARGIN, move || roll_call(&store, rank, size, &told, &silent));
        self.readers = match &found {
            Some(Ok(RollCall::Missing(ranks))) => Some(size - ranks.len()),
            Some(Ok(RollCall::Late(..) | RollCall::Together(_))) => Some(size),
            _ => None,
        };
        match found {
            Some(Ok(RollCall::Reason(words))) => {
                let (rank, message) = words.split_once('\n').unwrap_or(("0", &words));
                let rank = rank.parse().unwrap_or(0);
                RunError::OtherRank { rank, message: message.to_owned() }
            }
            Some(Ok(RollCall::Late(rank, doing))) => {
                RunError::LateRank { rank, doing, message: words }
            }
            Some(Ok(RollCall::Missing(ranks))) => self.lost(ranks, words),
            Some(Ok(RollCall::Together(places))) => {
                self.lost(Vec::new(), format!("{places}; {words}"))
            }
            // The store has ended with rank 0, which alone keeps it: it may have waited for this rank.
            Some(Err(_)) | None => match own_lateness(group, self.stays.as_ref()) {
                Some(stay) => {
                    let doing = format!("{stay}, and the others have ended");
                    RunError::LateRank { rank, doing, message: words }
                }
                None => self.lost(not_heard(rank, &known), words),
            },
        }
    }

    /// How this rank came to what failed, and what that was.
    fn what_to_tell(&self, group: &Group) -> Json {
        let coming = Coming::own(group, self.stays.as_ref());
        let mut told = coming.map_or_else(|| json!({}), |coming| coming.to_json());
        let operation = group.broken_by().map(|error| error.operation().to_owned());
        told[DOING] = json!(self.doing.as_deref().map(str::to_owned).or(operation));
        told
    }

    fn lost(&self, ranks: Vec<usize>, words: String) -> RunError {
        let seen = |rank: &usize| self.records.as_ref()?.last_seen(*rank);
        let seen: Vec<String> = ranks.iter().filter_map(seen).collect();
        let message = seen.into_iter().chain([words]).collect::<Vec<_>>().join("; ");
        RunError::LostRanks { ranks, message }
    }
}

enum RollCall {
    /// A rank has left word.
    Reason(String),
    /// All are there, and this one came too late; with what it did meanwhile.
    Late(usize, String),
    /// All are there, and were here, as far as they know.
    Together(String),
    /// These have not, and do not answer.
    Missing(Vec<usize>),
}

/// Who is missing, as far as this rank could ask: those that had not answered, or rank 0, whose store did not.
fn not_heard(rank: usize, silent: &Mutex<Vec<usize>>) -> Vec<usize> {
    let silent = silent.lock().unwrap_or_else(PoisonError::into_inner);
    match (silent.as_slice(), rank) {
        ([], 0) => Vec::new(),
        ([], _) => vec![0],
        (silent, _) => silent.iter().copied().filter(|other| *other != rank).collect(),
    }
}

/// `told` is how this rank came, for the others; `silent` gets those that have not answered so far.
fn roll_call(
    store: &Store,
    rank: usize,
    size: usize,
    told: &str,
    silent: &Mutex<Vec<usize>>,
) -> Result<RollCall, Error> {
    let key = |rank: usize| format!("snaphook/failure/lost/{rank}");
    store.set(&key(rank), told.as_bytes())?;
    let end = Instant::now() + GRACE;
    let mut asked: Vec<usize> = (0..size).collect();
    let found = loop {
        if store.has(REASON)? {
            let reason = store.get(REASON)?;
            break RollCall::Reason(String::from_utf8_lossy(&reason).into_owned());
        }
        // Who has answered once is there.
        let mut missing = Vec::new();
        for other in asked {
            if !store.has(&key(other))? {
                missing.push(other);
            }
        }
        asked = missing.clone();
        silent.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&missing);
        if missing.is_empty() {
            let told =
                (0..size).map(|rank| store.get(&key(rank))).collect::<Result<Vec<_>, _>>()?;
            let read = |told: &Vec<u8>| serde_json::from_slice(told).unwrap_or_default();
            break together(&told.iter().map(read).collect::<Vec<Json>>());
        }
        if Instant::now() > end {
            break RollCall::Missing(missing);
        }
        thread::sleep(PAUSE);
    };
    store.add(READ, 1)?;
    Ok(found)
}

/// What all ranks tell together.
fn together(told: &[Json]) -> RollCall {
    let all: Vec<_> = told.iter().map(Coming::of_json).collect();
    let doing = |told: &Json| told[DOING].as_str().map(str::to_owned);
    match late_rank(&all) {
        Some((rank, doing)) => RollCall::Late(rank, doing),
        None => RollCall::Together(places(&told.iter().map(doing).collect::<Vec<_>>())),
    }
}

/// Whether an error says that a collective failed, which other ranks know of.
fn lost_company(error: &RunError, group: &Group) -> Option<String> {
    match error {
        RunError::Ranks(lost) if lost.failure() != Failure::Other => Some(chain(error)),
        // A hook's collective failed, and the hook says so in its own words.
        _ => group.is_broken().then(|| chain(error)),
    }
}

/// Runs something that may hang, such as a question to a store whose process stands still; `None` when it did.
fn within<T: Send + 'static>(
    time: Duration,
    act: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(act()));
    receiver.recv_timeout(time + PAUSE).ok()
}
