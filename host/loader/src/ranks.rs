//! Whether all processes of a job run the same plugins, by the records that each gathers. Knows nothing of how processes
//! talk to each other.
//!
//! ```
//! use serde_json::json;
//! use snaphook_loader::{compare_ranks, plugins_digest};
//!
//! let [ours, theirs] = ["a1", "b2"].map(|hash| vec![json!({ "name": "crops", "path": "/p/libcrops.so", "sha256": hash })]);
//! assert_ne!(plugins_digest(&ours), plugins_digest(&theirs));
//! let error = compare_ranks(&[ours, theirs]).unwrap_err().to_string();
//! assert!(error.contains("plugin crops on rank 1: /p/libcrops.so (b2)"));
//! ```

use crate::elf::hexadecimal;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// One number for all plugins of a process: equal if, and only if, name, type and content of all are. Cheap to send, so
/// that only ranks which differ must send their records. Takes what [`Plugin::record`](crate::Plugin::record) gives.
pub fn plugins_digest(records: &[Json]) -> String {
    let mut lines: Vec<String> = records.iter().map(identity).collect();
    lines.sort();
    lines.dedup();
    hexadecimal(&Sha256::digest(lines.join("\n")))
}

/// What must be equal on all ranks; paths and owners may differ.
fn identity(record: &Json) -> String {
    let field = |key: &str| record[key].as_str().unwrap_or_default();
    format!("{:?} {:?} {:?}", field("name"), field("type"), field("sha256"))
}

/// The plugins that are not the same on all ranks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", shown(.differing))]
pub struct RanksDiffer {
    /// By plugin: for each rank the path and the SHA-256, or nothing where it has none.
    pub differing: BTreeMap<String, Vec<Option<(String, String)>>>,
}

/// Whether all ranks have the same plugins: `records[rank]` is what that rank loaded.
///
/// Errors: the plugins that differ, with every rank's file.
pub fn compare_ranks(records: &[Vec<Json>]) -> Result<(), RanksDiffer> {
    let mut by_name: BTreeMap<String, Vec<Option<(String, String)>>> = BTreeMap::new();
    for (rank, loaded) in records.iter().enumerate() {
        for record in loaded {
            let field = |key: &str| record[key].as_str().unwrap_or("?").to_owned();
            let ranks = by_name.entry(field("name")).or_insert_with(|| vec![None; records.len()]);
            ranks[rank] = Some((field("path"), field("sha256")));
        }
    }
    by_name.retain(|_, ranks| {
        let hash = |rank: &Option<(String, String)>| rank.as_ref().map(|(_, hash)| hash.clone());
        ranks.iter().any(|rank| hash(rank) != hash(&ranks[0]))
    });
    if by_name.is_empty() { Ok(()) } else { Err(RanksDiffer { differing: by_name }) }
}

fn shown(differing: &BTreeMap<String, Vec<Option<(String, String)>>>) -> String {
    let mut text = "expected the same plugins on every rank, found others (install the same files on all machines)"
        .to_owned();
    for (name, ranks) in differing {
        for (rank, file) in ranks.iter().enumerate() {
            let _ = match file {
                Some((path, hash)) => {
                    write!(text, "\n  plugin {name} on rank {rank}: {path} ({hash})")
                }
                None => write!(text, "\n  plugin {name} on rank {rank}: not loaded"),
            };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{compare_ranks, plugins_digest};
    use serde_json::{Value as Json, json};

    fn plugin(name: &str, path: &str, hash: &str) -> Json {
        json!({ "name": name, "type": format!("{name}Hook"), "path": path, "sha256": hash })
    }

    #[test]
    fn order_and_paths_do_not_count_and_content_does() {
        let (a, b) = (plugin("a", "/x/a.so", "1"), plugin("b", "/x/b.so", "2"));
        let moved = plugin("a", "/y/a.so", "1");
        let digest = |records: &[&Json]| {
            plugins_digest(&records.iter().map(|record| (*record).clone()).collect::<Vec<_>>())
        };
        assert_eq!(digest(&[&a, &b]), digest(&[&b, &moved]));
        assert_ne!(digest(&[&a]), digest(&[&plugin("a", "/x/a.so", "3")]));
        assert_ne!(digest(&[&a]), digest(&[&a, &b]));
        assert_eq!(compare_ranks(&[vec![a.clone(), b.clone()], vec![b, moved]]), Ok(()));
        assert_eq!(compare_ranks(&[]), Ok(()));
    }

    #[test]
    fn every_rank_s_file_is_named_when_one_differs() {
        let same = plugin("same", "/x/same.so", "7");
        let first = vec![same.clone(), plugin("crops", "/x/libcrops.so", "1a")];
        let second = vec![same.clone(), plugin("crops", "/y/libcrops.so", "2b")];
        let error = compare_ranks(&[first, second, vec![same]]).unwrap_err().to_string();
        for part in [
            "plugin crops on rank 0: /x/libcrops.so (1a)",
            "plugin crops on rank 1: /y/libcrops.so (2b)",
            "plugin crops on rank 2: not loaded",
        ] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        assert!(!error.contains("same.so"), "{error}");
    }
}
