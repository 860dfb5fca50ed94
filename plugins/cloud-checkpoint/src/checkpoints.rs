//! Checkpoints in the store, and the list of them: written, read, made anew where it is damaged, and what is to be removed.
//! Knows nothing of threads.

use crate::index::{Entry, INDEX, Index, Removal};
use crate::retry::damaged;
use crate::snapshot::{FileRecord, MANIFEST, Snapshot, read_manifest, sha256};
use crate::store::Store;
use crate::upload::OnBytes;
use object_store::path::Path as StorePath;
use object_store::{Error, ObjectStoreExt};
use serde_json::Value as Json;

/// The file of a checkpoint that says what it is.
const STATE: &str = "state.json";

/// What has come of a checkpoint that was to be uploaded.
pub(crate) struct Put {
    /// Whether it was not there before.
    pub(crate) is_new: bool,
    /// Whether all that is too old could be removed; what could not stays noted in the list.
    pub(crate) removed: Result<(), String>,
}

/// An object with the time at which it was stored, in milliseconds since 1970.
type Found = (Vec<u8>, u64);

impl Store {
    /// The list of what is there, empty where there is none yet; and whether it had to be made anew, since what the store
    /// has is damaged.
    ///
    /// Errors: of a request that no repetition mends, or a file that is not ours to write over.
    pub(crate) async fn read_index(&self) -> Result<(Index, bool), String> {
        let path = self.place.below(INDEX);
        let (what, mut is_damage) = (format!("read {}", self.place.url(&path)), false);
        let read = self.retry.run(&what, async || {
            is_damage = false;
            let Some((text, _)) = self.get(&path).await? else { return Ok(Index::default()) };
            Index::read(&text).map_err(|error| {
                is_damage = error.is_damage;
                damaged(error.text)
            })
        });
        match read.await {
            Ok(index) => Ok((index, false)),
            Err(error) if is_damage => {
                let index = self.made_anew().await?;
                let count = index.entries.len();
                log::warn!(
                    "{error}; the list is made anew from the manifests of {count} checkpoints that are there"
                );
                Ok((index, true))
            }
            Err(error) => Err(error),
        }
    }

    /// The list of all folders with a manifest, which is the last file of a checkpoint; the time at which that arrived
    /// stands for the one at which it was saved.
    async fn made_anew(&self) -> Result<Index, String> {
        let prefix = &self.place.prefix;
        let what = format!("list {}", self.place.url(prefix));
        let prefix = Some(prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let list = self.retry.run(&what, async || self.objects.list_with_delimiter(prefix).await);
        let mut index = Index::default();
        for folder in list.await?.common_prefixes {
            match self.entry_of(&folder).await {
                Ok(entry) => index.entries.extend(entry),
                // It is told, and what else is there can be used.
                Err(error) => log::warn!("{error}; it is left off the list"),
            }
        }
        // Stores tell that time in seconds.
        index.entries.sort_by_key(|entry| (entry.saved_ms, entry.iter));
        Ok(index)
    }

    /// What the list says of a folder; `None` where it is no whole checkpoint.
    async fn entry_of(&self, folder: &StorePath) -> Result<Option<Entry>, String> {
        let name = folder.filename().unwrap_or_default().to_owned();
        if name.starts_with('.') {
            return Ok(None);
        }
        let path = folder.clone().join(MANIFEST);
        let what = format!("read {}", self.place.url(&path));
        let found = self.retry.run(&what, async || self.manifest(&path).await);
        let Some((text, saved_ms, files)) = found.await? else { return Ok(None) };
        let path = folder.clone().join(STATE);
        let what = format!("read {}", self.place.url(&path));
        let hash = files.iter().find(|file| file.name == STATE).map(|file| &file.sha256);
        let state = self.retry.run(&what, async || {
            let text = self.get(&path).await?.map(|(text, _)| text);
            let text = text.filter(|text| hash.is_some_and(|hash| sha256(text) == *hash));
            text.ok_or_else(|| damaged("expected the file of the manifest, found another or none"))
        });
        let state: Json = serde_json::from_slice(&state.await?).unwrap_or_default();
        let number = |key: &str| state["meta"][key].as_u64().unwrap_or_default();
        Ok(Some(Entry {
            epoch: number("epoch"),
            iter: number("iter"),
            is_best: name.starts_with("best_"),
            saved_ms,
            manifest: sha256(&text),
            name,
        }))
    }

    async fn write_index(&self, index: &Index) -> Result<(), String> {
        self.put_bytes(&self.place.below(INDEX), index.write()).await
    }

    /// Uploads a checkpoint and puts it onto the list; what is too old by `keep` is taken off it, and then removed, as is
    /// what could not be removed before.
    ///
    /// Errors: of a request that no repetition mends; then the list is as it was, or without the older checkpoint of this
    /// name.
    pub(crate) async fn put_checkpoint(
        &self,
        snapshot: &Snapshot,
        keep: Option<usize>,
        on_bytes: &OnBytes,
    ) -> Result<Put, String> {
        let entry = &snapshot.entry;
        let (mut index, is_anew) = self.read_index().await?;
        if is_anew {
            self.write_index(&index).await?;
        }
        let is_there = index.has(entry);
        if !is_there && index.has_newer(entry) {
            let url = self.place.url(&self.place.below(&entry.name));
            log::warn!(
                "{url} was saved later than the one that an earlier run has left, and stays"
            );
        }
        if is_there || index.has_newer(entry) {
            return Ok(Put { is_new: false, removed: self.remove_noted(&mut index).await });
        }
        if index.forget(&entry.name) {
            // Of another run, or another try: nobody may begin to read it while it changes.
            self.write_index(&index).await?;
            self.delete(&self.place.below(&format!("{}/{MANIFEST}", entry.name))).await?;
        }
        for file in &snapshot.files {
            let path = self.place.below(&format!("{}/{}", entry.name, file.name));
            self.put_file(&snapshot.folder.join(&file.name), &path, on_bytes).await?;
        }
        let manifest = std::fs::read(snapshot.folder.join(MANIFEST));
        let manifest =
            manifest.map_err(|error| format!("{}: {error}", snapshot.folder.display()))?;
        self.put_bytes(&self.place.below(&format!("{}/{MANIFEST}", entry.name)), manifest).await?;
        index.insert(entry.clone());
        for old in keep.map(|keep| index.take_old(keep)).unwrap_or_default() {
            // What cannot be read now is read before the manifest goes.
            let files = self.files_of(&old.name).await.ok();
            index.removing.push(Removal { name: old.name, files });
        }
        self.write_index(&index).await?;
        Ok(Put { is_new: true, removed: self.remove_noted(&mut index).await })
    }

    /// Removes what the list says is to go; the first error, after all have been tried.
    async fn remove_noted(&self, index: &mut Index) -> Result<(), String> {
        let (mut result, count) = (Ok(()), index.removing.len());
        for mut removal in index.removing.clone() {
            match self.remove_checkpoint(index, &mut removal).await {
                Ok(()) => index.removing.retain(|other| other.name != removal.name),
                Err(error) => result = result.and(Err(error)),
            }
        }
        if index.removing.len() < count {
            self.write_index(index).await?;
        }
        result
    }

    /// The manifest goes first: what is half removed is no checkpoint.
    async fn remove_checkpoint(
        &self,
        index: &mut Index,
        removal: &mut Removal,
    ) -> Result<(), String> {
        let name = &removal.name;
        let files = match removal.files.take() {
            Some(files) => files,
            None => {
                let files = self.files_of(name).await?;
                let noted = index.removing.iter_mut().filter(|other| other.name == *name);
                noted.for_each(|other| other.files = Some(files.clone()));
                self.write_index(index).await?;
                files
            }
        };
        self.delete(&self.place.below(&format!("{name}/{MANIFEST}"))).await?;
        for file in files {
            self.delete(&self.place.below(&format!("{name}/{file}"))).await?;
        }
        log::info!("Removed {} from the cloud", self.place.url(&self.place.below(name)));
        Ok(())
    }

    /// The names of a checkpoint's files, by its manifest; none where that is gone.
    async fn files_of(&self, name: &str) -> Result<Vec<String>, String> {
        let path = self.place.below(&format!("{name}/{MANIFEST}"));
        let what = format!("read {}", self.place.url(&path));
        let found = self.retry.run(&what, async || self.manifest(&path).await).await?;
        let files = found.map(|(_, _, files)| files).unwrap_or_default();
        Ok(files.into_iter().map(|file| file.name).collect())
    }

    async fn manifest(
        &self,
        path: &StorePath,
    ) -> Result<Option<(Vec<u8>, u64, Vec<FileRecord>)>, Error> {
        let Some((text, saved_ms)) = self.get(path).await? else { return Ok(None) };
        let files = read_manifest(&text).map_err(damaged)?;
        Ok(Some((text, saved_ms, files)))
    }

    /// An object, in one try; `None` where there is none.
    pub(crate) async fn get(&self, path: &StorePath) -> Result<Option<Found>, Error> {
        match self.objects.get(path).await {
            Ok(found) => {
                let stored = found.meta.last_modified.timestamp_millis();
                let bytes = found.bytes().await?;
                Ok(Some((bytes.to_vec(), u64::try_from(stored).unwrap_or_default())))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, path: &StorePath) -> Result<(), String> {
        let what = format!("remove {}", self.place.url(path));
        let delete = self.retry.run(&what, async || match self.objects.delete(path).await {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        });
        delete.await
    }
}
