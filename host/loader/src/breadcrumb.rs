//! Which hook of which plugin each thread is in, readable by another thread and by a signal handler. Costs a hook call a
//! few stores. Knows nothing of what is done with it.

use crate::catalog::Plugin;
use crate::deadline::Deadline;
use snaphook_plugin_api::HookPoint;
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whose code runs; stays for the rest of the process, as the code does.
#[derive(PartialEq)]
pub(crate) struct Crumb {
    pub(crate) plugin: String,
    pub(crate) version: String,
    pub(crate) path: String,
    /// The hook's type, empty while the plugin is opened.
    pub(crate) type_name: String,
    /// The hook's own deadline.
    pub(crate) deadline: Option<Deadline>,
}

static CRUMBS: Mutex<Vec<&'static Crumb>> = Mutex::new(Vec::new());

impl Crumb {
    /// A crumb for good: one per plugin, type and deadline, however many hooks are built.
    pub(crate) fn of(
        plugin: &Plugin,
        type_name: &str,
        deadline: Option<Deadline>,
    ) -> &'static Crumb {
        Crumb::kept(Crumb {
            plugin: plugin.manifest.plugin.name.clone(),
            version: plugin.manifest.plugin.version.clone(),
            path: plugin.path.display().to_string(),
            type_name: type_name.to_owned(),
            deadline,
        })
    }

    fn kept(crumb: Crumb) -> &'static Crumb {
        let mut known = CRUMBS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.iter().find(|other| ***other == crumb) {
            return same;
        }
        let crumb: &'static Crumb = Box::leak(Box::new(crumb));
        known.push(crumb);
        crumb
    }
}

/// The shortest deadline that any hook has of its own.
pub(crate) fn shortest_deadline() -> Option<std::time::Duration> {
    let known = CRUMBS.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().filter_map(|crumb| crumb.deadline).map(|deadline| deadline.after).min()
}

/// Where in the plugin: at a point, or in one of the other calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Place {
    pub(crate) const LOAD: Place = Place(1 << 16);
    pub(crate) const CONSTRUCT: Place = Place((1 << 16) + 1);
    pub(crate) const SAVE_STATE: Place = Place((1 << 16) + 2);
    pub(crate) const LOAD_STATE: Place = Place((1 << 16) + 3);
    pub(crate) const CLOSE: Place = Place((1 << 16) + 4);

    pub(crate) fn point(point: HookPoint) -> Place {
        Place(point.number())
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Place::LOAD => "load",
            Place::CONSTRUCT => "construct",
            Place::SAVE_STATE => "save_state",
            Place::LOAD_STATE => "load_state",
            Place::CLOSE => "close",
            Place(number) => HookPoint::from_number(number).map_or("?", HookPoint::name),
        }
    }
}

/// No batch.
const NO_BATCH: u64 = u64::MAX;

/// What one thread is doing. Only that thread writes; `sequence` is odd while it does.
#[derive(Default)]
pub(crate) struct Slot {
    sequence: AtomicU64,
    crumb: AtomicPtr<Crumb>,
    place: AtomicU32,
    batch: AtomicU64,
    iteration: AtomicU64,
}

/// What a slot said at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// Grows with every call that begins or ends.
    pub(crate) sequence: u64,
    pub(crate) crumb: &'static Crumb,
    pub(crate) place: Place,
    pub(crate) batch: Option<u64>,
    pub(crate) iteration: u64,
}

#[derive(Clone, Copy)]
struct Values {
    crumb: *mut Crumb,
    place: u32,
    batch: u64,
    iteration: u64,
}

impl Slot {
    fn values(&self) -> Values {
        Values {
            crumb: self.crumb.load(Ordering::Acquire),
            place: self.place.load(Ordering::Acquire),
            batch: self.batch.load(Ordering::Acquire),
            iteration: self.iteration.load(Ordering::Acquire),
        }
    }

    fn write(&self, values: Values) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Release);
        self.crumb.store(values.crumb, Ordering::Release);
        self.place.store(values.place, Ordering::Release);
        self.batch.store(values.batch, Ordering::Release);
        self.iteration.store(values.iteration, Ordering::Release);
        self.sequence.store(sequence + 2, Ordering::Release);
    }

    /// What the thread is doing; `None` outside of plugins and in the middle of a change.
    pub(crate) fn read(&self) -> Option<Seen> {
        let sequence = self.sequence.load(Ordering::Acquire);
        let seen = self.read_now(sequence)?;
        let is_settled =
            sequence.is_multiple_of(2) && self.sequence.load(Ordering::Acquire) == sequence;
        is_settled.then_some(seen)
    }

    fn read_now(&self, sequence: u64) -> Option<Seen> {
        let values = self.values();
        // SAFETY: crumbs are leaked, so a pointer that is not null stays valid.
        let crumb = unsafe { values.crumb.as_ref() }?;
        let batch = (values.batch != NO_BATCH).then_some(values.batch);
        Some(Seen {
            sequence,
            crumb,
            place: Place(values.place),
            batch,
            iteration: values.iteration,
        })
    }
}

thread_local! {
    // No destructor and no lazy beginning, so that a signal handler may read it.
    static OWN: Cell<Option<&'static Slot>> = const { Cell::new(None) };
}

static SLOTS: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

/// The slots of all threads that were ever in a plugin.
pub(crate) fn slots() -> Vec<&'static Slot> {
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What this thread is doing; may be called in a signal handler.
pub(crate) fn current() -> Option<Seen> {
    OWN.with(Cell::get)?.read_now(0)
}

fn own_slot() -> &'static Slot {
    OWN.with(|own| {
        own.get().unwrap_or_else(|| {
            let slot: &'static Slot = Box::leak(Box::default());
            SLOTS.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
            own.set(Some(slot));
            slot
        })
    })
}

/// A call into a plugin that is going on; ends when it is dropped.
pub(crate) struct Entered {
    slot: &'static Slot,
    before: Values,
}

/// Leaves word that this thread is in a plugin.
pub(crate) fn enter(
    crumb: &'static Crumb,
    place: Place,
    batch: Option<u64>,
    iteration: u64,
) -> Entered {
    let slot = own_slot();
    let before = slot.values();
    let crumb = std::ptr::from_ref(crumb).cast_mut();
    slot.write(Values { crumb, place: place.0, batch: batch.unwrap_or(NO_BATCH), iteration });
    Entered { slot, before }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.slot.write(self.before);
    }
}

const MAX_RANGES: usize = 256;

/// Where the code of a plugin lies in memory.
struct Range {
    start: AtomicUsize,
    end: AtomicUsize,
    crumb: AtomicPtr<Crumb>,
}

static RANGES: [Range; MAX_RANGES] = [const {
    Range {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        crumb: AtomicPtr::new(std::ptr::null_mut()),
    }
}; MAX_RANGES];

/// Remembers where the code of a file lies, so that a fault in a thread of the plugin's own can be told. Called by one
/// thread at a time.
pub(crate) fn remember_code(file: &Path, crumb: &'static Crumb) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let file = file.to_string_lossy();
    let parts = maps.lines().filter(|line| line.ends_with(&*file)).filter_map(|line| {
        let (start, end) = line.split_whitespace().next()?.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some((number(start)?, number(end)?))
    });
    let whole = parts.reduce(|all, part| (all.0.min(part.0), all.1.max(part.1)));
    let free = RANGES.iter().find(|range| range.crumb.load(Ordering::Acquire).is_null());
    if let (Some((start, end)), Some(range)) = (whole, free) {
        range.start.store(start, Ordering::Release);
        range.end.store(end, Ordering::Release);
        range.crumb.store(std::ptr::from_ref(crumb).cast_mut(), Ordering::Release);
    }
}

/// Whose code an address is; may be called in a signal handler.
pub(crate) fn owner_of(address: usize) -> Option<&'static Crumb> {
    let used = RANGES.iter().take_while(|range| !range.crumb.load(Ordering::Acquire).is_null());
    let mut within = used.filter(|range| {
        (range.start.load(Ordering::Acquire)..range.end.load(Ordering::Acquire)).contains(&address)
    });
    // SAFETY: crumbs are leaked.
    within.next().and_then(|range| unsafe { range.crumb.load(Ordering::Acquire).as_ref() })
}

#[cfg(test)]
mod tests {
    use super::{Crumb, Place, current, enter};
    use snaphook_plugin_api::HookPoint;

    fn crumb(type_name: &str) -> &'static Crumb {
        let (plugin, version, path) = ("a".to_owned(), "1".to_owned(), "/a.so".to_owned());
        let type_name = type_name.to_owned();
        Crumb::kept(Crumb { plugin, version, path, type_name, deadline: None })
    }

    #[test]
    fn a_thousand_hooks_of_a_type_share_one_crumb() {
        assert!((0..1000).all(|_| std::ptr::eq(crumb("Shared"), crumb("Shared"))));
    }

    #[test]
    fn calls_within_calls_end_in_order() {
        assert!(current().is_none());
        let outer = enter(crumb("Outer"), Place::point(HookPoint::BeforeTrain), None, 3);
        {
            let _inner = enter(crumb("Inner"), Place::CONSTRUCT, Some(7), 4);
            let seen = current().unwrap();
            assert_eq!((seen.crumb.type_name.as_str(), seen.place.name()), ("Inner", "construct"));
            assert_eq!((seen.batch, seen.iteration), (Some(7), 4));
        }
        let seen = current().unwrap();
        assert_eq!((seen.crumb.type_name.as_str(), seen.place.name()), ("Outer", "before_train"));
        assert_eq!((seen.batch, seen.iteration), (None, 3));
        drop(outer);
        assert!(current().is_none());
    }
}
