//! Listens to libtorch between two moments. The C++ side is `shim/listen.cpp`.

use std::ffi::{c_char, c_void};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

type Tell = extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize, u32, i64, i64);

unsafe extern "C" {
    fn snaphook_operators_now() -> i64;
    fn snaphook_operators_start(limit: u64, shapes: bool) -> bool;
    fn snaphook_operators_stop(context: *mut c_void, tell: Tell) -> u64;
}

/// An operator that was carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// As libtorch calls it: `aten::conv2d`, `ConvolutionBackward0`.
    pub name: String,
    /// The thread, counted from 0 in the order in which they appear.
    pub thread: u32,
    /// When it began.
    pub began: Instant,
    /// How long it took, with what it called.
    pub took: Duration,
    /// A list of sizes for each input, an empty one for what is no tensor; null when nobody asked.
    pub shapes: Json,
}

/// What was heard.
#[derive(Clone, Debug, Default)]
pub struct Operators {
    /// In the order in which they ended.
    pub all: Vec<Operator>,
    /// How many more there were, over the limit.
    pub lost: u64,
}

/// Listens until it is stopped or dropped. One at a time in a process.
#[derive(Debug)]
pub struct Listener {
    at: Instant,
    at_nanos: i64,
    is_stopped: bool,
}

impl Listener {
    /// Begins, to note at most `limit` operators, with the shapes of their inputs where that is asked for. `None` when
    /// somebody listens already.
    pub fn start(limit: u64, with_shapes: bool) -> Option<Listener> {
        // SAFETY: both take and return plain numbers, throw nothing, and lock what they share.
        let (is_started, at_nanos) =
            unsafe { (snaphook_operators_start(limit, with_shapes), snaphook_operators_now()) };
        is_started.then(|| Listener { at: Instant::now(), at_nanos, is_stopped: false })
    }

    /// Ends, and tells what was heard.
    pub fn stop(mut self) -> Operators {
        self.take()
    }

    fn take(&mut self) -> Operators {
        if std::mem::replace(&mut self.is_stopped, true) {
            return Operators::default();
        }
        let mut heard = Heard { at: self.at, at_nanos: self.at_nanos, all: Vec::new() };
        // SAFETY: `heard` outlives the call, which hands it to `tell` on this thread alone and keeps nothing.
        let lost = unsafe { snaphook_operators_stop((&raw mut heard).cast(), tell) };
        Operators { all: heard.all, lost }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.take();
    }
}

struct Heard {
    at: Instant,
    at_nanos: i64,
    all: Vec<Operator>,
}

extern "C" fn tell(
    context: *mut c_void,
    name: *const c_char,
    name_length: usize,
    shapes: *const c_char,
    shapes_length: usize,
    thread: u32,
    start: i64,
    end: i64,
) {
    // SAFETY: `context` is the `Heard` of `take`, borrowed by nobody else during the call; both texts are valid for their
    // lengths until this returns.
    let (heard, name, shapes) = unsafe {
        (
            &mut *context.cast::<Heard>(),
            std::slice::from_raw_parts(name.cast::<u8>(), name_length),
            std::slice::from_raw_parts(shapes.cast::<u8>(), shapes_length),
        )
    };
    let since = start - heard.at_nanos;
    let offset = Duration::from_nanos(since.unsigned_abs());
    let began = if since < 0 { heard.at.checked_sub(offset) } else { heard.at.checked_add(offset) };
    let Some(began) = began else { return };
    heard.all.push(Operator {
        name: String::from_utf8_lossy(name).into_owned(),
        thread,
        began,
        took: Duration::from_nanos((end - start).max(0).unsigned_abs()),
        shapes: serde_json::from_slice(shapes).unwrap_or(Json::Null),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tch::{Device, Kind, Tensor};

    /// One test: a process has one listener.
    #[test]
    fn operators_are_heard_forwards_and_backwards_until_the_listener_stops() {
        let weight = Tensor::ones([3, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let input = Tensor::ones([4, 3], (Kind::Float, Device::Cpu));
        let began = Instant::now();
        let listener = Listener::start(1000, true).unwrap();
        assert!(Listener::start(1000, true).is_none());
        input.matmul(&weight).sum(Kind::Float).backward();
        let heard = listener.stop();
        let ended = Instant::now();
        assert_eq!(heard.lost, 0);
        let named = |name: &str| heard.all.iter().find(|operator| operator.name == name);
        let product = named("aten::mm").unwrap();
        assert_eq!(product.shapes, json!([[4, 3], [3, 2]]));
        assert!(heard.all.iter().all(|one| one.shapes.is_array()), "{:?}", heard.all);
        let outer = named("aten::matmul").unwrap();
        assert!(outer.began <= product.began && outer.took >= product.took);
        assert!(named("MmBackward0").is_some(), "{:?}", heard.all);
        assert!(heard.all.iter().all(|one| one.began >= began && one.began + one.took <= ended));

        let after = Listener::start(2, false).unwrap();
        let _ = (&input + 1.0) * 2.0 + 3.0;
        let heard = after.stop();
        assert!(heard.all.len() == 2 && heard.lost > 0, "{heard:?}");
        assert_eq!(heard.all[0].shapes, Json::Null);
        drop(Listener::start(1, false));
        assert!(Listener::start(1, false).is_some(), "a dropped one listens no longer");
    }
}
