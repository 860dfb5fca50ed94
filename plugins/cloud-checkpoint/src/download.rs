//! A checkpoint on its way back: the newest of a URL, every file compared with its hash, gone on with where it was cut off.
//! Knows nothing of runs.

use crate::index::Entry;
use crate::settings::Settings;
use crate::snapshot::{FileRecord, MANIFEST, read_manifest, sha256, sha256_of_file};
use crate::store::Store;
use crate::uploads::times_asked;
use futures_util::StreamExt;
use object_store::path::Path as StorePath;
use object_store::{Error, GetOptions, GetRange};
use snaphook_plugin_api::prelude::*;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(5);
/// Between two looks whether somebody asks for the end meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A file that does not have its hash is fetched anew so often.
const TRIES: u32 = 3;

/// Brings the newest checkpoint of the wanted URL into its folder, if the URL is one that the hook knows.
pub(crate) fn fetch(
    settings: &Settings,
    runner: &mut Runner,
    wanted: &WantedCheckpoint,
) -> HookResult {
    if !settings.knows(&wanted.url) {
        return Ok(());
    }
    let store = Store::open(settings, &wanted.url).map_err(HookError::fatal)?;
    let received = Arc::new(AtomicU64::new(0));
    let download =
        Download { store, url: wanted.url.clone(), folder: wanted.folder.clone(), received };
    let (received, retry) = (Arc::clone(&download.received), download.store.retry.clone());
    runner.info(&format!("Fetching the newest checkpoint of {}", wanted.url));
    let (sender, answer) = channel();
    let thread =
        std::thread::Builder::new().name("cloud-download".to_owned()).spawn(move || {
            // Only a receiver that has given up does not hear it.
            let _ = sender.send(download.run());
        })?;
    let mut told = Instant::now();
    let result = loop {
        match answer.recv_timeout(LOOK_EVERY) {
            Ok(result) => break result,
            Err(RecvTimeoutError::Timeout) if times_asked(runner)? > 0 => {
                // The thread ends with its request; what it has brought so far is gone on with by the next run.
                retry.cancel();
                let url = &wanted.url;
                return Err(HookError::fatal(format!(
                    "not fetching {url} any more, since this process is asked to end"
                )));
            }
            Err(RecvTimeoutError::Timeout) if told.elapsed() >= LINE_EVERY => {
                told = Instant::now();
                let megabytes = received.load(Ordering::Relaxed) as f64 / 1e6;
                runner.info(&format!("Fetching {}: {megabytes:.1} MB so far", wanted.url));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break Err("the download panicked".to_owned()),
        }
    };
    // It has sent its answer, or panicked, which the panic hook has logged.
    let _ = thread.join();
    let path = result.map_err(HookError::fatal)?;
    runner.info(&format!("Fetched {} to {}", wanted.url, path.display()));
    runner.checkpoints().fetched(&path)?;
    Ok(())
}

struct Download {
    store: Store,
    url: String,
    folder: PathBuf,
    received: Arc<AtomicU64>,
}

/// Why the newest checkpoint is not here.
enum Missed {
    /// The list does not fit what is there, which another look may mend.
    Stale(String),
    Other(String),
}

impl From<String> for Missed {
    fn from(text: String) -> Missed {
        Missed::Other(text)
    }
}

impl Download {
    fn run(&self) -> Result<PathBuf, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let mut tries = 0;
            loop {
                tries += 1;
                match self.newest().await {
                    Ok(path) => return Ok(path),
                    // The list may be older than what another process has removed meanwhile, or damaged on its way.
                    Err(Missed::Stale(error)) if tries < TRIES => log::warn!("{error}; once more"),
                    Err(Missed::Stale(error) | Missed::Other(error)) => return Err(error),
                }
            }
        })
    }

    async fn newest(&self) -> Result<PathBuf, Missed> {
        let (index, _) = self.store.read_index().await?;
        if let Some(entry) = index.newest() {
            let root = self.store.place.below(&entry.name);
            return self.checkpoint(&root, &entry.name, Some(entry)).await;
        }
        // The URL of one checkpoint, and not of the place of all.
        let root = self.store.place.prefix.clone();
        let name = root.filename().unwrap_or("checkpoint").to_owned();
        self.checkpoint(&root, &name, None).await
    }

    async fn checkpoint(
        &self,
        root: &StorePath,
        name: &str,
        entry: Option<&Entry>,
    ) -> Result<PathBuf, Missed> {
        let manifest = self.bytes(&root.clone().join(MANIFEST)).await?;
        let Some(manifest) = manifest else {
            let text = format!("{}: expected checkpoints, found none", self.url);
            return Err(if entry.is_some() { Missed::Stale(text) } else { Missed::Other(text) });
        };
        if entry.is_some_and(|entry| entry.manifest != sha256(&manifest)) {
            let url = self.store.place.url(root);
            let text = format!("{url}/{MANIFEST}: expected the one of the list, found another");
            return Err(Missed::Stale(text));
        }
        let (target, lock) = (self.folder.join(name), self.folder.join(".fetching.lock"));
        fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        // Two jobs may share a folder: one of them fetches, the other finds what it has brought. The file stays: whoever
        // waits for its lock must not wait for another file of its name.
        let guard = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let guard = guard.map_err(failed(&lock))?;
        let fetched = self.files(root, name, &manifest, &target).await;
        drop(guard);
        fetched?;
        Ok(target)
    }

    /// All files of a checkpoint, unless it is there.
    async fn files(
        &self,
        root: &StorePath,
        name: &str,
        manifest: &[u8],
        target: &Path,
    ) -> Result<(), String> {
        let files = read_manifest(manifest)?;
        if fs::read(target.join(MANIFEST)).is_ok_and(|own| own == manifest) {
            return Ok(());
        }
        if target.exists() {
            let found = target.display();
            return Err(format!(
                "{found}: expected nothing, or this same checkpoint, found another of its name (choose another \
                 --work-dir)"
            ));
        }
        let draft = self.folder.join(format!(".{name}.fetching"));
        fs::create_dir_all(&draft).map_err(failed(&draft))?;
        for file in &files {
            self.file(&root.clone().join(file.name.as_str()), file, &draft.join(&file.name))
                .await?;
        }
        let mut last = File::create(draft.join(MANIFEST)).map_err(failed(&draft))?;
        last.write_all(manifest).and_then(|()| last.sync_all()).map_err(failed(&draft))?;
        fs::rename(&draft, target).map_err(failed(target))
    }

    async fn bytes(&self, path: &StorePath) -> Result<Option<Vec<u8>>, String> {
        let what = format!("read {}", self.store.place.url(path));
        let read = self.store.retry.run(&what, async || self.store.get(path).await);
        Ok(read.await?.map(|(bytes, _)| bytes))
    }

    /// One file, from where an earlier try was cut off.
    async fn file(&self, path: &StorePath, file: &FileRecord, to: &Path) -> Result<(), String> {
        let what = format!("fetch {}", self.store.place.url(path));
        for _ in 0..TRIES {
            // Each piece has the time of a request: a large file has as many as it needs.
            while !self
                .store
                .retry
                .run(&what, async || self.piece(path, file.bytes, to).await)
                .await?
            {}
            let found = sha256_of_file(to).map_err(|error| format!("{}: {error}", to.display()))?;
            if found == file.sha256 {
                return Ok(());
            }
            log::warn!("{what}: expected SHA-256 {}, found {found}; once more", file.sha256);
            fs::remove_file(to).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        Err(format!("{what}: it arrives damaged, after {TRIES} tries"))
    }

    /// Appends the next piece of a file; whether it is whole then.
    async fn piece(&self, path: &StorePath, bytes: u64, to: &Path) -> Result<bool, Error> {
        let local = |error: std::io::Error| Error::NotSupported {
            source: format!("{}: {error}", to.display()).into(),
        };
        let mut file = OpenOptions::new().create(true).append(true).open(to).map_err(local)?;
        let have = file.metadata().map_err(local)?.len();
        if have > bytes {
            file.set_len(0).map_err(local)?;
            return Err(Error::Generic { store: "cloud", source: "a file is too long".into() });
        }
        if have == bytes {
            return file.sync_all().map(|()| true).map_err(local);
        }
        let end = (have + self.store.part_bytes).min(bytes);
        let range = Some(GetRange::Bounded(have..end));
        let options = GetOptions { range, ..GetOptions::default() };
        let mut answer = self.store.objects.get_opts(path, options).await?.into_stream();
        while let Some(part) = answer.next().await {
            let part = part?;
            file.write_all(&part).map_err(local)?;
            self.received.fetch_add(part.len() as u64, Ordering::Relaxed);
        }
        let have = file.metadata().map_err(local)?.len();
        if have < end {
            let text = format!("the answer ended after {have} of {end} bytes");
            return Err(Error::Generic { store: "cloud", source: text.into() });
        }
        Ok(false)
    }
}

/// An error with the path that it is about.
fn failed(path: &Path) -> impl Fn(std::io::Error) -> String + use<> {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}
