//! Text across the border, in both directions. Knows nothing of what is said.

use abi_stable::StableAbi;
use std::ffi::c_void;

/// UTF-8 text of the caller, valid during the call.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct Text {
    /// First byte; may be anything when `len` is 0.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: usize,
}

impl Text {
    /// Borrows `text`.
    pub const fn new(text: &str) -> Text {
        Text { ptr: text.as_ptr(), len: text.len() }
    }

    /// The text; bytes that are not UTF-8 are replaced.
    ///
    /// # Safety
    /// `ptr` must be valid for `len` bytes for as long as the answer is used.
    pub unsafe fn read<'a>(self) -> std::borrow::Cow<'a, str> {
        if self.len == 0 || self.ptr.is_null() {
            return std::borrow::Cow::Borrowed("");
        }
        // SAFETY: the caller promises that the bytes are there.
        String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(self.ptr, self.len) })
    }
}

/// Where the other side puts text for the caller: `write` may be called any number of times, each
/// appends.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct Sink {
    /// Handed back to `write`.
    pub state: *mut c_void,
    /// Appends text.
    pub write: unsafe extern "C" fn(state: *mut c_void, text: Text),
}

impl Sink {
    /// A sink that appends to `target`, which must outlive every use of the sink.
    pub fn to(target: &mut String) -> Sink {
        Sink { state: (target as *mut String).cast(), write: append }
    }

    /// Appends `text` to what the caller collects.
    ///
    /// # Safety
    /// The caller that made the sink must still be waiting for the answer.
    pub unsafe fn put(self, text: &str) {
        // SAFETY: the sink is alive, so its state fits its function.
        unsafe { (self.write)(self.state, Text::new(text)) }
    }
}

unsafe extern "C" fn append(state: *mut c_void, text: Text) {
    // SAFETY: `Sink::to` made `state` out of a `String` that its caller keeps alive; `text` is valid
    // during this call.
    let (target, text) = unsafe { (&mut *state.cast::<String>(), text.read()) };
    target.push_str(&text);
}

#[cfg(test)]
mod tests {
    use super::{Sink, Text};

    #[test]
    fn sink_collects_what_was_put() {
        let mut collected = String::new();
        let sink = Sink::to(&mut collected);
        // SAFETY: `collected` is alive.
        unsafe {
            sink.put("loss ");
            sink.put("became NaN");
        }
        assert_eq!(collected, "loss became NaN");
    }

    #[test]
    fn empty_text_with_null_pointer_reads_as_empty() {
        let text = Text { ptr: std::ptr::null(), len: 0 };
        // SAFETY: no byte is read.
        assert_eq!(unsafe { text.read() }, "");
    }
}
