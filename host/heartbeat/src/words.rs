//! Words that one process says and another one looks for: in the last lines of a rank's log, and of signals. Knows nothing
//! of logs.

/// What a rank says where another one has failed; before it stands `rank N`.
pub const FAILED_ELSEWHERE: &str = " failed, and the run ends on every rank";
/// What a rank says where another one cannot start; before it stands `rank N`.
pub const CANNOT_START_ELSEWHERE: &str = " cannot start, and the run ends on every rank";
/// What a rank says of one that it waited for in vain; before it stands `rank N`.
pub const IS_GONE: &str = " is gone or does not answer";
/// The same of several; before it stands `ranks N, N`.
pub const ARE_GONE: &str = " are gone or do not answer";
/// What a rank says of those that never came; before it stands `rank N`, or `ranks N, N`.
pub const DID_NOT_COME: &str = " did not come";
/// What a rank says of one for which it did not wait to the end; before it stands `rank N`.
pub const WAS_LATE: &str = " was late";

/// A signal as people call it: `SIGKILL`, or `signal 40`.
///
/// ```
/// assert_eq!(snaphook_heartbeat::words::signal_name(10), "SIGUSR1");
/// ```
pub fn signal_name(signal: i32) -> String {
    let name = signal_hook::low_level::signal_name(signal);
    name.map_or_else(|| format!("signal {signal}"), str::to_owned)
}
