//! `checkpoints.json`: the list of the checkpoints below a URL that are whole. Knows nothing of how it is sent.

use serde_json::{Value as Json, json};

/// Its name below the URL.
pub(crate) const INDEX: &str = "checkpoints.json";
const FORMAT: &str = "snaphook cloud checkpoints";
const VERSION: u64 = 1;

/// A checkpoint that is whole in the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) epoch: u64,
    pub(crate) iter: u64,
    pub(crate) is_best: bool,
    /// When it was saved: milliseconds since 1970, by the clock of the machine that saved it.
    pub(crate) saved_ms: u64,
    /// SHA-256 of its `manifest.json`.
    pub(crate) manifest: String,
}

/// Oldest first, by the time at which they were saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) entries: Vec<Entry>,
}

impl Index {
    /// Errors: something else than a list of ours, or one of a newer version.
    pub(crate) fn read(text: &[u8]) -> Result<Index, String> {
        let wrong =
            |found: String| format!("{INDEX}: expected a list of checkpoints, found {found}");
        let json: Json = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
        match json["version"].as_u64().filter(|_| json["format"] == FORMAT) {
            None => return Err(wrong("another file".to_owned())),
            Some(version) if version > VERSION => {
                return Err(wrong(format!("version {version} (this plugin reads {VERSION})")));
            }
            Some(_) => {}
        }
        let entries = json["checkpoints"].as_array().map(|list| list.iter().map(entry).collect());
        let entries: Option<Option<Vec<Entry>>> = entries;
        entries.flatten().map(|entries| Index { entries }).ok_or_else(|| wrong("damage".to_owned()))
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let entry = |entry: &Entry| {
            json!({
                "name": entry.name, "epoch": entry.epoch, "iter": entry.iter, "is_best": entry.is_best,
                "saved_ms": entry.saved_ms, "manifest_sha256": entry.manifest,
            })
        };
        let entries: Vec<Json> = self.entries.iter().map(entry).collect();
        let json = json!({ "format": FORMAT, "version": VERSION, "checkpoints": entries });
        format!("{json:#}\n").into_bytes()
    }

    /// The one to go on from: saved last, as the work folder's `last_checkpoint`, whatever other trainings have left there.
    pub(crate) fn newest(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// Whether one of its name is there that was saved later.
    pub(crate) fn has_newer(&self, than: &Entry) -> bool {
        self.entries.iter().any(|entry| entry.name == than.name && entry.saved_ms > than.saved_ms)
    }

    /// Puts one to its place; of several of one time the last one comes last.
    pub(crate) fn insert(&mut self, entry: Entry) {
        let place = self.entries.partition_point(|other| other.saved_ms <= entry.saved_ms);
        self.entries.insert(place, entry);
    }

    /// Takes out the entry of this name.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Entry> {
        let position = self.entries.iter().position(|entry| entry.name == name)?;
        Some(self.entries.remove(position))
    }

    /// Takes out what is too old: all but the last `keep` regular ones, and all but the newest best one.
    pub(crate) fn take_old(&mut self, keep: usize) -> Vec<Entry> {
        let mut old = Vec::new();
        for (is_best, keep) in [(false, keep.max(1)), (true, 1)] {
            let of_kind = |entry: &&Entry| entry.is_best == is_best;
            let count = self.entries.iter().filter(of_kind).count();
            let names = self.entries.iter().filter(of_kind).take(count.saturating_sub(keep));
            let names: Vec<String> = names.map(|entry| entry.name.clone()).collect();
            old.extend(names.iter().filter_map(|name| self.remove(name)));
        }
        old
    }
}

fn entry(json: &Json) -> Option<Entry> {
    let name = json["name"].as_str()?;
    // A name from a file must not lead out of the folder.
    let is_plain = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
    is_plain.then_some(Entry {
        name: name.to_owned(),
        epoch: json["epoch"].as_u64()?,
        iter: json["iter"].as_u64()?,
        is_best: json["is_best"].as_bool()?,
        saved_ms: json["saved_ms"].as_u64()?,
        manifest: json["manifest_sha256"].as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, iter: u64, is_best: bool) -> Entry {
        let saved_ms = 1000 * iter;
        Entry {
            name: name.into(),
            epoch: iter / 10,
            iter,
            is_best,
            saved_ms,
            manifest: "5a".into(),
        }
    }

    fn index() -> Index {
        let entries = [
            ("epoch_1", 10, false),
            ("best_1", 10, true),
            ("epoch_2", 20, false),
            ("best_2", 20, true),
            ("epoch_3", 30, false),
        ];
        Index { entries: entries.map(|(name, iter, is_best)| named(name, iter, is_best)).into() }
    }

    fn names(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn an_index_survives_its_file_and_knows_the_newest() {
        assert_eq!(Index::read(&index().write()), Ok(index()));
        assert_eq!(index().newest().unwrap().name, "epoch_3");
        assert_eq!(Index::default().newest(), None);
    }

    #[test]
    fn what_another_training_has_left_is_not_newer_for_its_iterations_or_its_late_arrival() {
        let mut index = Index::default();
        let long_ago = Entry { saved_ms: 7, ..named("epoch_300", 3000, false) };
        index.insert(named("epoch_1", 10, false));
        index.insert(long_ago.clone());
        index.insert(named("epoch_2", 20, false));
        index.insert(Entry { saved_ms: 8, ..named("epoch_299", 2990, false) });
        assert_eq!(names(&index.entries), ["epoch_300", "epoch_299", "epoch_1", "epoch_2"]);
        assert_eq!(index.newest().unwrap().name, "epoch_2");
        assert!(index.has_newer(&Entry { name: "epoch_1".into(), ..long_ago.clone() }));
        assert!(!index.has_newer(&long_ago));
        assert_eq!(names(&index.take_old(2)), ["epoch_300", "epoch_299"]);
    }

    #[test]
    fn the_last_ones_and_the_newest_best_one_stay() {
        let mut index = index();
        assert_eq!(names(&index.take_old(2)), ["epoch_1", "best_1"]);
        assert_eq!(names(&index.entries), ["epoch_2", "best_2", "epoch_3"]);
        assert!(index.take_old(2).is_empty());
    }

    #[test]
    fn other_files_are_refused() {
        let escaping = String::from_utf8(index().write()).unwrap().replace("epoch_1", "../epoch_1");
        for text in [
            "",
            "{}",
            "[]",
            "{\"format\": \"snaphook cloud checkpoints\", \"version\": 2}",
            &escaping,
        ] {
            assert!(Index::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
