//! Many keys at once: those of one slot in one command, a bounded number on their way at a time. Where a slot moves, key by key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use redis::cluster_routing::Slot;
use redis::cmd;

use super::Server;
use super::call::OnMove;
use super::failure::Failure;
use super::link::{Link, To};
use super::state::Handle;
use crate::engine::{Freshness, timed};
use crate::metrics::{Answer, Operation};

impl Server {
    pub(crate) async fn get_many(&self, keys: &[&str], freshness: Freshness) -> Vec<Option<Bytes>> {
        let Some((handle, here)) = self.state.for_reads(keys) else {
            return keys.iter().map(|key| self.recall(key)).collect();
        };
        let mut found = vec![None; keys.len()];
        let (here, there): (Vec<_>, Vec<_>) = (0..keys.len()).partition(|at| here[*at]);
        for at in here {
            found[at] = self.recall(keys[at]);
        }
        let names: Vec<_> =
            there.iter().map(|at| self.names.value(handle.generation, keys[*at])).collect();
        for piece in by_slot(&handle.link, &names).chunks(self.settings.batch()) {
            let groups = piece.chunk_by(|(one, _), (other, _)| one == other).map(|group| {
                let group: Vec<_> =
                    group.iter().map(|(_, n)| (keys[there[*n]], &*names[*n])).collect();
                let handle = &handle;
                async move { self.get_together(handle, &group, freshness).await }
            });
            let (answers, failures): (Vec<_>, Vec<_>) = join_all(groups).await.into_iter().unzip();
            for ((_, n), answer) in piece.iter().zip(answers.into_iter().flatten()) {
                found[there[*n]] = answer;
            }
            // One slow moment counts once, however many wait for its end.
            if let Some(failure) = worst(failures.into_iter().flatten()) {
                self.state.note_failure(&handle, &failure);
            }
        }
        found
    }

    /// The values of keys (and their names in the store) of one slot, in one command, and what went wrong.
    async fn get_together(
        &self,
        handle: &Handle,
        group: &[(&str, &str)],
        freshness: Freshness,
    ) -> (Vec<Option<Bytes>>, Option<Failure>) {
        let (time, took) = (self.settings.answer_within.0, timed());
        let one_by_one = async |left: Duration| {
            let asked = group.iter().map(|(key, _)| self.get_from(handle, key, freshness, left));
            let (found, failures): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().unzip();
            // To be late in what another question left of the time says nothing of the store.
            let counts = |failure: &Failure| !failure.is_late || left >= time / 2;
            (found, worst(failures.into_iter().flatten().filter(counts)))
        };
        let [(_, first), _, ..] = group else { return one_by_one(time).await };
        let mut get = cmd("MGET");
        for (_, name) in group {
            get.arg(*name);
        }
        let recall = || group.iter().map(|(key, _)| self.recall(key)).collect();
        match self.fetch(handle, first, get, freshness, time, OnMove::Tell).await {
            Ok(found) if Vec::len(&found) == group.len() => {
                group.iter().for_each(|_| self.metrics.count(Operation::Get, Answer::Store));
                (found, None)
            }
            Ok(_) => (recall(), Some(Failure::unreadable())),
            Err(failure) if failure.is_moving => one_by_one(time.saturating_sub(took())).await,
            Err(failure) => (recall(), Some(failure)),
        }
    }

    /// Deletes keys by their names in the store, where they were found, and adds how many were there, also where some are not
    /// answered for.
    pub(super) async fn unlink(
        &self,
        handle: &Handle,
        at: Option<To<'_>>,
        names: &[String],
        count: &mut u64,
    ) -> Result<(), Failure> {
        for piece in by_slot(&handle.link, names).chunks(self.settings.batch()) {
            let deleted = AtomicU64::new(0);
            let groups = piece.chunk_by(|(one, _), (other, _)| one == other).map(|group| {
                let group: Vec<_> = group.iter().map(|(_, n)| &*names[*n]).collect();
                let deleted = &deleted;
                async move { self.unlink_together(handle, at, &group, deleted).await }
            });
            // One slow moment counts once, however many wait for its end.
            let all = async { join_all(groups).await.into_iter().fold(Ok(()), Result::and) };
            let outcome = self.watch(handle, all).await;
            *count += deleted.into_inner();
            outcome?;
        }
        Ok(())
    }

    async fn unlink_together(
        &self,
        handle: &Handle,
        at: Option<To<'_>>,
        names: &[&str],
        count: &AtomicU64,
    ) -> Result<(), Failure> {
        let Some(first) = names.first() else { return Ok(()) };
        let (to, patience) = (at.unwrap_or(To::Primary(first)), self.settings.patience.0);
        let unlink = cmd("UNLINK").arg(names).to_owned();
        let on_move = if names.len() > 1 { OnMove::Tell } else { OnMove::Wait };
        match self.send(handle, to, &unlink, patience, on_move).await {
            Err(failure) if failure.is_moving && names.len() > 1 => {
                let one_by_one = names.iter().map(async |name| {
                    let (to, unlink) = (To::Primary(name), cmd("UNLINK").arg(*name).to_owned());
                    self.send::<u64>(handle, to, &unlink, patience, OnMove::Wait).await
                });
                gather(join_all(one_by_one).await, count)
            }
            answer => gather([answer], count),
        }
    }
}

/// Adds what was deleted, also where some do not answer.
fn gather(
    answers: impl IntoIterator<Item = Result<u64, Failure>>,
    count: &AtomicU64,
) -> Result<(), Failure> {
    let mut outcome = Ok(());
    for answer in answers {
        match answer {
            Ok(deleted) => drop(count.fetch_add(deleted, Ordering::Relaxed)),
            Err(failure) => outcome = Err(failure),
        }
    }
    outcome
}

/// The failure that says most of the store.
pub(super) fn worst(failures: impl Iterator<Item = Failure>) -> Option<Failure> {
    failures.max_by_key(|failure| (failure.is_final, failure.is_outage))
}

/// Places of the names, those of one slot side by side. A single server has no slots: they are all of one.
fn by_slot(link: &Link, names: &[String]) -> Vec<(Option<Slot>, usize)> {
    let mut slots: HashMap<_, Vec<_>> = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        let slot = (!link.is_single()).then(|| Slot::for_key(name));
        slots.entry(slot).or_default().push((slot, at));
    }
    slots.into_values().flatten().collect()
}

#[cfg(test)]
mod tests;
