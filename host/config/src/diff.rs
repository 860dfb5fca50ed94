//! What differs between two resolved configurations.

use std::fmt;

use serde_json::Value;

use crate::config::Config;
use crate::location::Location;
use crate::tree::{Data, Node};

/// A value and the place that wrote it last.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The value.
    pub value: Value,
    /// The place.
    pub location: Location,
}

/// One difference: the value before, the value after, nothing where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The dotted path; in lists by the index before, or the one after for what is added.
    pub key: String,
    /// The value in the first configuration.
    pub before: Option<Written>,
    /// The value in the second configuration.
    pub after: Option<Written>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, before, after } = self;
        match (before, after) {
            (Some(a), Some(b)) => {
                write!(f, "~ {key}: {} -> {} ({} -> {})", a.value, b.value, a.location, b.location)
            }
            (Some(a), None) => write!(f, "- {key}: {} ({})", a.value, a.location),
            (None, Some(b)) => write!(f, "+ {key}: {} ({})", b.value, b.location),
            (None, None) => write!(f, "  {key}"),
        }
    }
}

/// Compares two resolved configurations; 1 and 1.0 differ, lists and tuples do not.
///
/// In lists, what stands at the beginning and the end of both is taken as the same items, so that one
/// inserted transform is one difference.
pub fn diff(before: &Config, after: &Config) -> Vec<Change> {
    let mut walk = Walk { before, after, changes: Vec::new() };
    walk.nodes(before.root(), after.root(), "");
    walk.changes
}

struct Walk<'a> {
    before: &'a Config,
    after: &'a Config,
    changes: Vec<Change>,
}

impl Walk<'_> {
    fn nodes(&mut self, a: &Node, b: &Node, path: &str) {
        match (&a.data, &b.data) {
            (Data::Dict(old), Data::Dict(new)) => {
                for (key, a) in old {
                    match new.get(key) {
                        Some(b) => self.nodes(a, b, &below(path, key)),
                        None => self.change(&below(path, key), Some(a), None),
                    }
                }
                for (key, b) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                    self.change(&below(path, key), None, Some(b));
                }
            }
            (Data::List(a) | Data::Tuple(a), Data::List(b) | Data::Tuple(b)) => {
                self.items(a, b, path);
            }
            _ if a.is_same(b) => {}
            _ => self.change(path, Some(a), Some(b)),
        }
    }

    fn items(&mut self, old: &[Node], new: &[Node], path: &str) {
        if old.len() == new.len() {
            for (i, (a, b)) in old.iter().zip(new).enumerate() {
                self.nodes(a, b, &below(path, &i));
            }
            return;
        }
        let start = old.iter().zip(new).take_while(|(a, b)| a.data.to_json() == b.data.to_json());
        let start = start.count();
        let (old_rest, new_rest) = (&old[start..], &new[start..]);
        let pairs = old_rest.iter().rev().zip(new_rest.iter().rev());
        let end = pairs.take_while(|(a, b)| a.data.to_json() == b.data.to_json()).count();
        let (old_mid, new_mid) =
            (&old_rest[..old_rest.len() - end], &new_rest[..new_rest.len() - end]);
        let both = old_mid.len().min(new_mid.len());
        for i in 0..both {
            self.nodes(&old_mid[i], &new_mid[i], &below(path, &(start + i)));
        }
        for (i, a) in old_mid.iter().enumerate().skip(both) {
            self.change(&below(path, &(start + i)), Some(a), None);
        }
        for (i, b) in new_mid.iter().enumerate().skip(both) {
            self.change(&below(path, &(start + i)), None, Some(b));
        }
    }

    fn change(&mut self, key: &str, a: Option<&Node>, b: Option<&Node>) {
        let written = |config: &Config, node: &Node| Written {
            value: node.data.to_json(),
            location: config.locate(node),
        };
        self.changes.push(Change {
            key: key.to_owned(),
            before: a.map(|node| written(self.before, node)),
            after: b.map(|node| written(self.after, node)),
        });
    }
}

fn below(path: &str, step: &dyn fmt::Display) -> String {
    if path.is_empty() { step.to_string() } else { format!("{path}.{step}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn every_difference_is_told_once_with_both_places() {
        let a = "lr = 1\nm = dict(d=50, old=1)\np = [dict(t='A'), dict(t='B')]\nq = (1, 2)";
        let b = "lr = 1.0\nm = dict(\n    d=18)\np = [dict(t='A'), dict(t='X'), dict(t='B')]\nq = [1, 2]\nn = None";
        let folder = Folder::new(&[("a.py", a), ("b.py", b)]);
        let changes = diff(&folder.load("a.py").unwrap(), &folder.load("b.py").unwrap());
        let folder = format!("{}/", folder.path().display());
        let lines: Vec<String> =
            changes.iter().map(|c| c.to_string().replace(&folder, "")).collect();
        let expected = [
            "~ lr: 1 -> 1.0 (a.py, line 1 -> b.py, line 1)",
            "~ m.d: 50 -> 18 (a.py, line 2 -> b.py, line 3)",
            "- m.old: 1 (a.py, line 2)",
            "+ p.1: {\"t\":\"X\"} (b.py, line 4)",
            "+ n: null (b.py, line 6)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_config_does_not_differ_from_itself() {
        let folder = Folder::new(&[("a.py", "a = dict(x=[float('nan'), 1])")]);
        let config = folder.load("a.py").unwrap();
        assert!(diff(&config, &config).is_empty());
    }
}
