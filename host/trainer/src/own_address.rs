//! The address at which processes of other machines reach this one: that from which it talks to the master. What a machine is
//! called need not lead to it, since Debian and its like give their own name to the loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use snaphook_c10d::{Error, Store};

use crate::error::TrainerError;

/// The network card that the environment names for Gloo, if it does.
///
/// Errors: this machine has no such card.
pub(crate) fn told_interface(rank: usize) -> Result<Option<String>, TrainerError> {
    let name = std::env::var("GLOO_SOCKET_IFNAME").ok().filter(|name| !name.is_empty());
    let cards = network_cards();
    match name {
        // Where the system does not list them Gloo finds out.
        Some(name) if !cards.is_empty() && !cards.contains(&name) => {
            Err(TrainerError::NoNetworkCard { rank, name, cards })
        }
        name => Ok(name),
    }
}

fn network_cards() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut cards: Vec<_> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    cards.sort_unstable();
    cards
}

/// The way from this process to the master: its own address on it, and the master's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way(Option<(IpAddr, IpAddr)>);

impl Way {
    /// To the master at `host` and `port`; tells the other ranks, of which each must do so, at what address this one knows it.
    ///
    /// Errors: the store cannot be reached.
    pub(crate) fn told(
        store: &Store,
        (host, port): (&str, u16),
        rank: usize,
    ) -> Result<Way, Error> {
        let way = Way(way_to(host, port));
        let master = way.outside().map(|(_, master)| master.to_string());
        store.set(&key(rank), master.unwrap_or_default().as_bytes())?;
        Ok(way)
    }

    /// The address at which others reach this process, where all `world` ranks tell theirs; `None` where nothing better is known
    /// than the machine's name.
    ///
    /// On the machine of the master the way to it may be the loopback. Then this process has the address that those of other
    /// machines know the master by, and is on the only machine if there are none.
    ///
    /// Errors: the store cannot be reached; a rank that does not tell.
    pub(crate) fn own_address(self, store: &Store, world: usize) -> Result<Option<String>, Error> {
        if let Some((own, _)) = self.outside() {
            return Ok(Some(own.to_string()));
        }
        for other in 0..world {
            let master = store.get(&key(other))?;
            let master = std::str::from_utf8(&master).ok().and_then(|text| text.parse().ok());
            if let Some(master) = master {
                return Ok(is_own(master).then(|| master.to_string()));
            }
        }
        Ok(Some(self.0.map_or(IpAddr::from(Ipv4Addr::LOCALHOST), |(own, _)| own).to_string()))
    }

    /// Where it is not the loopback.
    fn outside(self) -> Option<(IpAddr, IpAddr)> {
        self.0.filter(|(own, _)| !own.is_loopback())
    }
}

fn key(rank: usize) -> String {
    format!("snaphook/joining/master_is_at/{rank}")
}

/// The address from which this machine talks to another one, and that of the other one. Nothing is sent.
fn way_to(host: &str, port: u16) -> Option<(IpAddr, IpAddr)> {
    (host, port).to_socket_addrs().ok()?.find_map(|master| {
        let any: SocketAddr = match master {
            SocketAddr::V4(_) => "0.0.0.0:0".parse().ok()?,
            SocketAddr::V6(_) => "[::]:0".parse().ok()?,
        };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(master).ok()?;
        Some((socket.local_addr().ok()?.ip(), master.ip()))
    })
}

/// Whether this machine has the address: that of a service before it, or of a translation of networks, it has not.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_way_to_this_machine_is_the_loopback() {
        let (own, master) = way_to("127.0.0.1", 1).unwrap();
        assert_eq!((own, master), (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()));
        assert!(is_own(own));
        // For examples in documents alone.
        assert!(!is_own("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn who_has_the_loopback_takes_the_address_that_others_know() {
        let store = Store::tcp_server("127.0.0.1", 0, Duration::from_secs(5)).unwrap();
        let own = |rank| {
            let way = Way::told(&store, ("127.0.0.1", 1), rank).unwrap();
            way.own_address(&store, 2).unwrap()
        };
        store.set(&key(1), b"").unwrap();
        assert_eq!(own(0).as_deref(), Some("127.0.0.1"));
        // As another machine would tell, of which this one has the address.
        store.set(&key(1), b"127.0.0.2").unwrap();
        assert_eq!(own(0).as_deref(), Some("127.0.0.2"));
        // The address of a service: no socket of this machine can have it.
        store.set(&key(1), b"192.0.2.1").unwrap();
        assert_eq!(own(0), None);
    }
}
