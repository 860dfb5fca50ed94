//! `checkpoints.json`: the list of the checkpoints below a URL that are whole. Knows nothing of how it is sent.

use crate::snapshot::sha256;
use serde_json::{Value as Json, json};

/// Its name below the URL.
pub(crate) const INDEX: &str = "checkpoints.json";
const FORMAT: &str = "snaphook cloud checkpoints";
/// From 2 on a list has a checksum.
const VERSION: u64 = 2;
/// The SHA-256 of all other fields, in their order and without spaces.
const CHECKSUM: &str = "sha256";

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

/// A checkpoint that is off the list, and whose files are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) name: String,
    /// All but its manifest, whence they are known; `None` while they are not, and the manifest must stay.
    pub(crate) files: Option<Vec<String>>,
}

/// Oldest first, by the time at which they were saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) entries: Vec<Entry>,
    /// What is not wanted any more, until it is gone.
    pub(crate) removing: Vec<Removal>,
}

/// Why a text is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) text: String,
    /// Whether it is damage, and not somebody else's file or one of a newer version, which is not to be written over.
    pub(crate) is_damage: bool,
}

impl Index {
    /// Errors: something else than a list of ours, a damaged one, or one of a newer version.
    pub(crate) fn read(text: &[u8]) -> Result<Index, Unreadable> {
        let wrong = |is_damage, found: &str| {
            let text = format!("{INDEX}: expected a list of checkpoints, found {found}");
            Unreadable { text, is_damage }
        };
        let json: Result<Json, _> = serde_json::from_slice(text);
        let mut json = json.map_err(|error| wrong(true, &error.to_string()))?;
        let kept = json.as_object_mut().and_then(|fields| fields.shift_remove(CHECKSUM));
        if kept.as_ref().is_some_and(|kept| *kept != sha256(json.to_string().as_bytes())) {
            return Err(wrong(true, "other content than its checksum says"));
        }
        match json["version"].as_u64().filter(|_| json["format"] == FORMAT) {
            None => return Err(wrong(false, "another file")),
            Some(version) if version > VERSION => {
                let found = format!("version {version} (this plugin reads {VERSION})");
                return Err(wrong(false, &found));
            }
            Some(VERSION) if kept.is_none() => return Err(wrong(true, "no checksum")),
            Some(_) => {}
        }
        let entries = list(&json["checkpoints"], entry);
        let removing = match &json["removing"] {
            Json::Null => Some(Vec::new()),
            removing => list(removing, removal),
        };
        let index = entries.zip(removing);
        let index = index.map(|(entries, removing)| Index { entries, removing });
        index.ok_or_else(|| wrong(true, "damage"))
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let entry = |entry: &Entry| {
            json!({
                "name": entry.name, "epoch": entry.epoch, "iter": entry.iter, "is_best": entry.is_best,
                "saved_ms": entry.saved_ms, "manifest_sha256": entry.manifest,
            })
        };
        let removal = |removal: &Removal| json!({ "name": removal.name, "files": removal.files });
        let entries: Vec<Json> = self.entries.iter().map(entry).collect();
        let removing: Vec<Json> = self.removing.iter().map(removal).collect();
        let mut json = json!({
            "format": FORMAT, "version": VERSION, "checkpoints": entries, "removing": removing,
        });
        json[CHECKSUM] = sha256(json.to_string().as_bytes()).into();
        format!("{json:#}\n").into_bytes()
    }

    /// The one to go on from: saved last, as the work folder's `last_checkpoint`, whatever other trainings have left there.
    pub(crate) fn newest(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// Whether this same one is there, whenever it was saved: a list that was made anew does not know that.
    pub(crate) fn has(&self, one: &Entry) -> bool {
        let is_same = |entry: &Entry| entry.name == one.name && entry.manifest == one.manifest;
        self.entries.iter().any(is_same)
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

    /// Takes this name off the list, and off what is to be removed; whether it was there.
    pub(crate) fn forget(&mut self, name: &str) -> bool {
        let count = self.removing.len();
        self.removing.retain(|removal| removal.name != name);
        self.remove(name).is_some() || self.removing.len() < count
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

fn list<T>(json: &Json, item: fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    json.as_array()?.iter().map(item).collect()
}

/// A name from a file must not lead out of the folder.
fn plain(json: &Json) -> Option<String> {
    let is_plain =
        |name: &&str| !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
    json.as_str().filter(is_plain).map(str::to_owned)
}

fn removal(json: &Json) -> Option<Removal> {
    let files = match &json["files"] {
        Json::Null => None,
        files => Some(list(files, plain)?),
    };
    Some(Removal { name: plain(&json["name"])?, files })
}

fn entry(json: &Json) -> Option<Entry> {
    Some(Entry {
        name: plain(&json["name"])?,
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
        let entries = entries.map(|(name, iter, is_best)| named(name, iter, is_best)).into();
        let removing = [("epoch_0", Some(vec!["state.json".to_owned()])), ("best_0", None)];
        let removing = removing.map(|(name, files)| Removal { name: name.into(), files }).into();
        Index { entries, removing }
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
    fn a_list_with_any_changed_byte_is_not_taken_for_another_one() {
        let text = index().write();
        for place in 0..text.len() {
            let mut changed = text.clone();
            changed[place] ^= 1;
            // A space may become another one that means the same.
            let read = Index::read(&changed);
            assert!(
                read.as_ref().map_or_else(|error| error.is_damage, |read| *read == index()),
                "byte {place}: {read:?}"
            );
        }
        let digit =
            String::from_utf8(text).unwrap().replace("\"saved_ms\": 30000", "\"saved_ms\": 20000");
        let error = Index::read(digit.as_bytes()).unwrap_err();
        assert!(error.is_damage && error.text.contains("its checksum"), "{error:?}");
    }

    #[test]
    fn a_list_of_version_1_has_no_checksum() {
        let text =
            "{\"format\": \"snaphook cloud checkpoints\", \"version\": 1, \"checkpoints\": []}";
        assert_eq!(Index::read(text.as_bytes()), Ok(Index::default()));
        assert!(Index::read(text.replace('1', "2").as_bytes()).unwrap_err().is_damage);
    }

    #[test]
    fn what_comes_again_is_not_removed_any_more() {
        let mut index = index();
        assert!(index.forget("epoch_0") && index.forget("epoch_1") && !index.forget("epoch_1"));
        assert_eq!((index.removing.len(), index.entries.len()), (1, 4));
    }

    #[test]
    fn files_of_others_are_no_damage_and_names_that_lead_elsewhere_are() {
        for text in ["{}", "[]", "{\"format\": \"snaphook cloud checkpoints\", \"version\": 3}"] {
            assert!(!Index::read(text.as_bytes()).unwrap_err().is_damage, "{text}");
        }
        let mut escaping = index();
        escaping.entries[0].name = "../epoch_1".to_owned();
        for text in [Vec::new(), escaping.write()] {
            assert!(Index::read(&text).unwrap_err().is_damage);
        }
    }
}
