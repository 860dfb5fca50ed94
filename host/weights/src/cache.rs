//! The folder that fetched weights are kept in: PyTorch's own.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::WeightsError;
use crate::checksum::check;
use crate::download::download;

/// A folder of files by their own names.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// A cache in this folder, which is made when something is fetched.
    pub fn at(folder: impl Into<PathBuf>) -> Cache {
        Cache { folder: folder.into() }
    }

    /// The one that PyTorch uses: `hub/checkpoints` in `$TORCH_HOME`, else in `torch` in `$XDG_CACHE_HOME` or `~/.cache`.
    ///
    /// Errors: none of these is set.
    pub fn of_this_user() -> Result<Cache, WeightsError> {
        let set =
            |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let torch = set("TORCH_HOME")
            .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("torch")))
            .or_else(|| set("HOME").map(|folder| folder.join(".cache/torch")))
            .ok_or(WeightsError::NoCache)?;
        Ok(Cache::at(torch.join("hub").join("checkpoints")))
    }

    /// The file of an address, fetched first where it is not there.
    ///
    /// Errors: an address that cannot be fetched; a checksum that is not the one in the name.
    pub fn file(&self, url: &str) -> Result<PathBuf, WeightsError> {
        let name = file_name(url).ok_or_else(|| WeightsError::NoFileName(url.to_owned()))?;
        let path = self.folder.join(name);
        if !path.is_file() {
            self.fetch(url, name, &path)?;
            return Ok(path);
        }
        check(&path, name)?;
        Ok(path)
    }

    /// Fetches beside the file and renames, so that nobody takes half of it.
    fn fetch(&self, url: &str, name: &str, path: &Path) -> Result<(), WeightsError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| WeightsError::Io { path, source }
        };
        fs::create_dir_all(&self.folder).map_err(io(&self.folder))?;
        let part = self.folder.join(format!("{name}.{}.part", std::process::id()));
        tracing::info!("fetching {url} to {}", path.display());
        let fetched = download(url, &part, path).and_then(|()| check(&part, name));
        if let Err(error) = fetched {
            // What is left of it is of no use, and may not even be there.
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        fs::rename(&part, path).map_err(io(path))
    }
}

/// The last part of an address, without what follows a `?` or `#`.
fn file_name(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let rest = rest.split(['?', '#']).next()?;
    let (_, name) = rest.rsplit_once('/')?;
    (!name.is_empty() && name != "." && name != "..").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::process::Command;
    use std::thread;

    /// SHA-256 of `weights` begins with this.
    const HASH: &str = "9a129038";

    /// Answers `requests` requests for `weights`, and nothing else with 404.
    fn server(requests: usize) -> (String, thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serve = move || {
            for stream in listener.incoming().take(requests) {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                while !lines.next().unwrap().unwrap().is_empty() {}
                let (status, body) = if first.contains("/a/") {
                    ("200 OK", "weights")
                } else {
                    ("404 Not Found", "")
                };
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
                write!(stream, "{head}Connection: close\r\n\r\n{body}").unwrap();
            }
        };
        (base, thread::spawn(serve))
    }

    fn has_curl() -> bool {
        let has = Command::new("curl").arg("--version").output().is_ok();
        if !has {
            eprintln!("curl is not there: nothing was fetched");
        }
        has
    }

    #[test]
    fn a_file_is_fetched_once_and_checked_each_time() {
        if !has_curl() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("hub"));
        let (base, server) = server(1);
        let url = format!("{base}/a/model-{HASH}.pth?version=1");
        let path = cache.file(&url).unwrap();
        server.join().unwrap();
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), format!("model-{HASH}.pth"));
        assert_eq!(fs::read(cache.file(&url).unwrap()).unwrap(), b"weights");
        fs::write(&path, "weightz").unwrap();
        let error = cache.file(&url).unwrap_err().to_string();
        assert!(error.contains(&format!("begins with {HASH}")), "{error}");
    }

    #[test]
    fn what_cannot_be_fetched_or_is_another_file_leaves_nothing_behind() {
        if !has_curl() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let (base, server) = server(2);
        let error = cache.file(&format!("{base}/b/model.pth")).unwrap_err().to_string();
        assert!(error.contains("cannot be fetched") && error.contains("404"), "{error}");
        let error = cache.file(&format!("{base}/a/model-00000000.pth")).unwrap_err();
        assert!(matches!(error, WeightsError::Checksum { .. }), "{error}");
        server.join().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn addresses_without_a_file_are_refused() {
        for url in ["https://example.org", "https://example.org/", "https://example.org/a/?b=c.pth"]
        {
            assert!(matches!(Cache::at("x").file(url), Err(WeightsError::NoFileName(_))), "{url}");
        }
    }
}
