//! Load at a fixed rate, whatever the answers do (open loop). Latency runs from the moment a request was due, so that a server which stalls cannot hide it.
//!
//! One thread and ppoll(2): a timer wheel's step of a millisecond would be longer than the latencies it measures.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_tcp_quickack;
use serde::{Deserialize, Serialize};

use super::{cost, generator, intake};
use crate::server::{RealTime, set_real_time};
use crate::wire;

/// Time after the last due moment in which answers still count.
const GRACE: Duration = Duration::from_secs(5);
/// What to send, when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) address: SocketAddr,
    /// Requests a second.
    pub(super) rate: u32,
    pub(super) seconds: u32,
    pub(super) connections: usize,
    pub(super) request: Request,
}

/// The request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// The same every time.
    Get { path: String },
    /// One page view with ids of its own; the salt tells runs apart.
    Event { path: String, salt: String },
}

/// What came of it, in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Latencies {
    pub(super) answers: usize,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
}

/// Runs the generator on the other core, it and the process trees `roots` before everybody else's work.
///
/// # Errors
/// When the generator fails; a request that is not answered with 2xx is a failure.
pub(super) fn measure(load: &Load, roots: &[u32]) -> anyhow::Result<Latencies> {
    let pids: Vec<_> = roots.iter().flat_map(|root| cost::tree(*root)).collect();
    set_real_time(&pids, RealTime::On);
    let latencies = generator::run(&generator::Work::Requests(load.clone()), RealTime::On);
    set_real_time(&pids, RealTime::Off);
    latencies
}

/// The generator itself.
///
/// # Errors
/// When a connection breaks, an answer is not 2xx, or answers are missing at the end.
pub(super) fn generate(load: &Load) -> anyhow::Result<Latencies> {
    let total = usize::try_from(u64::from(load.rate) * u64::from(load.seconds))?;
    let step = Duration::from_secs(1) / load.rate.max(1);
    let mut lanes = (0..load.connections)
        .map(|_| Lane::open(load.address))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut taken = Vec::with_capacity(total);
    // Longest at rest first, so that every connection has its share.
    let mut free: VecDeque<_> = (0..lanes.len()).collect();
    let mut waiting = VecDeque::new();
    let mut sent = 0;
    let begun = Instant::now();
    let due = |number: usize| begun + step * u32::try_from(number).unwrap_or(u32::MAX);
    let end = due(total) + GRACE;
    while taken.len() < total {
        let now = Instant::now();
        ensure!(now < end, "{} of {total} answers are missing", total - taken.len());
        while sent < total && due(sent) <= now {
            waiting.push_back(sent);
            sent += 1;
        }
        while let (Some(&lane), Some(&number)) = (free.front(), waiting.front()) {
            lanes[lane].send(&load.request.bytes(load.address, number), due(number))?;
            free.pop_front();
            waiting.pop_front();
        }
        let wake = if sent < total { due(sent) } else { end };
        wait(&lanes, wake.saturating_duration_since(Instant::now()))?;
        for (index, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.due.is_some()) {
            if let Some(latency) = lane.receive()? {
                taken.push(latency);
                free.push_back(index);
            }
        }
    }
    Ok(summary(taken))
}

impl Request {
    fn bytes(&self, address: SocketAddr, number: usize) -> Vec<u8> {
        let host = format!("Host: {address}");
        match self {
            Self::Get { path } => wire::request("GET", path, &[host], ""),
            Self::Event { path, salt } => {
                let headers = [host, intake::AGENT.into(), "Content-Type: application/json".into()];
                wire::request("POST", path, &headers, &intake::body(salt, number))
            }
        }
    }
}

/// One connection, with at most one request in flight.
struct Lane {
    stream: TcpStream,
    head: Vec<u8>,
    /// Body bytes still to come, once the head is read.
    left: Option<usize>,
    /// When the request in flight was due.
    due: Option<Instant>,
}

impl Lane {
    fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = wire::connect(address)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, head: Vec::new(), left: None, due: None })
    }

    fn send(&mut self, request: &[u8], due: Instant) -> anyhow::Result<()> {
        // Far smaller than a socket's buffer: written whole, or something is wrong.
        self.stream.write_all(request).context("a request cannot be sent")?;
        self.due = Some(due);
        Ok(())
    }

    /// Reads what is there; the latency when the answer is whole.
    fn receive(&mut self) -> anyhow::Result<Option<Duration>> {
        let mut chunk = [0; 64 * 1024];
        loop {
            // Loopback's segments are so long that their acknowledgement is always delayed, by 40 ms; a server that
            // waits for it would be measured by that timer. The system forgets the wish, so it is said again.
            set_tcp_quickack(&self.stream, true)?;
            let read = match self.stream.read(&mut chunk) {
                Ok(0) => bail!("a connection was closed"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error).context("an answer cannot be read"),
            };
            if self.take(&chunk[..read])? {
                let due = self.due.take().context("an answer to no request")?;
                return Ok(Some(due.elapsed()));
            }
        }
    }

    /// Whether these bytes end the answer.
    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<bool> {
        let left = match self.left {
            Some(left) => left.checked_sub(bytes.len()).context("more than one answer")?,
            None => {
                self.head.extend_from_slice(bytes);
                let Some(head) = wire::parse_head(&self.head)? else { return Ok(false) };
                ensure!((200..300).contains(&head.status), "answered {}", head.status);
                let body = head.body.context("an answer that does not tell its length")?;
                let left = (head.bytes + body).checked_sub(self.head.len());
                self.head.clear();
                left.context("more than one answer")?
            }
        };
        self.left = (left > 0).then_some(left);
        Ok(left == 0)
    }
}

fn wait(lanes: &[Lane], time: Duration) -> anyhow::Result<()> {
    let busy = lanes.iter().filter(|lane| lane.due.is_some());
    let mut polled: Vec<_> = busy.map(|lane| PollFd::new(&lane.stream, PollFlags::IN)).collect();
    let time = Timespec::try_from(time).context("too long a wait")?;
    poll(&mut polled, Some(&time)).context("ppoll")?;
    Ok(())
}

fn summary(mut taken: Vec<Duration>) -> Latencies {
    taken.sort_unstable();
    let at = |share: f64| {
        let rank = (taken.len() as f64 * share).ceil() as usize;
        taken.get(rank.saturating_sub(1)).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    };
    Latencies { answers: taken.len(), p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

#[cfg(test)]
mod tests;
