//! Turns a panic into an error, so that a run that meets one ends in good order. tch panics wherever libtorch throws: at
//! shapes that do not fit, at memory that is not there.
//! Knows nothing of runs.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs it; the message of a panic in it, which then prints nothing itself.
///
/// What it changed until then stays as it is: only for work whose end is the end of everything that it touched.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    listen();
    let outer = IS_CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    IS_CAUGHT.set(outer);
    result.map_err(|panic| message(&text_of(&*panic), &PLACE.take()))
}

/// Panics elsewhere, in threads and tests, print as they always do.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if IS_CAUGHT.get() {
                PLACE.set(panic.location().map_or_else(String::new, ToString::to_string));
            } else {
                usual(panic);
            }
        }));
    });
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn message(text: &str, place: &str) -> String {
    match of_libtorch(text) {
        Some(said) => format!("libtorch: {said}"),
        None => format!("{text} (a mistake in Snaphook, at {place})"),
    }
}

/// What libtorch said, without where in its sources: tch shows it as Rust shows a string in quotes.
fn of_libtorch(text: &str) -> Option<String> {
    let quoted = text.split_once("Torch(\"")?.1;
    let quoted = quoted.rsplit_once("\")").map_or(quoted, |(inside, _)| inside);
    let said = quoted.split("\\nException raised from").next().unwrap_or(quoted);
    let plain = said.replace("\\n", "\n").replace("\\\"", "\"").replace("\\'", "'");
    Some(plain.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn what_libtorch_throws_is_told_in_its_first_words() {
        let multiply = || {
            let ones = |size: [i64; 2]| Tensor::ones(size, (Kind::Float, Device::Cpu));
            ones([2, 3]).matmul(&ones([4, 5]))
        };
        let message = caught(multiply).unwrap_err();
        let expected = "libtorch: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)";
        assert_eq!(message, expected);
    }

    #[test]
    fn another_panic_names_its_place() {
        let message = caught(|| panic!("no {}", "way")).unwrap_err();
        assert!(message.starts_with("no way (a mistake in Snaphook, at "), "{message}");
        assert!(message.contains("panics.rs:"), "{message}");
        assert_eq!(caught(|| 7), Ok(7));
    }
}
