//! A plugin that ends the process, by a fault or by `exit`, is named before: on standard error, and in a note that the next
//! start reads. Everything in the handler is async-signal-safe: no allocation, no lock. Knows nothing of runs.

use crate::breadcrumb::{Crumb, Seen, current, owner_of};
use libc::{c_int, c_void, siginfo_t};
use snaphook_plugin_api::host::is_obeyed;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The signals of faults, with their names.
const SIGNALS: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
];

static BEFORE: [OnceLock<libc::sigaction>; SIGNALS.len()] =
    [const { OnceLock::new() }; SIGNALS.len()];
static NOTE: OnceLock<CString> = OnceLock::new();
static WATCHES_EXIT: OnceLock<()> = OnceLock::new();
/// How many runs are going on.
static RUNS: AtomicUsize = AtomicUsize::new(0);

/// Of a process that a plugin ended with `exit`.
const ENDED_BY_EXIT: c_int = 3;

/// From now on a fault in a plugin is told on standard error and in the file `note`; then the process ends as it would
/// have without us. So is `exit` from a plugin, and from anybody while a [`RunGuard`] lives; the exit code is 3 then,
/// whatever was asked for. Meant to be called once, before plugins are loaded.
///
/// Errors: the system refused a handler.
pub fn install_last_words(note: &Path) -> io::Result<()> {
    let note = CString::new(note.as_os_str().as_bytes())?;
    let _ = NOTE.set(note);
    if WATCHES_EXIT.set(()).is_ok() {
        // SAFETY: the handler is a function of this program, which is never unloaded.
        if unsafe { libc::atexit(on_exit) } != 0 {
            return Err(io::Error::other("the system takes no further handler of the exit"));
        }
    }
    for (index, (signal, _)) in SIGNALS.iter().enumerate() {
        if BEFORE[index].get().is_some() {
            continue;
        }
        // SAFETY: a zeroed sigaction is a valid one; it is filled below.
        let (mut ours, mut before): (libc::sigaction, libc::sigaction) =
            unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_fault;
        ours.sa_sigaction = handler as usize;
        // On the stack that std sets aside, so that a stack overflow reaches us too.
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: asks for the present action.
        if unsafe { libc::sigaction(*signal, std::ptr::null(), &mut before) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let _ = BEFORE[index].set(before);
        // SAFETY: the handler does async-signal-safe things only, and the action before it is kept.
        if unsafe { libc::sigaction(*signal, &ours, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The note of an earlier process that ended with a fault in a plugin, without control characters; it is removed.
pub fn take_crash_note(note: &Path) -> Option<String> {
    let text = std::fs::read(note).ok()?;
    std::fs::remove_file(note).ok()?;
    let text = String::from_utf8_lossy(&text).replace(is_obeyed, " ");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Ends the process at once with an exit code, without the handlers that libraries leave for its end: for a run whose hook
/// hangs, since such a handler may wait for that hook for ever. `words` go to standard error and into the crash note of
/// [`install_last_words`].
pub fn end_process(words: &str, code: i32) -> ! {
    let mut line = Line::default();
    line.text(words).text("\n");
    line.write_to(libc::STDERR_FILENO);
    write_note(&line);
    // SAFETY: ends the process; nothing of it runs after this.
    unsafe { libc::_exit(code) }
}

/// A run that is going on: `exit` is not how it ends. Over when it is dropped.
#[derive(Debug)]
pub struct RunGuard(());

impl RunGuard {
    /// The run begins.
    pub fn begin() -> RunGuard {
        RUNS.fetch_add(1, Ordering::SeqCst);
        RunGuard(())
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        RUNS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs on the thread that called `exit`.
extern "C" fn on_exit() {
    let seen = current();
    if seen.is_none() && RUNS.load(Ordering::SeqCst) == 0 {
        return;
    }
    let mut line = Line::default();
    match seen {
        Some(seen) => {
            line.text("snaphook: exit called in ");
            name_plugin(&mut line, seen.crumb);
            name_place(&mut line, seen);
        }
        None => {
            line.text(
                "snaphook: exit called while the run was going on, by a thread that is in no hook",
            );
        }
    }
    line.text("\n");
    line.write_to(libc::STDERR_FILENO);
    write_note(&line);
    // SAFETY: ends the process; nothing of it runs after this.
    unsafe { libc::_exit(ENDED_BY_EXIT) }
}

extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let mut line = Line::default();
    if describe(&mut line, signal, context) {
        line.write_to(libc::STDERR_FILENO);
        write_note(&line);
    }
    // SAFETY: sets back what was there before us. A fault happens again when its instruction is run again; a signal
    // that somebody sent is sent again.
    unsafe {
        let index = SIGNALS.iter().position(|(known, _)| *known == signal);
        match index.and_then(|index| BEFORE[index].get()) {
            Some(before) => libc::sigaction(signal, before, std::ptr::null_mut()),
            None => {
                libc::signal(signal, libc::SIG_DFL);
                0
            }
        };
        if (*info).si_code <= 0 {
            libc::raise(signal);
        }
    }
}

/// Whether a plugin had a part in it.
fn describe(line: &mut Line, signal: c_int, context: *mut c_void) -> bool {
    let seen = current();
    let owner = owner_of(instruction(context));
    let Some(crumb) = seen.map(|seen| seen.crumb).or(owner) else { return false };
    let name =
        SIGNALS.iter().find(|(known, _)| *known == signal).map_or("signal", |(_, name)| name);
    line.text("snaphook: ").text(name).text(" in ");
    name_plugin(line, crumb);
    match seen {
        Some(seen) => name_place(line, seen),
        None => {
            line.text("in a thread of its own");
        }
    }
    line.text("\n");
    true
}

fn name_plugin(line: &mut Line, crumb: &Crumb) {
    line.text("plugin ").text(&crumb.plugin).text(" ").text(&crumb.version);
    line.text(" (").text(&crumb.path).text("): ");
}

fn name_place(line: &mut Line, seen: Seen) {
    let type_name = &seen.crumb.type_name;
    line.text(if type_name.is_empty() { "the plugin" } else { type_name });
    line.text(" at ").text(seen.place.name()).text(", iteration ").number(seen.iteration);
    if let Some(batch) = seen.batch {
        line.text(", batch ").number(batch);
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn instruction(context: *mut c_void) -> usize {
    // SAFETY: the kernel hands the context to a handler with SA_SIGINFO.
    unsafe {
        (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] as usize
    }
}

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
fn instruction(context: *mut c_void) -> usize {
    // SAFETY: the kernel hands the context to a handler with SA_SIGINFO.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.pc as usize }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn instruction(_: *mut c_void) -> usize {
    0
}

fn write_note(line: &Line) {
    let Some(note) = NOTE.get() else { return };
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: the path ends with a zero; open and close may be called in a handler.
    unsafe {
        let file = libc::open(note.as_ptr(), flags, 0o600);
        if file >= 0 {
            line.write_to(file);
            libc::close(file);
        }
    }
}

const LINE_LENGTH: usize = 1024;

/// Text without an allocation; what does not fit is left out.
struct Line {
    bytes: [u8; LINE_LENGTH],
    length: usize,
}

impl Default for Line {
    fn default() -> Line {
        Line { bytes: [0; LINE_LENGTH], length: 0 }
    }
}

impl Line {
    fn text(&mut self, text: &str) -> &mut Line {
        for byte in text.bytes().take(LINE_LENGTH - self.length) {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
        self
    }

    fn number(&mut self, number: u64) -> &mut Line {
        let mut digits = [b'0'; 20];
        let (mut left, mut start) = (number, digits.len());
        loop {
            start -= 1;
            digits[start] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.text(std::str::from_utf8(&digits[start..]).unwrap_or("?"))
    }

    fn write_to(&self, file: c_int) {
        // SAFETY: the bytes are ours; a write that fails leaves nothing to do.
        unsafe { libc::write(file, self.bytes.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_LENGTH, Line, take_crash_note};

    #[test]
    fn line_takes_numbers_and_no_more_than_fits() {
        let mut line = Line::default();
        line.text("iteration ").number(0).text(", ").number(u64::MAX);
        assert_eq!(&line.bytes[..line.length], b"iteration 0, 18446744073709551615");
        line.text(&"x".repeat(2 * LINE_LENGTH));
        assert_eq!(line.length, LINE_LENGTH);
    }

    #[test]
    fn note_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("crash-note");
        assert_eq!(take_crash_note(&note), None);
        std::fs::write(&note, "fault\u{1b}[2J in x\n").unwrap();
        assert_eq!(take_crash_note(&note).unwrap(), "fault [2J in x");
        assert_eq!(take_crash_note(&note), None);
    }
}
