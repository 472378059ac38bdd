//! The bytes of an answer on their way from the app to the client: our tag put in, compressed, never held back. Keeps at most the begin of a document until the tag's place is certain.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::encode::Encoder;
use crate::html::{Locator, TagPlace};

/// How far into a document a place for our tag is looked for.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;

/// A body as it comes from the app.
pub(crate) type Relayed = Pin<Box<dyn Body<Data = Bytes, Error = io::Error> + Send>>;

/// Puts a text into a document that passes by.
pub(super) struct Insertion {
    text: Bytes,
    held: BytesMut,
    /// `None` once the place was found, or cannot be.
    locator: Option<Box<Locator>>,
}

impl Insertion {
    pub(super) fn new(text: String) -> Self {
        let locator = Some(Box::new(Locator::new()));
        Self { text: text.into(), held: BytesMut::new(), locator }
    }

    fn pass(&mut self, bytes: Bytes) -> Bytes {
        let Some(locator) = &mut self.locator else { return bytes };
        let room = HEAD_BYTES_MAX.saturating_sub(self.held.len());
        let place = locator.feed(&bytes[..bytes.len().min(room)]);
        self.held.extend_from_slice(&bytes);
        match place {
            TagPlace::Open if bytes.len() < room => Bytes::new(),
            TagPlace::Open => self.release(TagPlace::Nowhere),
            place => self.release(place),
        }
    }

    fn end(&mut self) -> Bytes {
        match self.locator.take() {
            Some(locator) => self.release(locator.end()),
            None => Bytes::new(),
        }
    }

    fn release(&mut self, place: TagPlace) -> Bytes {
        self.locator = None;
        let held = std::mem::take(&mut self.held).freeze();
        let TagPlace::At(at) = place else { return held };
        let mut out = BytesMut::with_capacity(held.len() + self.text.len());
        out.extend_from_slice(&held[..at]);
        out.extend_from_slice(&self.text);
        out.extend_from_slice(&held[at..]);
        out.freeze()
    }
}

/// A body that is changed as it passes.
pub(super) struct Relay {
    inner: Relayed,
    insertion: Option<Insertion>,
    encoder: Option<Encoder>,
    /// The encoder has bytes that the client does not have.
    unflushed: bool,
    /// The connection to the app was given a turn since its last piece: it hands over one at a time.
    waited: bool,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl Relay {
    pub(super) fn new(
        inner: Relayed,
        insertion: Option<Insertion>,
        encoder: Option<Encoder>,
    ) -> Self {
        Self {
            inner,
            insertion,
            encoder,
            unflushed: false,
            waited: false,
            trailers: None,
            ended: false,
        }
    }

    fn pass(&mut self, bytes: Bytes) -> io::Result<Bytes> {
        let bytes = match &mut self.insertion {
            Some(insertion) => insertion.pass(bytes),
            None => bytes,
        };
        self.encode(bytes)
    }

    fn encode(&mut self, bytes: Bytes) -> io::Result<Bytes> {
        match &mut self.encoder {
            Some(encoder) if !bytes.is_empty() => {
                self.unflushed = true;
                encoder.write(&bytes)
            }
            _ => Ok(bytes),
        }
    }

    /// What the client lacks when the app pauses.
    fn flush(&mut self) -> io::Result<Bytes> {
        match &mut self.encoder {
            Some(encoder) if std::mem::take(&mut self.unflushed) => encoder.flush(),
            _ => Ok(Bytes::new()),
        }
    }

    fn end(&mut self) -> io::Result<Bytes> {
        self.ended = true;
        let rest = self.insertion.as_mut().map(Insertion::end).unwrap_or_default();
        let mut out = BytesMut::from(self.encode(rest)?);
        if let Some(encoder) = self.encoder.take() {
            out.extend_from_slice(&encoder.finish()?);
        }
        Ok(out.freeze())
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        while !this.ended {
            let bytes = match this.inner.as_mut().poll_frame(cx) {
                Poll::Pending if this.unflushed && !std::mem::replace(&mut this.waited, true) => {
                    // An app that pauses is told from one whose next piece lies ready: flushing costs bytes and time.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => {
                    let late = this.flush()?;
                    if late.is_empty() {
                        return Poll::Pending;
                    }
                    late
                }
                // Without the encoder's end the client sees that something is missing.
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => this.end()?,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => {
                        this.waited = false;
                        this.pass(bytes)?
                    }
                    Err(frame) => {
                        this.trailers = frame.into_trailers().ok();
                        this.end()?
                    }
                },
            };
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// A body that did not end within the bytes it may have.
pub(super) struct Overlong {
    /// What was read.
    pub(super) begin: Bytes,
    /// What comes after it.
    pub(super) rest: Relayed,
}

/// Reads a whole body of at most `bytes_max`.
///
/// # Errors
/// The body's own.
pub(super) async fn read_whole(
    mut body: Relayed,
    bytes_max: usize,
) -> io::Result<Result<Bytes, Overlong>> {
    let mut read = BytesMut::new();
    loop {
        let frame = std::future::poll_fn(|cx| {
            let frame = ready!(body.as_mut().poll_frame(cx));
            Poll::Ready(frame.transpose())
        });
        let Some(frame) = frame.await? else { return Ok(Ok(read.freeze())) };
        if let Ok(bytes) = frame.into_data() {
            read.extend_from_slice(&bytes);
        }
        if read.len() > bytes_max {
            return Ok(Err(Overlong { begin: read.freeze(), rest: body }));
        }
    }
}

/// A body with bytes put back in front of it.
pub(super) struct Rejoined {
    begin: Option<Bytes>,
    rest: Relayed,
}

impl Rejoined {
    pub(super) fn new(overlong: Overlong) -> Self {
        Self { begin: Some(overlong.begin), rest: overlong.rest }
    }
}

impl Body for Rejoined {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.begin.take() {
            Some(begin) => Poll::Ready(Some(Ok(Frame::data(begin)))),
            None => self.rest.as_mut().poll_frame(cx),
        }
    }
}

#[cfg(test)]
mod tests;
