//! Which rank an address belongs to: when a group is formed each rank tells the others the addresses of its sockets, and knows
//! from then on who is at the other end of its own; libtorch names the address at the other end of a broken connection. Linux
//! alone; elsewhere no peer is known.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::error::Error;
use crate::group::Group;

/// The ranks at the other ends of this process's sockets.
#[derive(Debug, Default)]
pub(crate) struct Peers(HashMap<SocketAddr, usize>);

impl Peers {
    /// Tells the others what this process's sockets are called, once all connections are made, and hears of theirs. Each rank
    /// tells about three bytes for each of them: 1.5 KB with 512 ranks.
    ///
    /// Errors: as [`Group::all_reduce`].
    pub(crate) fn tell(group: &Group) -> Result<Peers, Error> {
        let (own, others): (Vec<_>, HashSet<_>) = sockets().into_iter().unzip();
        let told = group.all_gather_bytes(packed(own).as_bytes())?;
        let told = told.iter().map(|told| unpacked(&String::from_utf8_lossy(told)));
        let mut found: HashMap<SocketAddr, Vec<usize>> = HashMap::new();
        for (rank, addresses) in told.enumerate() {
            for address in addresses.into_iter().filter(|address| others.contains(address)) {
                found.entry(address).or_default().push(rank);
            }
        }
        // Two ranks with one address, such as behind a translation of networks, tell nothing.
        let only = |(address, ranks): (_, Vec<usize>)| match ranks.as_slice() {
            [rank] if *rank != group.rank() => Some((address, *rank)),
            _ => None,
        };
        Ok(Peers(found.into_iter().filter_map(only).collect()))
    }

    /// The rank that has the address which these words name: `Connection closed by peer [127.0.0.1]:14240`.
    pub(crate) fn rank_in(&self, words: &str) -> Option<usize> {
        let named = named_in(words)?;
        // Gloo prints a port as it is on the wire, so that its bytes are the other way round on most machines.
        let swapped = SocketAddr::new(named.ip(), named.port().swap_bytes());
        [swapped, named].iter().find_map(|address| self.0.get(address).copied())
    }
}

/// `127.0.0.1 39939 40001`, a line for each host.
fn packed(addresses: Vec<SocketAddr>) -> String {
    let mut hosts: BTreeMap<IpAddr, BTreeSet<u16>> = BTreeMap::new();
    for address in addresses {
        hosts.entry(address.ip()).or_default().insert(address.port());
    }
    let line = |(host, ports): (IpAddr, BTreeSet<u16>)| {
        let ports: String = ports.iter().map(|port| format!(" {port}")).collect();
        format!("{host}{ports}\n")
    };
    hosts.into_iter().map(line).collect()
}

fn unpacked(text: &str) -> Vec<SocketAddr> {
    let of_host = |line: &str| -> Vec<SocketAddr> {
        let (host, ports) = line.split_once(' ').unwrap_or((line, ""));
        let Ok(host) = host.parse() else { return Vec::new() };
        ports
            .split(' ')
            .filter_map(|port| Some(SocketAddr::new(host, port.parse().ok()?)))
            .collect()
    };
    text.lines().flat_map(of_host).collect()
}

fn named_in(words: &str) -> Option<SocketAddr> {
    let (_, rest) = words.rsplit_once('[').filter(|(_, rest)| rest.contains("]:"))?;
    let (host, rest) = rest.split_once("]:")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    Some(SocketAddr::new(host.parse::<IpAddr>().ok()?.to_canonical(), rest[..digits].parse().ok()?))
}

/// The addresses of both ends of the TCP sockets of this process: its own, then the other one.
fn sockets() -> Vec<(SocketAddr, SocketAddr)> {
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
        let ends = || Some((address(fields.get(1)?)?, address(fields.get(2)?)?));
        inodes.contains(*fields.get(9)?).then(ends)?
    })
    .collect()
}

/// `0100007F:9C03`, the words of the address as they lie in memory, is 127.0.0.1:39939.
fn address(text: &str) -> Option<SocketAddr> {
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
        let sockets = sockets();
        let has = |own: SocketAddr| sockets.iter().any(|(address, _)| *address == own);
        assert!(has(here) && sockets.contains(&(open.local_addr().unwrap(), here)), "{sockets:?}");
        assert!(!has(there), "it is closed");
    }

    #[test]
    fn addresses_arrive_as_they_were_told() {
        let all: Vec<SocketAddr> = ["127.0.0.1:1", "127.0.0.1:40000", "[fe80::1]:5"]
            .map(|text| text.parse().unwrap())
            .into();
        assert_eq!(packed(all.clone()), "127.0.0.1 1 40000\nfe80::1 5\n");
        assert_eq!(unpacked(&packed(all.clone())), all);
        assert!(unpacked("").is_empty() && unpacked("nothing 5\n").is_empty());
    }

    #[test]
    fn addresses_are_read_from_tables_and_messages() {
        assert_eq!(address("0100007F:9C03"), "127.0.0.1:39939".parse().ok());
        let six = "0000000000000000FFFF00000100007F:0050";
        assert_eq!(address(six), "127.0.0.1:80".parse().ok());
        assert_eq!(address("nothing"), None);
        let words = "[/pytorch/gloo/transport/tcp/pair.cc:538] Read error [127.0.0.1]:14240: Connection reset";
        assert_eq!(named_in(words), "127.0.0.1:14240".parse().ok());
        assert_eq!(named_in("closed by peer [fe80::1]:5"), "[fe80::1]:5".parse().ok());
        assert_eq!(named_in("Timed out waiting 500ms [pair.cc:5] for recv"), None);
    }
}
