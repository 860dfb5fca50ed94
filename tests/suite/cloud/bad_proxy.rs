//! A network that behaves badly: passes bytes on, and has one fault after the other. Knows nothing of HTTP.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What goes wrong, once, when so many bytes have passed in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The first connections are closed at once.
    Down { connections: usize },
    /// A connection is cut on the way to the server.
    CutUp { after: usize },
    /// Bytes to the server stand still.
    DelayUp { after: usize, ms: u64 },
    /// A byte on the way to the server is another one.
    CorruptUp { after: usize },
    /// A connection is cut on the way from the server.
    CutDown { after: usize },
    /// A byte on the way from the server is another one.
    CorruptDown { after: usize },
    /// The last byte of this text on the way from the server is another one.
    CorruptText { text: &'static str },
}

impl Fault {
    fn is_up(self) -> bool {
        matches!(self, Fault::CutUp { .. } | Fault::DelayUp { .. } | Fault::CorruptUp { .. })
    }

    /// Whether it is this piece's turn, after so many bytes.
    fn is_due(self, piece: &[u8], all: usize) -> bool {
        match self {
            Fault::CorruptText { text } => end_of(piece, text).is_some(),
            fault => fault.after() <= all,
        }
    }

    fn after(self) -> usize {
        match self {
            Fault::Down { .. } | Fault::CorruptText { .. } => 0,
            Fault::CutUp { after }
            | Fault::DelayUp { after, .. }
            | Fault::CorruptUp { after }
            | Fault::CutDown { after }
            | Fault::CorruptDown { after } => after,
        }
    }
}

/// Where a text ends in a piece.
fn end_of(piece: &[u8], text: &str) -> Option<usize> {
    let begin = piece.windows(text.len()).position(|window| window == text.as_bytes())?;
    Some(begin + text.len())
}

#[derive(Default)]
struct State {
    refuses_removals: AtomicBool,
    down: AtomicUsize,
    sent: AtomicUsize,
    received: AtomicUsize,
    up: Mutex<VecDeque<Fault>>,
    back: Mutex<VecDeque<Fault>>,
    is_closed: AtomicBool,
}

/// Passes connections on until it is dropped.
pub(super) struct BadProxy {
    address: SocketAddr,
    state: Arc<State>,
}

impl BadProxy {
    pub(super) fn start(server: SocketAddr, faults: Vec<Fault>) -> BadProxy {
        let state = State::default();
        for fault in faults {
            match fault {
                Fault::Down { connections } => state.down.store(connections, Ordering::SeqCst),
                fault if fault.is_up() => state.up.lock().unwrap().push_back(fault),
                fault => state.back.lock().unwrap().push_back(fault),
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.is_closed.load(Ordering::SeqCst) {
                    return;
                }
                let is_down = |left: usize| left.checked_sub(1);
                let down = shared.down.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_down);
                if down.is_err() {
                    pass_on(&client, server, &shared);
                }
            }
        });
        BadProxy { address, state }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that came back from the server.
    pub(super) fn received(&self) -> usize {
        self.state.received.load(Ordering::SeqCst)
    }

    /// Faults that have not happened yet.
    pub(super) fn left(&self) -> usize {
        self.state.up.lock().unwrap().len() + self.state.back.lock().unwrap().len()
    }

    /// From now on connections with a request to remove something are cut.
    pub(super) fn refuse_removals(&self) {
        self.state.refuses_removals.store(true, Ordering::SeqCst);
    }

    /// No connection is closed at once any more.
    pub(super) fn mend(&self) {
        self.state.refuses_removals.store(false, Ordering::SeqCst);
        self.state.down.store(0, Ordering::SeqCst);
    }
}

impl Drop for BadProxy {
    fn drop(&mut self) {
        self.state.is_closed.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

/// Both directions, a thread for each.
fn pass_on(client: &TcpStream, server: SocketAddr, state: &Arc<State>) {
    let Ok(server) = TcpStream::connect(server) else { return };
    for is_up in [true, false] {
        let (client, server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (from, to) = if is_up { (client, server) } else { (server, client) };
        let state = Arc::clone(state);
        std::thread::spawn(move || {
            copy(&from, &to, &state, is_up);
            // The other direction ends as well.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

/// Passes bytes on until one side closes or a fault cuts them off.
fn copy(mut from: &TcpStream, mut to: &TcpStream, state: &State, is_up: bool) {
    let (faults, passed) =
        if is_up { (&state.up, &state.sent) } else { (&state.back, &state.received) };
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        let all = passed.fetch_add(length, Ordering::SeqCst) + length;
        let due = {
            let mut faults = faults.lock().unwrap();
            let is_due = |fault: &Fault| fault.is_due(&piece[..length], all);
            let is_due = faults.front().is_some_and(is_due);
            if is_due { faults.pop_front() } else { None }
        };
        if is_up && state.refuses_removals.load(Ordering::SeqCst) {
            let asks = |text| end_of(&piece[..length], text).is_some();
            if asks("DELETE /") || asks("?delete") {
                return;
            }
        }
        match due {
            Some(Fault::CorruptText { text }) => {
                let end = end_of(&piece[..length], text).unwrap();
                piece[end - 1] ^= 1;
            }
            Some(Fault::CutUp { .. } | Fault::CutDown { .. }) => return,
            Some(Fault::DelayUp { ms, .. }) => std::thread::sleep(Duration::from_millis(ms)),
            Some(Fault::CorruptUp { .. } | Fault::CorruptDown { .. }) => piece[length / 2] ^= 1,
            Some(Fault::Down { .. }) | None => {}
        }
        if to.write_all(&piece[..length]).is_err() {
            return;
        }
    }
}
