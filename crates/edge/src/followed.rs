//! A response body whose bytes say when they really left, piece by piece. Used where one connection carries many answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};

use crate::body::Body;
use crate::exchange::Exchange;

/// Largest piece handed to the protocol at once: the last one cannot be taken back for one stream alone.
const PIECE_BYTES: usize = 64 << 10;

/// A body that its exchange follows.
pub(crate) struct Followed {
    body: Body,
    /// What the body gave and the protocol has not asked for yet.
    rest: Bytes,
    exchange: Arc<Exchange>,
}

/// Bytes of an answer that report when they are written or dropped.
pub(crate) struct Piece {
    bytes: Bytes,
    exchange: Arc<Exchange>,
}

impl Followed {
    pub(crate) fn new(body: Body, exchange: Arc<Exchange>) -> Self {
        Self { body, rest: Bytes::new(), exchange }
    }

    fn cut(&mut self) -> Frame<Piece> {
        let bytes = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        self.exchange.hold(bytes.len());
        Frame::data(Piece { bytes, exchange: Arc::clone(&self.exchange) })
    }
}

impl http_body::Body for Followed {
    type Data = Piece;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, std::io::Error>>> {
        // What the protocol holds of this stream can be thrown away only while it waits for us: one piece at a time.
        if self.exchange.is_abandoned() {
            let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(late)));
        }
        ready!(self.exchange.poll_taken(cx));
        if self.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else {
                return Poll::Ready(None);
            };
            match frame.into_data() {
                Ok(bytes) => self.rest = bytes,
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
            }
        }
        Poll::Ready(Some(Ok(self.cut())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut whole = SizeHint::new();
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole.set_lower(hint.lower() + rest);
        whole
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.exchange.took(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.exchange.let_go(self.bytes.len());
    }
}
