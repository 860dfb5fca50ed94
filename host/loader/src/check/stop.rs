//! Signals that ask the parent of a check to end: noticed, so that its child ends first. Knows nothing of checks.

use libc::c_int;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

const SIGNALS: [c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

static SEEN: AtomicI32 = AtomicI32::new(0);

/// From now on Ctrl-C, SIGTERM, SIGHUP and SIGQUIT end a check in good order, its child first: see
/// [`CheckEnd::Stopped`](super::CheckEnd::Stopped). A signal that this process ignores stays ignored.
///
/// Errors: the system refused a handler.
pub fn end_checks_on_signals() -> io::Result<()> {
    for signal in SIGNALS {
        // SAFETY: a zeroed sigaction is a valid one; sigaction fills or reads it.
        let (mut ours, mut before): (libc::sigaction, libc::sigaction) =
            unsafe { std::mem::zeroed() };
        // SAFETY: asks for the present action.
        if unsafe { libc::sigaction(signal, std::ptr::null(), &mut before) } != 0 {
            return Err(io::Error::last_os_error());
        }
        if before.sa_sigaction == libc::SIG_IGN {
            continue;
        }
        let handler: extern "C" fn(c_int) = note;
        ours.sa_sigaction = handler as usize;
        ours.sa_flags = libc::SA_RESTART;
        // SAFETY: the handler stores a number and does nothing else.
        if unsafe { libc::sigaction(signal, &ours, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

extern "C" fn note(signal: c_int) {
    SEEN.store(signal, Ordering::Relaxed);
}

/// The signal that came, if one did.
pub(super) fn seen() -> Option<c_int> {
    Some(SEEN.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// Ends this process as the signal would have, had it not been noticed by [`end_checks_on_signals`].
pub fn end_by_signal(signal: c_int) -> ! {
    // SAFETY: sets the action that every process begins with, and sends the signal to this one.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        // Only a blocked signal comes back.
        libc::_exit(128 + signal)
    }
}

/// Asks for SIGKILL when the thread that started this process ends, in whatever way; for a process that was forked by
/// `parent` and has not started its program.
///
/// Errors: the system refuses, or the parent is gone already.
pub(super) fn end_with(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: only concerns this process, and may be called between fork and exec.
    let is_asked = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } == 0;
    if !is_asked {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: reads a number, and may be made between fork and exec.
    match unsafe { libc::getppid() } == parent {
        true => Ok(()),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}
