//! torchrun's way to name streams of ranks: `3`, or `0:1,1:3`. Knows nothing of where they lead.

use std::collections::BTreeMap;
use std::str::FromStr;

/// One of the two streams of a program's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Streams of ranks, by number of the rank on its machine.
///
/// ```
/// use snaphook_launch::{Redirection, Stream};
///
/// let both_of_1: Redirection = "1:3".parse()?;
/// assert!(both_of_1.has(1, Stream::Stderr) && !both_of_1.has(0, Stream::Stdout));
/// # Ok::<(), String>(())
/// ```
///
/// Source: `torch/distributed/elastic/multiprocessing/api.py`, `Std.from_str`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirection {
    all: u8,
    by_rank: BTreeMap<u32, u8>,
}

impl Redirection {
    /// Both streams of all ranks.
    pub fn all() -> Redirection {
        Redirection { all: 3, by_rank: BTreeMap::new() }
    }

    /// Both streams of one local rank, and none of others.
    pub fn of_rank(local_rank: u32) -> Redirection {
        Redirection { all: 0, by_rank: BTreeMap::from([(local_rank, 3)]) }
    }

    /// Whether it names this stream of this local rank.
    pub fn has(&self, local_rank: u32, stream: Stream) -> bool {
        let bits = self.by_rank.get(&local_rank).copied().unwrap_or(self.all);
        let bit = match stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        };
        bits & bit != 0
    }
}

impl FromStr for Redirection {
    type Err = String;

    fn from_str(text: &str) -> Result<Redirection, String> {
        let expected = "expected 0 (none), 1 (stdout), 2 (stderr) or 3 (both), or such for each local rank, as in 0:3,1:1";
        let streams = |text: &str| match text.trim() {
            "0" => Ok(0),
            "1" => Ok(1),
            "2" => Ok(2),
            "3" => Ok(3),
            _ => Err(expected.to_owned()),
        };
        if !text.contains(':') {
            return Ok(Redirection { all: streams(text)?, by_rank: BTreeMap::new() });
        }
        let mut by_rank = BTreeMap::new();
        for pair in text.split(',') {
            let (rank, bits) = pair.split_once(':').ok_or(expected)?;
            let rank = rank.trim().parse().map_err(|_| expected.to_owned())?;
            by_rank.insert(rank, streams(bits)?);
        }
        Ok(Redirection { all: 0, by_rank })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_for_all_and_pairs_are_for_their_ranks() {
        let all: Redirection = "1".parse().unwrap();
        assert!(all.has(7, Stream::Stdout) && !all.has(7, Stream::Stderr));
        let pairs: Redirection = "0:3, 2:2".parse().unwrap();
        assert!(pairs.has(0, Stream::Stdout) && pairs.has(2, Stream::Stderr));
        assert!(!pairs.has(1, Stream::Stdout) && !pairs.has(2, Stream::Stdout));
        for wrong in ["", "4", "a:1", "1:9", "1:1,2"] {
            assert!(wrong.parse::<Redirection>().is_err(), "{wrong}");
        }
    }
}
