//! Deleting by pattern: SCAN on every primary, UNLINK in batches, never KEYS. Nothing blocks the servers for longer than one batch.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, stream};
use redis::cmd;

use super::Server;
use super::failure::Failure;
use super::link::{Link, To};
use super::look::Member;
use super::state::Handle;
use crate::engine::Taken;
use crate::metrics::Operation;
use crate::pattern;

/// How often the servers are looked through again because slots moved meanwhile.
const PASSES_MAX: usize = 4;

impl Server {
    pub(crate) async fn invalidate(&self, pattern: &str) -> (u64, Taken) {
        let in_memory = AtomicU64::new(0);
        let here = || in_memory.store(self.state.memory.invalidate(pattern), Ordering::Relaxed);
        let (count, taken) = match self.state.for_write(&here) {
            None => (in_memory.load(Ordering::Relaxed), Taken::Locally),
            Some(handle) => match self.scan_all(&handle, pattern).await {
                Ok(count) => (count, Taken::Shared),
                // What is left in the store must not be read: a new generation hides it.
                Err(_) => {
                    self.state.note_missed(&here);
                    (in_memory.load(Ordering::Relaxed), Taken::Locally)
                }
            },
        };
        self.count(Operation::Invalidate, taken);
        (count, taken)
    }

    /// Looks through every primary, again when one came or went meanwhile: keys on their way between two servers may be
    /// seen on neither.
    async fn scan_all(&self, handle: &Handle, pattern: &str) -> Result<u64, Failure> {
        let glob = pattern::to_glob(&self.names.values(handle.generation), pattern);
        if let Link::Single(_) = handle.link {
            return self.scan(handle, None, &glob).await;
        }
        let (mut count, mut before) = (0, None);
        for _ in 0..PASSES_MAX {
            let slots = self.list_slots(handle).await?;
            if before.as_ref() == Some(&slots) {
                break;
            }
            for member in slots.1.iter().filter(|member| member.is_primary) {
                count += self.scan(handle, Some(member), &glob).await?;
            }
            before = Some(slots);
        }
        Ok(count)
    }

    /// Who has which slots, as text to compare, and the servers.
    async fn list_slots(&self, handle: &Handle) -> Result<(String, Vec<Member>), Failure> {
        let (slots, time) = (cmd("CLUSTER").arg("SLOTS").to_owned(), self.settings.answer_within.0);
        let answer = self.call::<redis::Value>(handle, To::Primary(""), slots, time).await?;
        Ok((format!("{answer:?}"), super::look::members(&answer)))
    }

    async fn scan(
        &self,
        handle: &Handle,
        member: Option<&Member>,
        glob: &str,
    ) -> Result<u64, Failure> {
        let (mut cursor, mut count) = (0_u64, 0);
        let time = self.settings.answer_within.0;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(glob).arg("COUNT").arg(self.settings.batch());
            let to = member.map_or(To::Primary(""), |member| To::Node(&member.host, member.port));
            let (next, keys) = self.call::<(u64, Vec<String>)>(handle, to, scan, time).await?;
            count += self.unlink(handle, &keys).await?;
            if next == 0 {
                return Ok(count);
            }
            cursor = next;
        }
    }

    /// One command per key, all of a batch on their way together: no slot that moves holds up the others.
    async fn unlink(&self, handle: &Handle, keys: &[String]) -> Result<u64, Failure> {
        let calls = stream::iter(keys).map(|key| {
            let unlink = cmd("UNLINK").arg(key).to_owned();
            self.call::<u64>(handle, To::Primary(key), unlink, self.settings.answer_within.0)
        });
        let answers: Vec<_> = calls.buffer_unordered(self.settings.batch()).collect().await;
        answers.into_iter().sum()
    }
}
