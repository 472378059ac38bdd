//! The one response body type: bytes already in memory, pieces of a file, or what an app sends; a streamed one settles when it ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::stream::Pieces;

/// What is told when a streamed body ended: bytes handed to the connection.
pub(crate) type OnEnd = Box<dyn FnOnce(u64) + Send>;

/// A response body.
pub(crate) enum Body {
    /// In memory; `None` once taken.
    Whole(Option<Bytes>),
    /// From disk.
    Pieces(Streamed),
    /// From an app behind us, as it comes.
    Relayed(Relayed),
}

/// A body from elsewhere.
pub(crate) type Boxed =
    Pin<Box<dyn http_body::Body<Data = Bytes, Error = std::io::Error> + Send + 'static>>;

/// A body that is passed on as it comes.
pub(crate) struct Relayed {
    body: Boxed,
    sent: u64,
    on_end: Option<OnEnd>,
}

/// A body that is read as the client takes it.
pub(crate) struct Streamed {
    pieces: Pieces,
    left: u64,
    sent: u64,
    on_end: Option<OnEnd>,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }

    pub(crate) fn streamed(pieces: Pieces, length: u64) -> Self {
        Self::Pieces(Streamed { pieces, left: length, sent: 0, on_end: None })
    }

    pub(crate) fn relayed(body: Boxed) -> Self {
        Self::Relayed(Relayed { body, sent: 0, on_end: None })
    }

    /// Whether its bytes come while it is sent.
    pub(crate) fn is_streamed(&self) -> bool {
        !matches!(self, Self::Whole(_))
    }

    /// Calls `then` with the bytes sent when a streamed body ends or is dropped half-way.
    pub(crate) fn on_end(&mut self, then: OnEnd) {
        match self {
            Self::Whole(_) => {}
            Self::Pieces(streamed) => streamed.on_end = Some(then),
            Self::Relayed(relayed) => relayed.on_end = Some(then),
        }
    }

    /// Bytes that are to come, where they are ours to send: what an app sends is told by the app.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Pieces(streamed) => Some(streamed.left),
            Self::Relayed(_) => None,
        }
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        if let Some(then) = self.on_end.take() {
            then(self.sent);
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if let Some(then) = self.on_end.take() {
            then(self.sent);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Pieces(streamed) => match std::task::ready!(streamed.pieces.poll_next(cx)) {
                Some(Ok(piece)) => {
                    let length = piece.len() as u64;
                    streamed.left = streamed.left.saturating_sub(length);
                    streamed.sent += length;
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
                Some(Err(error)) => Poll::Ready(Some(Err(error))),
                None => Poll::Ready(None),
            },
            Self::Relayed(relayed) => {
                let polled = relayed.body.as_mut().poll_frame(cx);
                if let Poll::Ready(Some(Ok(frame))) = &polled {
                    relayed.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Pieces(streamed) => streamed.left == 0,
            Self::Relayed(relayed) => relayed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (self, self.length()) {
            (Self::Relayed(relayed), _) => relayed.body.size_hint(),
            (_, length) => SizeHint::with_exact(length.unwrap_or(0)),
        }
    }
}
