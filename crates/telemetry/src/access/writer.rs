//! The thread that writes full buffers out, and what it shares with the workers. Formatting happens in the workers.

use std::convert::Infallible;
use std::future::Future as _;
use std::io::{self, Write as _};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use mainstay_base::task::{Group, Stop};

use super::file::LogFile;
use crate::metrics::Counter;

/// How soon a stop is noticed while nothing is logged.
pub(super) const STOP_POLL: Duration = Duration::from_millis(200);
/// Written buffers kept for reuse; more workers than this allocate now and then.
const SPARES_MAX: usize = 8;

/// Where lines end up.
#[derive(Debug)]
pub(super) enum Out {
    File(LogFile),
    Stdout,
    #[cfg(test)]
    Gate(std::sync::mpsc::Receiver<()>),
}

impl Out {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.append(lines),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
            #[cfg(test)]
            Self::Gate(gate) => gate.recv().map_err(io::Error::other),
        }
    }
}

/// What the writer and the workers share.
pub(super) struct Shared {
    shed: Counter,
    shedding: AtomicBool,
    buffers: AtomicUsize,
    spares: Mutex<Vec<Vec<u8>>>,
}

impl Shared {
    pub(super) fn new(shed: Counter) -> Self {
        Self {
            shed,
            shedding: AtomicBool::new(false),
            buffers: AtomicUsize::new(0),
            spares: Mutex::default(),
        }
    }

    pub(super) fn is_shedding(&self) -> bool {
        self.shedding.load(Ordering::Relaxed)
    }

    pub(super) fn buffer_opened(&self) {
        self.buffers.fetch_add(1, Ordering::Relaxed);
    }

    /// Released after the last hand-over, so that the writer, seeing no open buffer, finds every line.
    pub(super) fn buffer_closed(&self) {
        self.buffers.fetch_sub(1, Ordering::Release);
    }

    /// An empty buffer with room for `capacity` bytes; never waits.
    pub(super) fn take_spare(&self, capacity: usize) -> Vec<u8> {
        let spare = self.spares.try_lock().ok().and_then(|mut spares| spares.pop());
        spare.unwrap_or_else(|| Vec::with_capacity(capacity))
    }

    /// Counts lines that are given up, and says so once until lines are written again.
    pub(super) fn shed(&self, lines: &[u8]) {
        self.shed_because(lines, &"the writer is behind");
    }

    fn shed_because(&self, lines: &[u8], reason: &dyn std::fmt::Display) {
        self.shed.add(lines.iter().filter(|byte| **byte == b'\n').count() as u64);
        if !self.shedding.swap(true, Ordering::Relaxed) {
            tracing::warn!(%reason, "access log lines are dropped");
        }
    }

    fn written(&self) {
        if self.shedding.load(Ordering::Relaxed) && self.shedding.swap(false, Ordering::Relaxed) {
            tracing::info!(dropped = self.shed.get(), "access log lines are written again");
        }
    }

    fn are_buffers_closed(&self) -> bool {
        self.buffers.load(Ordering::Acquire) == 0
    }

    fn give_back(&self, spare: Vec<u8>) {
        if let Ok(mut spares) = self.spares.lock()
            && spares.len() < SPARES_MAX
        {
            spares.push(spare);
        }
    }
}

/// Starts the writer; at most `queue` full buffers wait for it.
pub(super) fn start(
    out: Out,
    queue: usize,
    shared: &Arc<Shared>,
    group: &Group,
) -> io::Result<SyncSender<Vec<u8>>> {
    let (sender, receiver) = sync_channel(queue.max(1));
    let shared = Arc::clone(shared);
    let own_end = sender.clone();
    group.spawn_thread("access-log", move |stop| {
        write_all(out, &receiver, &shared, &stop);
        // Held until here, so that the channel does not close before the stop.
        drop(own_end);
        Ok::<(), Infallible>(())
    })?;
    Ok(sender)
}

fn write_all(mut out: Out, receiver: &Receiver<Vec<u8>>, shared: &Shared, stop: &Stop) {
    loop {
        match receiver.recv_timeout(STOP_POLL) {
            Ok(lines) => write(&mut out, lines, shared),
            Err(_) if stop.is_soft() && shared.are_buffers_closed() => break,
            Err(_) if is_hard(stop) => break,
            Err(_) => {}
        }
    }
    // Buffers closed since the wait ended have handed over before they closed.
    for lines in receiver.try_iter() {
        write(&mut out, lines, shared);
    }
}

fn write(out: &mut Out, mut lines: Vec<u8>, shared: &Shared) {
    match out.append(&lines) {
        Ok(()) => shared.written(),
        Err(error) => shared.shed_because(&lines, &error),
    }
    lines.clear();
    shared.give_back(lines);
}

/// Whether even work in hand shall be dropped; a thread cannot await, but may look.
fn is_hard(stop: &Stop) -> bool {
    pin!(stop.hard()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}
