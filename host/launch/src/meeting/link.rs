//! A connection between two launchers: lines out, lines in, and whether the other side is still there. Waits where the
//! other side takes nothing in, at most five seconds for a line. Knows nothing of what is said.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::message::Message;

/// A line that is longer is nothing that a launcher says.
const LONGEST_LINE: usize = 1 << 20;
const FOREIGN: &str = "it says nothing that a launcher would";
/// For a line to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// One end of the connection.
pub(super) struct Link {
    stream: TcpStream,
    arrived: Vec<u8>,
    /// Whether a launcher has spoken at the other side.
    has_spoken: bool,
    /// Whether what had come before the other side was lost is taken in.
    is_drained: bool,
    heard: Instant,
    sent: Instant,
    lost: Option<String>,
    /// Without a word, until the other side counts as gone.
    silence: Duration,
}

impl Link {
    pub(super) fn new(stream: TcpStream, silence: Duration) -> io::Result<Link> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let now = Instant::now();
        let (arrived, lost) = (Vec::new(), None);
        let (has_spoken, is_drained) = (false, false);
        Ok(Link { stream, arrived, has_spoken, is_drained, heard: now, sent: now, lost, silence })
    }

    /// Why the other side is gone, if it is.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// Whether the other side is no launcher.
    pub(super) fn is_foreign(&self) -> bool {
        self.lost() == Some(FOREIGN)
    }

    /// When something came from the other side last.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Whether a launcher has spoken at the other side: anything else may send a few bytes, too.
    pub(super) fn has_spoken(&self) -> bool {
        self.has_spoken
    }

    pub(super) fn send(&mut self, message: &Message) {
        let Ok(mut line) = serde_json::to_vec(message) else { return };
        line.push(b'\n');
        if let Err(error) = self.write(&line) {
            self.lost.get_or_insert_with(|| error.to_string());
        }
        self.sent = Instant::now();
    }

    fn write(&mut self, mut line: &[u8]) -> io::Result<()> {
        let began = Instant::now();
        while !line.is_empty() {
            match self.stream.write(line) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => line = &line[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if began.elapsed() > SEND_TIMEOUT {
                        return Err(ErrorKind::TimedOut.into());
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What came since the last call; says that this side is still there, now and then.
    pub(super) fn receive(&mut self) -> Vec<Message> {
        if self.lost.is_none() {
            if let Err(reason) = self.read() {
                self.lost = Some(reason);
            }
            if self.sent.elapsed() >= self.silence / 6 {
                self.send(&Message::Alive);
            }
        } else if !std::mem::replace(&mut self.is_drained, true) {
            // It may have said why before it went.
            let _ = self.read();
        }
        self.take_messages()
    }

    fn read(&mut self) -> Result<(), String> {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("it closed the connection".to_owned()),
                Ok(read) => {
                    self.arrived.extend_from_slice(&chunk[..read]);
                    self.heard = Instant::now();
                    if self.arrived.len() > LONGEST_LINE {
                        return Err(FOREIGN.to_owned());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        match self.heard.elapsed() {
            silence if silence > self.silence => {
                Err(format!("nothing was heard of it for {:.0} s", silence.as_secs_f64()))
            }
            _ => Ok(()),
        }
    }

    fn take_messages(&mut self) -> Vec<Message> {
        let Some(end) = self.arrived.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.arrived.split_off(end + 1);
        let lines = std::mem::replace(&mut self.arrived, rest);
        let mut messages = Vec::new();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(message) => {
                    self.has_spoken = true;
                    messages
                        .extend(Some(message).filter(|message| !matches!(message, Message::Alive)));
                }
                Err(_) => {
                    self.lost = Some(FOREIGN.to_owned());
                    break;
                }
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let link = Link::new(listener.accept().unwrap().0, Duration::from_secs(600)).unwrap();
        (link, theirs)
    }

    fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn lines_arrive_whole_however_they_are_cut() {
        let (mut link, mut theirs) = pair();
        theirs.write_all(b"{\"say\":\"again\"}\n{\"say\":\"ov").unwrap();
        let first = until(|| Some(link.receive()).filter(|messages| !messages.is_empty()));
        assert_eq!(first, [Message::Again]);
        theirs.write_all(b"er\",\"code\":3,\"reason\":\"\"}\n").unwrap();
        let second = until(|| Some(link.receive()).filter(|messages| !messages.is_empty()));
        assert_eq!(second, [Message::Over { code: 3, reason: String::new() }]);
        drop(theirs);
        let why = until(|| {
            link.receive();
            link.lost().map(str::to_owned)
        });
        assert_eq!(why, "it closed the connection");
    }

    #[test]
    fn strangers_are_not_listened_to() {
        let (mut link, mut theirs) = pair();
        theirs.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        let why = until(|| {
            link.receive();
            link.lost().map(str::to_owned)
        });
        assert!(why.contains("nothing that a launcher would"), "{why}");
    }
}
