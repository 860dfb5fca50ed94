//! Ports that are free, and stay with one job. Knows nothing of who listens on them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

use crate::LaunchError;
use crate::signals::{Caught, asks_for_an_end};

/// Ports that are tried.
const ATTEMPTS: u16 = 1000;
/// For a launcher that was killed to be gone.
const A_MOMENT: Duration = Duration::from_secs(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A free port. While this lives, no other launcher on this machine takes it, although nobody listens there yet.
#[derive(Debug)]
pub(crate) struct ClaimedPort {
    pub(crate) port: u16,
    /// A name in the space of abstract sockets, which is as wide as that of ports and forgets a process that ended.
    _claim: UnixListener,
}

impl ClaimedPort {
    /// The first free port from this one on.
    ///
    /// Errors: a thousand busy ones.
    pub(crate) fn from(first: u16) -> Result<ClaimedPort, LaunchError> {
        let after = |attempt: u16| first.checked_add(attempt).unwrap_or(1024 + attempt);
        let mut candidates = (0..ATTEMPTS).map(after);
        candidates.find_map(ClaimedPort::exactly).ok_or(LaunchError::NoFreePort { first })
    }

    /// This port, if it is free.
    pub(crate) fn exactly(port: u16) -> Option<ClaimedPort> {
        ClaimedPort::and_listener(port).ok().map(|(claim, _)| claim)
    }

    /// This port with a listener, as soon as a launcher that was killed there has left it.
    ///
    /// Errors: a port that is busy or cannot be listened at, a signal.
    pub(crate) fn listening(
        port: u16,
        caught: &Caught,
    ) -> Result<(ClaimedPort, TcpListener), LaunchError> {
        let began = Instant::now();
        loop {
            let source = match ClaimedPort::and_listener(port) {
                Ok(both) => return Ok(both),
                Err(error) => error,
            };
            if source.kind() != io::ErrorKind::AddrInUse || began.elapsed() > A_MOMENT {
                return Err(unusable(port, source));
            }
            let signal = caught.next(BETWEEN_LOOKS).filter(|signal| asks_for_an_end(*signal));
            if let Some(signal) = signal {
                return Err(LaunchError::Interrupted { signal, machine: None, saved: None });
            }
        }
    }

    fn and_listener(port: u16) -> io::Result<(ClaimedPort, TcpListener)> {
        let name = SocketAddr::from_abstract_name(format!("snaphook-launch-port-{port}"))?;
        let claim = UnixListener::bind_addr(&name)?;
        Ok((ClaimedPort { port, _claim: claim }, listen(port)?))
    }
}

fn unusable(port: u16, source: io::Error) -> LaunchError {
    match source.kind() {
        io::ErrorKind::AddrInUse => LaunchError::PortBusy { port, source },
        _ => LaunchError::PortUnusable { port, source },
    }
}

/// Listens on all addresses of this machine.
fn listen(port: u16) -> io::Result<TcpListener> {
    // Both kinds of addresses, where the machine has IPv6.
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_jobs_get_two_ports_although_nobody_listens_yet() {
        let one = ClaimedPort::from(29_500).unwrap();
        let other = ClaimedPort::from(one.port).unwrap();
        assert_ne!(one.port, other.port);
    }

    #[test]
    fn a_port_that_may_not_be_listened_at_is_not_called_busy() {
        for (kind, said) in [
            (io::ErrorKind::AddrInUse, "found it busy"),
            (io::ErrorKind::PermissionDenied, "port 80: cannot be listened at"),
        ] {
            let error = unusable(80, kind.into()).to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_port_on_which_somebody_listens_is_avoided() {
        let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = busy.local_addr().unwrap().port();
        assert!(ClaimedPort::exactly(port).is_none());
        assert_ne!(ClaimedPort::from(port).unwrap().port, port);
    }
}
