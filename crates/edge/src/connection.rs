//! One connection from its first byte: TLS or not, which HTTP, and who carries it on. Never answers a request.

use std::io::ErrorKind;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mainstay_base::task::Group;
use mainstay_telemetry::http::Refusal;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::activity::Activity;
use crate::phases::{Peer, ToHttps};
use crate::socket::{Socket, Stream};
use crate::tls::{Certificate, Tls};
use crate::worker::Worker;
use crate::{http1, http2};

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113 §3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// First byte of a TLS handshake (RFC 8446 §5.1); no HTTP request can begin with it.
const HANDSHAKE: u8 = 0x16;

/// Read at once before it is known who carries the connection, and of plain requests: a browser's head fits.
pub(crate) const READ_BYTES: usize = 4 << 10;

/// A connection and everything it is carried with.
pub(crate) struct Connection {
    pub(crate) worker: Arc<Worker>,
    pub(crate) peer: Peer,
    /// What the client was shown, where it asked for a name.
    pub(crate) presented: Option<Arc<Certificate>>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) group: Group,
}

/// The version a connection speaks.
enum Protocol {
    Http1,
    Http2,
}

impl Connection {
    /// Carries it to its end.
    pub(crate) async fn carry(mut self, tcp: TcpStream) {
        // Nagle's algorithm and delayed ACKs together hold small answers back for 40 ms.
        if tcp.set_nodelay(true).is_err() {
            return;
        }
        let Some((stream, protocol)) = self.open(tcp).await else { return };
        match protocol {
            Protocol::Http1 => http1::carry(&self, stream).await,
            // Boxed: what carries one protocol must not make room for the other.
            Protocol::Http2 => Box::pin(http2::carry(&self, stream)).await,
        }
    }

    /// Finds out what the client speaks. `None`: it left, said nothing of use, or the server stops.
    async fn open(&mut self, tcp: TcpStream) -> Option<(Stream, Protocol)> {
        let first = self.first_byte(&tcp).await?;
        let worker = Arc::clone(&self.worker);
        let socket = Socket::new(tcp, Arc::clone(&self.activity));
        if let Some(tls) = worker.shared.tls.as_ref().filter(|_| self.peer.to_https.is_none()) {
            if first == HANDSHAKE {
                return Box::pin(self.shake_hands(tls, socket)).await;
            }
            self.peer.to_https = Some(ToHttps::SamePort);
        }
        Box::pin(self.sniff(socket)).await
    }

    /// Waits for the client's first byte, and leaves it. Nothing is held for it until it comes.
    async fn first_byte(&self, tcp: &TcpStream) -> Option<u8> {
        let _parked = self.park();
        let mut first = [0];
        tokio::select! {
            peeked = tcp.peek(&mut first) => (peeked.ok()? > 0).then_some(first[0]),
            () = self.activity.told_to_leave() => None,
        }
    }

    async fn shake_hands(&mut self, tls: &Tls, socket: Socket) -> Option<(Stream, Protocol)> {
        self.activity.begin_handshake();
        let shaken = tokio::select! {
            shaken = tls.acceptor().accept(socket) => shaken,
            () = self.activity.told_to_leave() => return None,
        };
        match shaken {
            Ok(stream) => {
                self.activity.end_handshake();
                self.peer.https = true;
                let (_, session) = stream.get_ref();
                self.presented = tls.presented(session);
                let h2 = tls.agreed_on_h2(session);
                let protocol = if h2 { Protocol::Http2 } else { Protocol::Http1 };
                Some((Stream::tls(Box::new(stream)), protocol))
            }
            Err(error) => {
                // A client that only hangs up, as port checks do, is no refusal of ours.
                if error.kind() == ErrorKind::InvalidData {
                    self.worker.shared.http.refused(Refusal::Handshake);
                }
                None
            }
        }
    }

    /// Reads just enough to tell the protocols apart.
    async fn sniff(&self, socket: Socket) -> Option<(Stream, Protocol)> {
        let mut stream = Stream::plain(socket, Bytes::new());
        let mut read = BytesMut::with_capacity(READ_BYTES);
        loop {
            let received = tokio::select! {
                received = stream.read_buf(&mut read) => received.ok()?,
                () = self.activity.told_to_leave() => return None,
            };
            if received == 0 {
                return None;
            }
            self.activity.sniffed();
            let compared = read.len().min(H2_PREFACE.len());
            let protocol = if read.get(..compared) != H2_PREFACE.get(..compared) {
                Protocol::Http1
            } else if compared == H2_PREFACE.len() {
                Protocol::Http2
            } else {
                continue;
            };
            stream.unread(read.freeze());
            return Some((stream, protocol));
        }
    }

    /// Whether a host is one that another certificate is for than the client was shown: it cannot know whom it asks
    /// (RFC 9110 §7.4). A client that asked for no name has not looked.
    pub(crate) fn is_misdirected(&self, host: Option<&str>) -> bool {
        let (Some(presented), Some(host)) = (&self.presented, host) else { return false };
        self.worker.shared.tls.as_ref().is_some_and(|tls| tls.is_for_another(presented, host))
    }

    /// Requests that never parsed got the library's bare closing answer; here they are counted by reason.
    pub(crate) fn count_parse_error(&self, error: &hyper::Error) {
        if error.is_parse_too_large() {
            self.worker.shared.http.refused(Refusal::HeaderTooLarge);
        } else if error.is_parse() {
            self.worker.shared.http.refused(Refusal::BadRequest);
        }
    }

    /// Counts it among those that wait without buffers, until dropped.
    pub(crate) fn park(&self) -> Parked<'_> {
        self.activity.parked();
        self.worker.shared.http.parked.add(1.0);
        Parked(self)
    }
}

/// A connection that waits without buffers.
pub(crate) struct Parked<'a>(&'a Connection);

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.activity.unparked();
        self.0.worker.shared.http.parked.sub(1.0);
    }
}
