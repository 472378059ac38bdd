//! The body of an upstream's answer on its way to the client: streamed, watched for stalls, its connection given back at its end. Reads no head.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::connections::Lease;

/// A body as the upstream sends it. Ends with an error when the upstream broke off or went silent; dropped early, its
/// connection is closed.
#[derive(Debug)]
pub struct AnswerBody {
    body: Incoming,
    lease: Option<Lease>,
    /// None: it may be silent for as long as it likes.
    patience: Option<Duration>,
    /// Made at the first wait: an answer that came at once costs no timer.
    timer: Option<Pin<Box<Sleep>>>,
    moved: bool,
}

impl AnswerBody {
    pub(crate) fn new(body: Incoming, lease: Lease, patience: Duration) -> Self {
        let patience = Some(patience);
        let mut answer = Self { body, lease: Some(lease), patience, timer: None, moved: false };
        if answer.body.is_end_stream() {
            answer.finish();
        }
        answer
    }

    /// The nothing behind a `101`: what follows it is no body, and the connection is still in use.
    pub(crate) fn switched(body: Incoming, lease: Lease) -> Self {
        Self { body, lease: Some(lease), patience: None, timer: None, moved: false }
    }

    /// Takes connection and place in the count out, for an upgrade.
    pub(crate) fn take_lease(&mut self) -> Option<Lease> {
        self.lease.take()
    }

    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    fn fail(&mut self, error: io::Error) -> io::Error {
        if let Some(lease) = self.lease.take() {
            lease.broken();
        }
        error
    }

    /// Ready when nothing came for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(patience) = self.patience else { return Poll::Pending };
        let deadline = Instant::now() + patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if std::mem::take(&mut self.moved) {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.moved = true;
                if this.body.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, error);
                Poll::Ready(Some(Err(this.fail(error))))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Pending if this.lease.is_none() => Poll::Pending,
            Poll::Pending => {
                ready!(this.poll_stalled(cx));
                let error = io::Error::new(io::ErrorKind::TimedOut, "the upstream went silent");
                Poll::Ready(Some(Err(this.fail(error))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
