//! The bytes of a connection: TCP, or TLS over it, with what was read ahead. Notes what the network takes; knows no HTTP.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::activity::Activity;

/// Answers up to this size, head and body, are written as one piece.
const SMALL_BYTES: usize = 2 << 10;

/// TCP whose writes are noted below TLS: what waits in a cipher's buffer has not left yet.
pub(crate) struct Socket {
    tcp: TcpStream,
    activity: Arc<Activity>,
    /// Takes no bytes for now: they stay in the cipher's buffer.
    held: bool,
}

/// What HTTP, or whatever follows it, reads and writes.
pub(crate) struct Stream {
    /// Read while finding out who speaks; comes before everything else.
    read: Bytes,
    io: Io,
}

enum Io {
    Plain(Socket),
    /// Boxed: a cipher's state is large, and most of it would be moved about for plain connections too.
    Tls(Box<TlsStream<Socket>>),
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream, activity: Arc<Activity>) -> Self {
        Self { tcp, activity, held: false }
    }

    fn wrote(&self, poll: Poll<Result<usize>>) -> Poll<Result<usize>> {
        match &poll {
            Poll::Ready(Ok(bytes)) => self.activity.wrote(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.activity.write_blocked(),
        }
        poll
    }
}

impl Stream {
    pub(crate) fn plain(socket: Socket, read: Bytes) -> Self {
        Self { read, io: Io::Plain(socket) }
    }

    pub(crate) fn tls(stream: Box<TlsStream<Socket>>) -> Self {
        Self { read: Bytes::new(), io: Io::Tls(stream) }
    }

    /// Encrypts bytes and keeps them, to be sent by the next flush. `None` when there is no room for more, or no cipher
    /// whose buffer they could wait in.
    pub(crate) fn keep(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Option<Poll<Result<usize>>> {
        let Io::Tls(stream) = &mut self.io else { return None };
        stream.get_mut().0.held = true;
        let kept = Pin::new(stream.as_mut()).poll_write_vectored(cx, parts);
        stream.get_mut().0.held = false;
        Some(kept).filter(Poll::is_ready)
    }

    /// Puts bytes back that were read too much.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            // An empty piece may still hold the whole buffer it was cut from.
        } else if self.read.is_empty() {
            self.read = bytes;
        } else {
            self.read = [bytes, std::mem::take(&mut self.read)].concat().into();
        }
    }

    /// Whether something was put back.
    pub(crate) fn has_unread(&self) -> bool {
        !self.read.is_empty()
    }

    /// Completes when there is something to read, or the end. Holds no buffer meanwhile.
    pub(crate) async fn readable(&self) -> Result<()> {
        match &self.io {
            Io::Plain(socket) => socket.tcp.readable().await,
            Io::Tls(stream) => stream.get_ref().0.tcp.readable().await,
        }
    }

    /// Says goodbye as far as the socket takes it at once: a client that reads nothing is not waited for.
    pub(crate) async fn close(mut self) {
        std::future::poll_fn(|cx| {
            // Whatever becomes of it, the connection is over.
            let _unsent = Pin::new(&mut self.io).poll_shutdown(cx);
            Poll::Ready(())
        })
        .await;
    }
}

/// Calls a method of whichever stream it is.
macro_rules! either {
    ($io:expr, $method:ident ( $($argument:expr),* )) => {
        match $io {
            Io::Plain(io) => Pin::new(io).$method($($argument),*),
            Io::Tls(io) => Pin::new(io.as_mut()).$method($($argument),*),
        }
    };
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        either!(self.get_mut(), poll_read(cx, into))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        either!(self.get_mut(), poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        either!(self.get_mut(), poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        either!(self.get_mut(), poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        either!(self.get_mut(), poll_shutdown(cx))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, into);
        }
        let take = self.read.len().min(into.remaining());
        into.put_slice(&self.read.split_to(take));
        if self.read.is_empty() {
            self.read = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        if self.held {
            return Poll::Pending;
        }
        let poll = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.wrote(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if self.held {
            return Poll::Pending;
        }
        let mut small = [0; SMALL_BYTES];
        let poll = match joined(parts, &mut small) {
            Some(bytes) => Pin::new(&mut self.tcp).poll_write(cx, bytes),
            None => Pin::new(&mut self.tcp).poll_write_vectored(cx, parts),
        };
        self.wrote(poll)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// The parts as one piece, where they are small: the system takes one piece for less than it takes two, by more than
/// copying them costs.
fn joined<'b>(parts: &[IoSlice<'_>], small: &'b mut [u8; SMALL_BYTES]) -> Option<&'b [u8]> {
    if parts.iter().map(|part| part.len()).sum::<usize>() > SMALL_BYTES {
        return None;
    }
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        small.get_mut(length..end)?.copy_from_slice(part);
        length = end;
    }
    small.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_become_one_piece_in_their_order() {
        let mut small = [0; SMALL_BYTES];
        let parts = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"body")];
        assert_eq!(joined(&parts, &mut small), Some(&b"headbody"[..]));
        assert_eq!(joined(&[], &mut small), Some(&b""[..]));
        let whole = [b'x'; SMALL_BYTES];
        assert_eq!(joined(&[IoSlice::new(&whole)], &mut small), Some(&whole[..]));
        let more = [IoSlice::new(&whole), IoSlice::new(b"y")];
        assert_eq!(joined(&more, &mut small), None);
    }
}
