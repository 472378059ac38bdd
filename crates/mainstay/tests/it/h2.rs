//! An HTTP/2 client that does what none should: raw frames on a socket. Knows no more of the protocol than the tests ask for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
pub(crate) const INITIAL_WINDOW: u16 = 4;

/// What the server sent.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a GOAWAY.
    pub(crate) fn reason(&self) -> u32 {
        let code = self.payload.get(4..8).expect("a code");
        u32::from_be_bytes(code.try_into().expect("four bytes"))
    }
}

/// A connection of raw frames.
pub(crate) struct Client {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Client {
    /// Connects and says which settings it has.
    pub(crate) fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let socket = TcpStream::connect(address).expect("connected");
        socket.set_nodelay(true).expect("no delay");
        let mut client = Self { socket, read: Vec::new() };
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
            .collect();
        let begin = [PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat();
        assert!(client.write(&begin), "the preface is taken");
        client
    }

    /// Whether the server still takes bytes; gives it two seconds.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.socket.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
        self.socket.write_all(bytes).is_ok()
    }

    /// Asks for a path on a stream of its own.
    pub(crate) fn get(&mut self, stream: u32, path: &str) -> bool {
        self.write(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &head(path)))
    }

    pub(crate) fn window_update(&mut self, stream: u32, bytes: u32) -> bool {
        self.write(&frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()))
    }

    /// The next frame; `None` when none comes within this time or the server closed. Answers its pings.
    pub(crate) fn next(&mut self, within: Duration) -> Option<Frame> {
        let until = Instant::now() + within;
        loop {
            if let Some(frame) = self.take() {
                if frame.kind == PING && frame.flags & ACK == 0 {
                    self.write(&crate::h2::frame(PING, ACK, 0, &frame.payload));
                }
                return Some(frame);
            }
            let left = until.checked_duration_since(Instant::now()).filter(|t| !t.is_zero())?;
            self.socket.set_read_timeout(Some(left)).expect("a timeout");
            let mut piece = [0; 64 << 10];
            match self.socket.read(&mut piece) {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.read.extend_from_slice(&piece[..read]),
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let head = self.read.get(..9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.read.get(9..9 + length)?.to_vec();
        self.read.drain(..9 + length);
        Some(Frame { kind, flags, stream, payload })
    }

    /// Reads frames until one is as wanted.
    pub(crate) fn find(
        &mut self,
        within: Duration,
        mut wanted: impl FnMut(&Frame) -> bool,
    ) -> Option<Frame> {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let frame = self.next(left)?;
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }

    /// Whether the server closes within this time; what it still sends is dropped.
    pub(crate) fn is_closed_within(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        let mut piece = [0; 64 << 10];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.socket.set_read_timeout(Some(left)).expect("a timeout");
            match self.socket.read(&mut piece) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    use std::io::ErrorKind::{TimedOut, WouldBlock};
                    return !matches!(error.kind(), TimedOut | WouldBlock);
                }
            }
        }
    }
}

/// A frame as it is written (RFC 9113 §4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The header block of `GET path`, nothing compressed but the names (RFC 7541 §6.1, §6.2.2).
pub(crate) fn head(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).expect("a short path");
    assert!(length < 127, "a length of one byte");
    [&[0x82, 0x86, 0x01, 1, b'a', 0x04, length], path.as_bytes()].concat()
}
