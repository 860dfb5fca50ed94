//! One page over HTTP on loopback. Knows nothing of what is on it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer requests are cut off.
const LONGEST_REQUEST: u64 = 16 << 10;
/// Whoever is slower than this is left.
const PATIENCE: Duration = Duration::from_secs(2);

/// A thread that answers until this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    page: Arc<Mutex<String>>,
    is_closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a port of 127.0.0.1; 0 is any free one.
    pub(crate) fn start(port: u16) -> std::io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let (page, is_closed) =
            (Arc::new(Mutex::new(String::new())), Arc::new(AtomicBool::new(false)));
        let (shown, closed) = (Arc::clone(&page), Arc::clone(&is_closed));
        let thread =
            std::thread::Builder::new().name("prometheus".to_owned()).spawn(move || {
                for stream in listener.incoming() {
                    if closed.load(Ordering::Acquire) {
                        break;
                    }
                    // Who goes away in the middle gets no answer, and nobody else is hurt by it.
                    let _ = stream.and_then(|stream| answer(stream, &shown));
                }
            })?;
        Ok(Server { address, page, is_closed, thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows another page from now on.
    pub(crate) fn show(&self, page: String) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Release);
        // Wakes the thread, which waits for a visitor. Without one it stays, and ends with the process.
        if TcpStream::connect_timeout(&self.address, PATIENCE).is_ok() {
            let _ = self.thread.take().map(JoinHandle::join);
        }
    }
}

fn answer(stream: TcpStream, page: &Mutex<String>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = String::new();
    let mut reader = BufReader::new((&stream).take(LONGEST_REQUEST));
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut words = request.split_whitespace();
    let (status, body) = match (words.next(), words.next().and_then(|path| path.split('?').next()))
    {
        (Some("GET" | "HEAD"), Some("/metrics")) => {
            ("200 OK", page.lock().unwrap_or_else(PoisonError::into_inner).clone())
        }
        (Some("GET" | "HEAD"), _) => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET\n".to_owned()),
    };
    let length = body.len();
    let body = if request.starts_with("HEAD") { "" } else { &body };
    write!(
        &stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
