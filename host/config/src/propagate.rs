//! Changes of a variable reach what a base built from it, where that is asked for.
//!
//! While a base is evaluated, its variables are read as the files that inherit from it, and the
//! overrides, will have them in the end. Their values are known from an earlier pass, so that a child
//! may compute its value from the base's. Knows nothing of syntax.

use std::collections::HashMap;

use crate::location::Files;
use crate::merge::merge;
use crate::overrides;
use crate::tree::{Data, Entries, Key, Node};

/// What changes a file's variables after it.
pub(crate) struct Later<'a> {
    /// The files that inherit from it, nearest first, with what they write themselves.
    pub(crate) heirs: Vec<(u32, &'a Entries)>,
    pub(crate) options: &'a [String],
    /// The only name that counts, or all do.
    pub(crate) only: Option<&'a str>,
}

impl Later<'_> {
    /// Tells whether something gives a top-level name another value.
    pub(crate) fn changes(&self, name: &str) -> bool {
        self.only.is_none_or(|only| only == name)
            && (self.heirs.iter().any(|heir| written(*heir, name).is_some())
                || self.options.iter().any(|option| overrides::top_key(option) == Some(name)))
    }

    /// Applies all changes of a top-level name to its value.
    ///
    /// What does not fit is left out: loading without propagation has told of it already.
    pub(crate) fn apply(&self, name: &str, value: &mut Node) {
        if !self.changes(name) {
            return;
        }
        let (key, at) = (Key::from(name), value.at);
        let mut top = Entries::new();
        top.insert(key.clone(), value.clone());
        for heir in &self.heirs {
            let Some(node) = written(*heir, name) else { continue };
            let change = Entries::from_iter([(key.clone(), node.clone())]);
            if merge(&mut top, change, &Files::new()).is_err() {
                return;
            }
        }
        let mut root = Node::new(at, Data::Dict(top));
        let mine = |option: &&String| overrides::top_key(option) == Some(name);
        let options: Vec<String> = self.options.iter().filter(mine).cloned().collect();
        if overrides::apply(&mut root, &options).is_err() {
            return;
        }
        if let Data::Dict(mut top) = root.data
            && let Some(changed) = top.shift_remove(&key)
        {
            *value = changed;
        }
    }
}

/// What a file itself wrote under a top-level name.
fn written<'a>((file, own): (u32, &'a Entries), name: &str) -> Option<&'a Node> {
    own.get(&Key::from(name)).filter(|node| node.at.file == file)
}

/// Names that more than one file writes, or a file and an override: the ones that could get lost.
pub(crate) fn overridden(own: &HashMap<u32, Entries>, options: &[String]) -> Vec<String> {
    let mut count: HashMap<&str, usize> = HashMap::new();
    for (file, entries) in own {
        for (key, node) in entries {
            if let Some(name) = key.as_str().filter(|_| node.at.file == *file) {
                *count.entry(name).or_default() += 1;
            }
        }
    }
    let is_option = |name: &str| options.iter().any(|o| overrides::top_key(o) == Some(name));
    let changed = count.iter().filter(|(name, count)| **count > 1 || is_option(name));
    let mut names: Vec<String> = changed.map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    names
}

/// The paths at which two values differ, dicts and lists of one length looked into.
pub(crate) fn differences(before: &Node, after: &Node, path: &str, found: &mut Vec<String>) {
    let below = |step: &dyn std::fmt::Display| {
        if path.is_empty() { step.to_string() } else { format!("{path}.{step}") }
    };
    match (&before.data, &after.data) {
        (Data::Dict(a), Data::Dict(b))
            if path.is_empty() || a.keys().all(|key| b.contains_key(key)) =>
        {
            for (key, after) in b {
                match a.get(key) {
                    Some(before) => differences(before, after, &below(key), found),
                    None => found.push(below(key)),
                }
            }
            // Only at the top: elsewhere a dict that lost a key is one place.
            let removed = a.keys().filter(|key| !b.contains_key(*key));
            found.extend(removed.map(|key| below(key)));
        }
        (Data::List(a), Data::List(b)) | (Data::Tuple(a), Data::Tuple(b)) if a.len() == b.len() => {
            for (i, (before, after)) in a.iter().zip(b).enumerate() {
                differences(before, after, &below(&i), found);
            }
        }
        _ if before.is_same(after) => {}
        _ => found.push(path.to_owned()),
    }
}
