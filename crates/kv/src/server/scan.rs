//! Deleting by pattern: SCAN on every primary, UNLINK in batches, never KEYS. Nothing blocks the servers for longer than one batch.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::cmd;

use super::Server;
use super::failure::Failure;
use super::link::{Link, To};
use super::look::Member;
use super::state::Handle;
use crate::engine::Taken;
use crate::metrics::Operation;
use crate::pattern;

mod passes;

use passes::{Layout, Passes};

impl Server {
    pub(crate) async fn invalidate(&self, pattern: &str) -> (u64, Taken) {
        let in_memory = AtomicU64::new(0);
        let here = || in_memory.store(self.state.memory.invalidate(pattern), Ordering::Relaxed);
        let (count, taken) = match self.state.for_write(&here) {
            None => (in_memory.load(Ordering::Relaxed), Taken::Locally),
            Some(handle) => {
                let (within, mut deleted) = (self.settings.invalidate_within.0, 0);
                let scan = self.scan_all(&handle, pattern, &mut deleted);
                let scanned = tokio::time::timeout(within, scan).await;
                let late = || Failure {
                    reason: format!("it took longer than redis.invalidate_within ({within:?})"),
                    ..Failure::unreadable()
                };
                match scanned.unwrap_or_else(|_| Err(late())) {
                    Ok(()) => {
                        self.state.note_scanned(&here);
                        (deleted, Taken::Shared)
                    }
                    // What is left in the store must not be read: a new generation hides it.
                    Err(failure) => {
                        self.state.note_missed(&here, &failure.reason);
                        (deleted.max(in_memory.load(Ordering::Relaxed)), Taken::Locally)
                    }
                }
            }
        };
        self.count(Operation::Invalidate, taken);
        (count, taken)
    }

    /// Looks through every primary, again when one came or went meanwhile, and where slots move: keys on their way between
    /// two servers may be seen on neither. One that is lost is looked for where its replica took over.
    async fn scan_all(
        &self,
        handle: &Handle,
        pattern: &str,
        count: &mut u64,
    ) -> Result<(), Failure> {
        let mut handle = handle.clone();
        let (mut passes, mut repeats) = (Passes::new(), self.settings.retries);
        loop {
            match self.scan_pass(&handle, pattern, &mut passes, count).await {
                Ok(true) => return Ok(()),
                // What moves all the while has time to arrive.
                Ok(false) if passes.are_many() => {
                    tokio::time::sleep(self.settings.retry_delay.0).await;
                }
                Ok(false) => {}
                Err(failure) if failure.is_outage && repeats > 0 => {
                    repeats -= 1;
                    passes.begin_anew();
                    handle = self.rest(&handle, &failure).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Looks through every primary, unless nothing can have been missed; true when all is done.
    async fn scan_pass(
        &self,
        handle: &Handle,
        pattern: &str,
        passes: &mut Passes,
        count: &mut u64,
    ) -> Result<bool, Failure> {
        let glob = pattern::to_glob(&self.names.values(handle.generation), pattern);
        if let Link::Single(_) = handle.link {
            self.scan(handle, None, &glob, count).await?;
            return Ok(true);
        }
        let slots = cmd("CLUSTER").arg("SLOTS").to_owned();
        let answer = self.call_patiently::<redis::Value>(handle, To::Primary(""), slots).await?;
        let mut primaries = self.read_members(&answer);
        primaries.retain(|member| member.is_primary);
        let mut layout = Layout::new();
        for primary in &primaries {
            let (to, nodes) =
                (To::Node(&primary.host, primary.port), cmd("CLUSTER").arg("NODES").to_owned());
            match self.call_once::<String>(handle, to, nodes).await {
                Ok(told) => layout.note_told(&told),
                Err(failure) if failure.is_forbidden => {
                    layout.note_untold(primary, &self.read_ranges(&answer));
                }
                Err(failure) => return Err(failure),
            }
        }
        if !passes.is_needed(&layout)? {
            return Ok(true);
        }
        for primary in &primaries {
            self.scan(handle, Some(primary), &glob, count).await?;
        }
        passes.note(layout);
        Ok(false)
    }

    /// Each step has the whole patience and is made once: whoever took over from a lost server must be looked through anew.
    async fn scan(
        &self,
        handle: &Handle,
        member: Option<&Member>,
        glob: &str,
        count: &mut u64,
    ) -> Result<(), Failure> {
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(glob).arg("COUNT").arg(self.settings.batch());
            let to = member.map_or(To::Primary(""), |member| To::Node(&member.host, member.port));
            let (next, keys) = self.call_once::<(u64, Vec<String>)>(handle, to, scan).await?;
            self.unlink(handle, member.map(|_| to), &keys, count).await?;
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}
