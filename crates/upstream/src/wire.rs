//! The bytes of one connection to an upstream, in the clear or over TLS; notes whether an answer began. Parses nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connected socket.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What was noticed on a connection.
#[derive(Debug, Default)]
pub(crate) struct Noticed {
    heard: AtomicBool,
}

impl Noticed {
    /// A new request begins: nothing of its answer was heard yet.
    pub(crate) fn begin(&self) {
        self.heard.store(false, Relaxed);
    }

    /// Whether a byte came since.
    pub(crate) fn heard(&self) -> bool {
        self.heard.load(Relaxed)
    }
}

/// A connection whose writes never fail: an upstream may answer and close before it has read a whole request, and that
/// answer, waiting in the socket, must not be lost to a broken pipe. Such a write waits for ever, the read side tells
/// the end.
pub(crate) struct Wire {
    stream: Stream,
    noticed: Arc<Noticed>,
    deaf: bool,
}

impl Wire {
    pub(crate) fn new(stream: Stream, noticed: Arc<Noticed>) -> Self {
        Self { stream, noticed, deaf: false }
    }

    fn outlive<T>(&mut self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(_)) => {
                self.deaf = true;
                Poll::Pending
            }
            written => written,
        }
    }
}

macro_rules! on {
    ($stream:expr, $io:ident => $call:expr) => {
        match $stream {
            Stream::Plain(stream) => {
                let $io = Pin::new(stream);
                $call
            }
            Stream::Tls(stream) => {
                let $io = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(on!(&mut self.stream, io => io.poll_read(cx, buf)))?;
        if buf.filled().len() > before {
            self.noticed.heard.store(true, Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Pending;
        }
        let written = on!(&mut self.stream, io => io.poll_write(cx, bytes));
        self.outlive(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices {
            // A head alone: the kernel takes one buffer by a shorter way than a list of one.
            return self.poll_write(cx, only);
        }
        if self.deaf {
            return Poll::Pending;
        }
        let written = on!(&mut self.stream, io => io.poll_write_vectored(cx, slices));
        self.outlive(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Pending;
        }
        let flushed = on!(&mut self.stream, io => io.poll_flush(cx));
        self.outlive(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(&mut self.stream, io => io.poll_shutdown(cx))
    }
}
