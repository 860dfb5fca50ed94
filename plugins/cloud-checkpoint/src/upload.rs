//! Files on their way to the store, large ones in parts. Knows nothing of checkpoints and threads.

use crate::store::Store;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::multipart::PartId;
use object_store::path::Path as StorePath;
use object_store::{Error, MultipartId, ObjectMeta, ObjectStoreExt, PutPayload};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Told of bytes that have arrived.
pub(crate) type OnBytes = Arc<dyn Fn(u64) + Send + Sync>;

impl Store {
    pub(crate) async fn put_bytes(&self, path: &StorePath, bytes: Vec<u8>) -> Result<(), String> {
        let (what, payload) = (format!("upload {}", self.place.url(path)), PutPayload::from(bytes));
        let put = self.retry.run(&what, async || self.objects.put(path, payload.clone()).await);
        put.await.map(drop)
    }

    /// Uploads a file, in parts when it is larger than one.
    pub(crate) async fn put_file(
        &self,
        file: &Path,
        path: &StorePath,
        on_bytes: &OnBytes,
    ) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", file.display());
        let open = File::open(file).map_err(failed)?;
        let length = open.metadata().map_err(failed)?.len();
        if length <= self.part_bytes {
            self.put_bytes(path, std::fs::read(file).map_err(failed)?).await?;
            on_bytes(length);
            return Ok(());
        }
        let what = format!("upload {}", self.place.url(path));
        let before = self.retry.run(&what, async || match self.objects.head(path).await {
            Ok(found) => Ok(Some(Version::of(&found))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        });
        let before = before.await?;
        let begin = self.retry.run(&what, async || self.parts.create_multipart(path).await);
        let upload = Upload { id: begin.await?, path: path.clone(), file: open, length, before };
        let sent = self.put_parts(&upload, on_bytes).await;
        if let Err(error) = sent {
            // The store charges for what is left; the first error is the one to tell.
            let _ = self.parts.abort_multipart(path, &upload.id).await;
            return Err(error);
        }
        Ok(())
    }

    async fn put_parts(&self, upload: &Upload, on_bytes: &OnBytes) -> Result<(), String> {
        let count = upload.length.div_ceil(self.part_bytes) as usize;
        let (mut parts, mut running, mut next) = (vec![None; count], FuturesUnordered::new(), 0);
        while next < count || !running.is_empty() {
            while next < count && running.len() < self.parallel {
                running.push(self.put_part(upload, next));
                next += 1;
            }
            if let Some(done) = running.next().await {
                let (number, part) = done?;
                on_bytes(upload.part_length(number, self.part_bytes));
                parts[number] = Some(part);
            }
        }
        let parts: Vec<PartId> = parts.into_iter().flatten().collect();
        let what = format!("complete {}", self.place.url(&upload.path));
        let complete = self.retry.run(&what, async || {
            let (id, parts) = (&upload.id, parts.clone());
            match self.parts.complete_multipart(&upload.path, id, parts).await {
                Ok(_) => Ok(()),
                // The answer to an earlier try may have been lost on its way.
                Err(error) => match self.objects.head(&upload.path).await {
                    Ok(found) if upload.is_answered_by(&found) => Ok(()),
                    _ => Err(error),
                },
            }
        });
        complete.await
    }

    async fn put_part(&self, upload: &Upload, number: usize) -> Result<(usize, PartId), String> {
        let what = format!("upload {}, part {}", self.place.url(&upload.path), number + 1);
        let mut bytes = vec![0; upload.part_length(number, self.part_bytes) as usize];
        let offset = number as u64 * self.part_bytes;
        upload
            .file
            .read_exact_at(&mut bytes, offset)
            .map_err(|error| format!("{what}: {error}"))?;
        let payload = PutPayload::from(bytes);
        let put = self.retry.run(&what, async || {
            self.parts.put_part(&upload.path, &upload.id, number, payload.clone()).await
        });
        Ok((number, put.await?))
    }
}

/// An upload in parts.
struct Upload {
    id: MultipartId,
    path: StorePath,
    file: File,
    length: u64,
    /// What was at the path before: an older checkpoint of this name has files of the same size.
    before: Option<Version>,
}

/// Which of several objects of one path it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    tag: Option<String>,
    modified: i64,
}

impl Version {
    fn of(object: &ObjectMeta) -> Version {
        Version { tag: object.e_tag.clone(), modified: object.last_modified.timestamp_millis() }
    }
}

impl Upload {
    /// Whether this object is what was uploaded.
    fn is_answered_by(&self, object: &ObjectMeta) -> bool {
        object.size == self.length && self.before.as_ref() != Some(&Version::of(object))
    }

    fn part_length(&self, number: usize, part_bytes: u64) -> u64 {
        (self.length - number as u64 * part_bytes).min(part_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::{Retry, Secrets};
    use crate::settings::for_tests;
    use object_store::memory::InMemory;
    use object_store::multipart::MultipartStore;
    use object_store::{PutResult, Result};
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

    /// A store that knows how many bytes are on their way to it.
    #[derive(Debug, Default)]
    struct Counting {
        inner: InMemory,
        on_the_way: AtomicU64,
        most: AtomicU64,
        parts: AtomicU64,
    }

    impl MultipartStore for Counting {
        fn create_multipart<'s, 'p, 'a>(&'s self, path: &'p StorePath) -> Answer<'a, MultipartId>
        where
            's: 'a,
            'p: 'a,
        {
            Box::pin(self.inner.create_multipart(path))
        }

        fn put_part<'s, 'p, 'i, 'a>(
            &'s self,
            path: &'p StorePath,
            id: &'i MultipartId,
            number: usize,
            data: PutPayload,
        ) -> Answer<'a, PartId>
        where
            's: 'a,
            'p: 'a,
            'i: 'a,
        {
            Box::pin(async move {
                let bytes = data.content_length() as u64;
                let now = self.on_the_way.fetch_add(bytes, Ordering::SeqCst) + bytes;
                self.most.fetch_max(now, Ordering::SeqCst);
                self.parts.fetch_add(1, Ordering::SeqCst);
                // All others that may begin have begun then.
                tokio::time::sleep(Duration::from_millis(5)).await;
                let result = self.inner.put_part(path, id, number, data).await;
                self.on_the_way.fetch_sub(bytes, Ordering::SeqCst);
                result
            })
        }

        fn complete_multipart<'s, 'p, 'i, 'a>(
            &'s self,
            path: &'p StorePath,
            id: &'i MultipartId,
            parts: Vec<PartId>,
        ) -> Answer<'a, PutResult>
        where
            's: 'a,
            'p: 'a,
            'i: 'a,
        {
            Box::pin(self.inner.complete_multipart(path, id, parts))
        }

        fn abort_multipart<'s, 'p, 'i, 'a>(
            &'s self,
            path: &'p StorePath,
            id: &'i MultipartId,
        ) -> Answer<'a, ()>
        where
            's: 'a,
            'p: 'a,
            'i: 'a,
        {
            Box::pin(self.inner.abort_multipart(path, id))
        }
    }

    #[test]
    fn no_more_parts_are_in_memory_than_are_on_their_way() {
        const PART: u64 = 64 << 10;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        std::fs::write(&file, vec![7; 40 * PART as usize + 1]).unwrap();
        let counting = Arc::new(Counting::default());
        let store = Store {
            objects: Arc::new(InMemory::new()),
            parts: counting.clone(),
            place: for_tests("s3://bucket/a").place("s3://bucket/a").unwrap(),
            retry: Retry::new(Duration::from_secs(1), Secrets::default()),
            part_bytes: PART,
            parallel: 3,
        };
        let sent = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&sent);
        let on_bytes: OnBytes = Arc::new(move |bytes| {
            told.fetch_add(bytes, Ordering::SeqCst);
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let path = store.place.below("epoch_1/model.safetensors");
        runtime.block_on(store.put_file(&file, &path, &on_bytes)).unwrap();
        assert_eq!(counting.parts.load(Ordering::SeqCst), 41);
        assert_eq!(counting.most.load(Ordering::SeqCst), 3 * PART, "part_bytes times parallel");
        assert_eq!(sent.load(Ordering::SeqCst), 40 * PART + 1);
        let stored = runtime.block_on(async { counting.inner.head(&path).await.unwrap() });
        assert_eq!(stored.size, 40 * PART + 1);
    }
}
