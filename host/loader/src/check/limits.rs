//! What a child that tries a plugin out may use. Knows nothing of plugins.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// What a check may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckLimits {
    /// The longest that one step may take.
    pub deadline: Duration,
    /// The most memory, in MiB, that the plugin may map.
    pub memory_mib: u64,
}

impl Default for CheckLimits {
    fn default() -> CheckLimits {
        CheckLimits { deadline: Duration::from_secs(10), memory_mib: 4096 }
    }
}

/// Limits this process for good: memory, the size of files, no core dumps. For the child of a check.
///
/// Errors: the system refuses.
pub fn limit_this_process(memory_mib: u64) -> io::Result<()> {
    set(libc::RLIMIT_AS, memory_mib.saturating_mul(MIB))?;
    set(libc::RLIMIT_FSIZE, 1024 * MIB)?;
    set(libc::RLIMIT_CORE, 0)
}

fn set(resource: libc::__rlimit_resource_t, wanted: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: asks for the present limits.
    if unsafe { libc::getrlimit(resource, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_max = limit.rlim_max.min(wanted);
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: sets limits that are not above those that this process had.
    match unsafe { libc::setrlimit(resource, &limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes standard output for the answer alone: what a plugin prints goes to standard error from now on.
///
/// Errors: the system refuses.
pub fn listen_to_stdout_alone() -> io::Result<File> {
    // SAFETY: both numbers are open files of this process; the copy is nobody else's, and closed when it is dropped.
    let answer = unsafe { libc::fcntl(io::stdout().as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above; standard output is made another name of standard error.
    if unsafe { libc::dup2(io::stderr().as_raw_fd(), io::stdout().as_raw_fd()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the number was made above and belongs to nobody else.
    Ok(unsafe { File::from_raw_fd(answer) })
}
