//! Full TLS 1.3 handshakes as fast as they are answered, without a request: connect, shake hands, say goodbye, wait for the end. Resumes nothing.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use serde::{Deserialize, Serialize};

use super::wrk::Round;
use super::{cost, generator, tls};
use crate::server::RealTime;
use crate::wire;

/// Time without any answer after which the server is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) address: SocketAddr,
    pub(super) seconds: u32,
    /// Handshakes at once.
    pub(super) at_once: usize,
    /// The certificate to trust.
    pub(super) cert: PathBuf,
}

/// What was done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Done {
    handshakes: u64,
    seconds: f64,
}

/// Puts the load on and measures what a handshake costs the process tree `root`.
///
/// # Errors
/// When a handshake fails, or was not a full one.
pub(super) fn measure(load: &Load, root: u32) -> anyhow::Result<Round> {
    let before = cost::processor_time(&[root]);
    let done: Done = generator::run(&generator::Work::Handshakes(load.clone()), RealTime::Off)?;
    let spent = cost::processor_time(&[root]).saturating_sub(before).as_secs_f64();
    ensure!(done.handshakes > 0, "no handshake was completed");
    Ok(Round {
        requests: done.handshakes,
        per_second: done.handshakes as f64 / done.seconds,
        refused: 0,
        cpu_us: spent * 1e6 / done.handshakes as f64,
        cores: spent / done.seconds,
    })
}

/// The generator itself: every handshake that was begun is completed and counted.
///
/// # Errors
/// When a handshake fails, or was not a full one.
pub(super) fn generate(load: &Load) -> anyhow::Result<Done> {
    let client = tls::client(&load.cert)?;
    let begun = Instant::now();
    let end = begun + Duration::from_secs(u64::from(load.seconds));
    let mut lanes = (0..load.at_once)
        .map(|_| Lane::open(load.address, &client))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut handshakes = 0;
    while !lanes.is_empty() {
        for index in wait(&lanes)? {
            if lanes[index].advance()? {
                handshakes += 1;
                lanes[index] = Lane::open(load.address, &client)?;
            }
        }
        if Instant::now() >= end {
            handshakes += finish(&mut lanes)?;
        }
    }
    Ok(Done { handshakes, seconds: begun.elapsed().as_secs_f64() })
}

/// Completes what is under way.
fn finish(lanes: &mut Vec<Lane>) -> anyhow::Result<u64> {
    let mut handshakes = 0;
    while !lanes.is_empty() {
        // From behind, so that the places of the others stay.
        for index in wait(lanes)?.into_iter().rev() {
            if lanes[index].advance()? {
                handshakes += 1;
                lanes.swap_remove(index);
            }
        }
    }
    Ok(handshakes)
}

/// One connection.
struct Lane {
    stream: TcpStream,
    session: ClientConnection,
    has_said_goodbye: bool,
}

impl Lane {
    fn open(address: SocketAddr, client: &Arc<ClientConfig>) -> anyhow::Result<Self> {
        let stream = wire::connect(address).context("a connection")?;
        stream.set_nonblocking(true)?;
        let mut lane = Self { stream, session: tls::session(client)?, has_said_goodbye: false };
        lane.flush()?;
        Ok(lane)
    }

    /// Takes in what is there; whether the server ended the connection after its handshake.
    fn advance(&mut self) -> anyhow::Result<bool> {
        loop {
            match self.session.read_tls(&mut self.stream) {
                Ok(0) if self.has_said_goodbye => return Ok(true),
                Ok(0) => bail!("a connection was closed in its handshake"),
                Ok(_) => self.session.process_new_packets().context("a handshake")?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error).context("a handshake cannot be read"),
            };
            if !self.session.is_handshaking() && !self.has_said_goodbye {
                let kind = self.session.handshake_kind();
                ensure!(kind == Some(HandshakeKind::Full), "a handshake was {kind:?}");
                self.session.send_close_notify();
                self.has_said_goodbye = true;
            }
            self.flush()?;
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        while self.session.wants_write() {
            // Far smaller than a socket's buffer: written whole, or something is wrong.
            self.session.write_tls(&mut self.stream).context("a handshake cannot be sent")?;
        }
        Ok(())
    }
}

/// Waits until something can be read; the lanes where, in rising order.
fn wait(lanes: &[Lane]) -> anyhow::Result<Vec<usize>> {
    let mut polled: Vec<_> =
        lanes.iter().map(|lane| PollFd::new(&lane.stream, PollFlags::IN)).collect();
    let time = Timespec::try_from(PATIENCE).context("too long a wait")?;
    ensure!(poll(&mut polled, Some(&time)).context("ppoll")? > 0, "no answer in {PATIENCE:?}");
    let ready = polled.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
    Ok(ready.map(|(index, _)| index).collect())
}

#[cfg(test)]
mod tests;
