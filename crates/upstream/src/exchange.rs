//! One request answered: the answer, how long it took, who gave it; and the connection it may turn into. Chooses nobody.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Response, StatusCode, response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connections::Lease;
use crate::member::Slot;
use crate::{AnswerBody, Error};

/// An upstream's answer, its head complete and free of what concerned our connection alone.
#[derive(Debug)]
pub struct Exchange {
    /// The answer; its body streams.
    pub response: Response<AnswerBody>,
    /// How long things took.
    pub timing: Timing,
    /// The upstream's place in the site's list.
    pub upstream: usize,
}

/// How long the parts of an exchange took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// TCP and TLS; none when a kept connection was used.
    pub connect: Option<Duration>,
    /// From the call to the answer's head, connecting and repeating included, `upload` not.
    pub first_byte: Duration,
    /// In which the request's body kept both of us waiting for its sender.
    pub upload: Duration,
}

impl Exchange {
    /// Whether the upstream switched protocols, as the request asked.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.response.status() == StatusCode::SWITCHING_PROTOCOLS
    }

    /// The head of a `101` and the connection that now speaks the other protocol.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] when this is no `101`; [`Error::Closed`] when the upstream left.
    pub async fn upgrade(mut self) -> Result<(response::Parts, Switched), Error> {
        let upstream = self.upstream;
        if !self.is_upgrade() {
            let what = "the answer switches no protocol";
            return Err(Error::BadAnswer { upstream, what });
        }
        let upgraded = hyper::upgrade::on(&mut self.response).await;
        let io = upgraded.map_err(|source| Error::Closed { upstream, source: Some(source) })?;
        let (parts, mut body) = self.response.into_parts();
        let slot = body.take_lease().map(Lease::into_tunnel);
        Ok((parts, Switched { io: TokioIo::new(io), _slot: slot }))
    }
}

/// A connection to an upstream that speaks another protocol now. Counts as in hand until dropped, but takes no place of
/// `in_flight_max`.
#[derive(Debug)]
pub struct Switched {
    io: TokioIo<Upgraded>,
    _slot: Option<Slot>,
}

impl AsyncRead for Switched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Switched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
