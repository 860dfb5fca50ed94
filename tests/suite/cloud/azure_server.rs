//! As much of Azure's Blob service as a checkpoint needs, with blobs in memory: blocks, lists of blocks, ranges. Knows nothing of
//! signatures but that there is one.
//!
//! Source: the operations Put Blob, Put Block, Put Block List, Get Blob, Get Blob Properties, Delete Blob and Blob Batch of
//! <https://learn.microsoft.com/rest/api/storageservices/operations-on-blobs>.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The account that requests must be signed for.
pub(super) const ACCOUNT: &str = "snaphooktest";
/// Any key does: nothing is compared with it.
pub(super) const KEY: &str = "YS1rZXktdGhhdC1uby1sb2ctbWF5LXNob3c=";

#[derive(Default)]
struct Blobs {
    whole: BTreeMap<String, Vec<u8>>,
    /// Blocks that no list has put into a blob, by the blob's path and their ids.
    blocks: BTreeMap<(String, String), Vec<u8>>,
    lists: usize,
}

/// Answers until it is dropped.
pub(super) struct AzureServer {
    address: SocketAddr,
    blobs: Arc<Mutex<Blobs>>,
    is_closed: Arc<AtomicBool>,
}

impl AzureServer {
    pub(super) fn start() -> AzureServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (blobs, is_closed) = (Arc::<Mutex<Blobs>>::default(), Arc::new(AtomicBool::new(false)));
        let (all, closed) = (Arc::clone(&blobs), Arc::clone(&is_closed));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                let all = Arc::clone(&all);
                // Who goes away in the middle gets no answer.
                std::thread::spawn(move || serve(&stream, &all));
            }
        });
        AzureServer { address, blobs, is_closed }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The paths of all blobs, as they were asked for.
    pub(super) fn names(&self) -> Vec<String> {
        self.blobs.lock().unwrap().whole.keys().cloned().collect()
    }

    /// How many blobs came as a list of blocks.
    pub(super) fn lists(&self) -> usize {
        self.blobs.lock().unwrap().lists
    }
}

impl Drop for AzureServer {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    head: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Request> {
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let mut words = head[0].split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key.to_owned(), value.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="))
        };
        let query = query.split('&').map(pair).collect();
        let mut request = Request { method, path: path.to_owned(), query, head, body: Vec::new() };
        let length = request.header("content-length").and_then(|text| text.parse().ok());
        request.body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

fn serve(mut stream: &TcpStream, blobs: &Mutex<Blobs>) -> Option<()> {
    let request = Request::read(stream)?;
    let signature = request.header("authorization").unwrap_or_default();
    let (status, content, more) = match signature.starts_with(&format!("SharedKey {ACCOUNT}:")) {
        true => answer(&request, &mut blobs.lock().unwrap()),
        false => (403, Vec::new(), String::new()),
    };
    let length = content.len();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n{more}ETag: \"{length}\"\r\n\
         Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    if request.method != "HEAD" {
        stream.write_all(&content).ok()?;
    }
    Some(())
}

/// Status, content, and a further line of the head.
fn answer(request: &Request, blobs: &mut Blobs) -> (u16, Vec<u8>, String) {
    let (path, nothing) = (request.path.clone(), (Vec::new(), String::new()));
    let status = match (request.method.as_str(), request.query.get("comp").map(String::as_str)) {
        ("PUT", Some("block")) => {
            let id = request.query["blockid"].clone();
            blobs.blocks.insert((path, id), request.body.clone());
            201
        }
        ("PUT", Some("blocklist")) => {
            let list = String::from_utf8_lossy(&request.body).into_owned();
            let ids =
                list.split("ed>").skip(1).step_by(2).filter_map(|part| part.split('<').next());
            let block = |id: &str| blobs.blocks.remove(&(path.clone(), id.to_owned()));
            let blob =
                ids.map(block).collect::<Option<Vec<Vec<u8>>>>().map(|blocks| blocks.concat());
            match blob {
                Some(blob) => {
                    blobs.whole.insert(path, blob);
                    blobs.lists += 1;
                    201
                }
                None => 400,
            }
        }
        ("PUT", _) if request.header("x-ms-blob-type") == Some("BlockBlob") => {
            blobs.whole.insert(path, request.body.clone());
            201
        }
        ("DELETE", _) => blobs.whole.remove(&path).map_or(404, |_| 202),
        ("GET" | "HEAD", _) => match blobs.whole.get(&path) {
            None => 404,
            Some(blob) => return part(blob, request.header("range")),
        },
        ("POST", Some("batch")) => return batch(&String::from_utf8_lossy(&request.body), blobs),
        _ => 400,
    };
    (status, nothing.0, nothing.1)
}

/// Removals in one request.
fn batch(body: &str, blobs: &mut Blobs) -> (u16, Vec<u8>, String) {
    let mut answers = String::new();
    for (number, request) in body.split("DELETE ").skip(1).enumerate() {
        let path = request.split(' ').next().unwrap_or_default();
        let status =
            if blobs.whole.remove(path).is_some() { "202 Accepted" } else { "404 Not Found" };
        answers += &format!(
            "--answers\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\nHTTP/1.1 {status}\r\n\r\n\r\n"
        );
    }
    let line = "Content-Type: multipart/mixed; boundary=answers\r\n".to_owned();
    (202, (answers + "--answers--\r\n").into_bytes(), line)
}

fn part(blob: &[u8], range: Option<&str>) -> (u16, Vec<u8>, String) {
    let bounds = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = bounds else { return (200, blob.to_vec(), String::new()) };
    let first: usize = first.parse().unwrap();
    let last = last.parse().unwrap_or(usize::MAX).min(blob.len() - 1);
    let line = format!("Content-Range: bytes {first}-{last}/{}\r\n", blob.len());
    (206, blob[first..=last].to_vec(), line)
}
