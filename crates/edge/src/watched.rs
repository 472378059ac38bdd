//! A connection's stream as HTTP reads it: what comes is noted as progress. Decides nothing.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{ReadBufCursor, Write as _};
use hyper_util::rt::TokioIo;

use crate::activity::Activity;
use crate::socket::Stream;

/// A stream whose reads are noted; its writes are where they reach the network ([`crate::socket`]).
pub(crate) struct Watched {
    io: TokioIo<Stream>,
    activity: Arc<Activity>,
}

impl Watched {
    pub(crate) fn new(stream: Stream, activity: Arc<Activity>) -> Self {
        Self { io: TokioIo::new(stream), activity }
    }

    pub(crate) fn into_inner(self) -> Stream {
        self.io.into_inner()
    }

    /// As [`Stream::keep`].
    pub(crate) fn keep(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Option<Poll<std::io::Result<usize>>> {
        self.io.inner_mut().keep(cx, parts)
    }

    /// Sends what was kept.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

impl hyper::rt::Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_read(cx, cursor);
        if poll.is_ready() {
            self.activity.read_some();
        }
        poll
    }
}

impl hyper::rt::Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        match parts {
            // A head alone: the kernel takes one buffer by a shorter way than a list of one.
            [only] => Pin::new(&mut self.io).poll_write(cx, only),
            _ => Pin::new(&mut self.io).poll_write_vectored(cx, parts),
        }
    }
}
