//! Which rank an address belongs to: each rank leaves word in the store of the addresses that its sockets have, and looks
//! there when libtorch names the address at the other end of a broken connection. Linux alone; elsewhere no peer is known.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::store::Store;

/// For the store to answer; one whose process stands still never does.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells the others what this process's sockets are called, once all connections are made.
pub(crate) fn publish(store: &Store, rank: usize) {
    let own: Vec<String> = own().iter().map(SocketAddr::to_string).collect();
    // Without it, messages name no peer.
    let _ = store.set(&key(rank), own.join("\n").as_bytes());
}

/// The rank that has the address which these words name: `Connection closed by peer [127.0.0.1]:14240`.
pub(crate) fn rank_in(words: &str, store: &Store, size: usize) -> Option<usize> {
    let named = named_in(words)?;
    let store = store.clone();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(owner(named, &store, size)));
    receiver.recv_timeout(PATIENCE).ok().flatten()
}

fn owner(named: SocketAddr, store: &Store, size: usize) -> Option<usize> {
    let told = |rank: usize| -> Option<String> {
        let is_told = store.has(&key(rank)).ok()?;
        let bytes = if is_told { store.get(&key(rank)).ok()? } else { Vec::new() };
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let told: Vec<String> = (0..size).map_while(told).collect();
    // Gloo prints a port as it is on the wire, so that its bytes are the other way round on most machines.
    let swapped = SocketAddr::new(named.ip(), named.port().swap_bytes());
    [swapped, named].into_iter().find_map(|address| {
        let mut has =
            told.iter().map(|lines| lines.lines().any(|line| line == address.to_string()));
        let first = has.position(|has| has)?;
        // Two ranks with one address, such as behind a translation of networks, tell nothing.
        (!has.any(|has| has)).then_some(first)
    })
}

fn key(rank: usize) -> String {
    format!("snaphook/c10d/addresses/{rank}")
}

fn named_in(words: &str) -> Option<SocketAddr> {
    let (_, rest) = words.rsplit_once('[').filter(|(_, rest)| rest.contains("]:"))?;
    let (host, rest) = rest.split_once("]:")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    Some(SocketAddr::new(host.parse::<IpAddr>().ok()?.to_canonical(), rest[..digits].parse().ok()?))
}

/// The local addresses of the TCP sockets of this process.
fn own() -> Vec<SocketAddr> {
    let Ok(files) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let inode = |file: std::fs::DirEntry| {
        let target = std::fs::read_link(file.path()).ok()?.into_os_string().into_string().ok()?;
        Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    };
    let inodes: HashSet<String> = files.flatten().filter_map(inode).collect();
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let tables = tables.map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.filter_map(|row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        inodes.contains(*fields.get(9)?).then(|| local_address(fields.get(1)?))?
    })
    .collect()
}

/// `0100007F:9C03`, the words of the address as they lie in memory, is 127.0.0.1:39939.
fn local_address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let words = host.as_bytes().chunks(8).map(|word| {
        let number = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(number.to_ne_bytes())
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    let host = match (<[u8; 4]>::try_from(bytes.as_slice()), <[u8; 16]>::try_from(bytes.as_slice()))
    {
        (Ok(four), _) => IpAddr::from(four),
        (_, Ok(sixteen)) => IpAddr::from(Ipv6Addr::from(sixteen)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(host, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_sockets_are_found_by_their_addresses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let there = std::net::TcpStream::connect(here).unwrap().local_addr().unwrap();
        let open = std::net::TcpStream::connect(here).unwrap();
        let own = own();
        assert!(own.contains(&here) && own.contains(&open.local_addr().unwrap()), "{own:?}");
        assert!(!own.contains(&there), "it is closed");
    }

    #[test]
    fn addresses_are_read_from_tables_and_messages() {
        assert_eq!(local_address("0100007F:9C03"), "127.0.0.1:39939".parse().ok());
        let six = "0000000000000000FFFF00000100007F:0050";
        assert_eq!(local_address(six), "127.0.0.1:80".parse().ok());
        assert_eq!(local_address("nothing"), None);
        let words = "[/pytorch/gloo/transport/tcp/pair.cc:538] Read error [127.0.0.1]:14240: Connection reset";
        assert_eq!(named_in(words), "127.0.0.1:14240".parse().ok());
        assert_eq!(named_in("closed by peer [fe80::1]:5"), "[fe80::1]:5".parse().ok());
        assert_eq!(named_in("Timed out waiting 500ms [pair.cc:5] for recv"), None);
    }
}
