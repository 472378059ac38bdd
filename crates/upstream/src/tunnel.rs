//! Bytes both ways between a client and an upstream that switched protocols, until one of them ends it or both are silent. Reads no frame.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

/// Bytes in one direction's buffer.
const BUFFER: usize = 8 << 10;

/// What went through a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Bytes to the upstream.
    pub sent: u64,
    /// Bytes to the client.
    pub received: u64,
    /// How it ended.
    pub ended: Ended,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Both sides were through.
    Closed,
    /// Nothing moved for too long.
    Idle,
    /// One side broke off.
    Broken,
}

/// Carries bytes until both sides are through, one breaks off, or nothing moves for `idle`.
pub async fn tunnel<C, U>(client: C, upstream: U, idle: Duration) -> Passed
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (mut client, mut upstream) = (client, upstream);
    let (mut up, mut down) = (Direction::new(), Direction::new());
    let mut moved = 0;
    let mut timer = pin!(sleep_until(Instant::now() + idle));
    let ended = poll_fn(|cx| {
        let sent = up.poll(cx, &mut client, &mut upstream);
        let received = down.poll(cx, &mut upstream, &mut client);
        match (sent, received) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => {
                return Poll::Ready(Ended::Broken);
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ended::Closed),
            _ => {}
        }
        let passed = up.bytes + down.bytes;
        if std::mem::replace(&mut moved, passed) != passed {
            timer.as_mut().reset(Instant::now() + idle);
        }
        timer.as_mut().poll(cx).map(|()| Ended::Idle)
    })
    .await;
    Passed { sent: up.bytes, received: down.bytes, ended }
}

/// One direction: read, write, and at the end shut the other side's half.
struct Direction {
    buffer: Box<[u8]>,
    filled: usize,
    written: usize,
    bytes: u64,
    stage: Stage,
    unflushed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Ending,
    Done,
}

impl Direction {
    fn new() -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Self { buffer, filled: 0, written: 0, bytes: 0, stage: Stage::Open, unflushed: false }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        loop {
            while self.written < self.filled {
                let rest = self.buffer.get(self.written..self.filled).unwrap_or_default();
                let written = ready!(Pin::new(&mut *to).poll_write(cx, rest))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.written += written;
                self.bytes += written as u64;
                self.unflushed = true;
            }
            match self.stage {
                Stage::Done => return Poll::Ready(Ok(())),
                Stage::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.stage = Stage::Done;
                }
                Stage::Open => {
                    if self.poll_fill(cx, from)?.is_pending() {
                        if self.unflushed {
                            ready!(Pin::new(&mut *to).poll_flush(cx))?;
                            self.unflushed = false;
                        }
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
        (self.filled, self.written) = (buffer.filled().len(), 0);
        if self.filled == 0 {
            self.stage = Stage::Ending;
        }
        Poll::Ready(Ok(()))
    }
}
