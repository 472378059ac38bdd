//! Reports that wait for the same commit become one batch: a flood of alike ones takes one place before the disk, and visitors' events keep theirs.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_base::task::Stop;
use mainstay_store::report::Row;
use mainstay_store::{Batch, Record, Recorder, Written, record};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use uuid::Uuid;

use super::{Pass, Reports, rows};
use crate::Insight;

/// Requests that share one commit at most.
const ROUND_MAX: usize = 1_024;
/// A round of at least this many shows that more are on their way: the next one waits a moment for them.
const BUSY_FROM: usize = 8;

/// The rows of one request and the one who waits for them.
#[derive(Debug)]
pub(super) struct Entry {
    rows: Vec<Row>,
    done: oneshot::Sender<Result<Written, record::Error>>,
    _room: OwnedSemaphorePermit,
    pass: Pass,
}

/// Resolves when the rows are on disk. Dropping the future does not take them back.
pub(super) async fn enqueue(
    reports: &Reports,
    rows: Vec<Row>,
    pass: Pass,
) -> Result<Written, record::Error> {
    let places = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let room = Arc::clone(&reports.room).try_acquire_many_owned(places);
    let room = room.map_err(|_| record::Error::Full)?;
    let (done, answer) = oneshot::channel();
    let entry = Entry { rows, done, _room: room, pass };
    match reports.queue.try_send(entry) {
        Ok(()) => answer.await.unwrap_or(Err(record::Error::Unavailable)),
        Err(mpsc::error::TrySendError::Full(_)) => Err(record::Error::Full),
        Err(mpsc::error::TrySendError::Closed(_)) => Err(record::Error::Unavailable),
    }
}

/// Takes what waits, hands it to the recorder as one, answers everybody; at the stop finishes what is queued.
pub(crate) async fn run(insight: Insight, stop: Stop) -> Result<(), Infallible> {
    let Some(mut entries) = insight.0.reports.take_entries() else {
        stop.soft().await;
        return Ok(());
    };
    let settings = &insight.0.settings.reports;
    let (recorder, gather) = (&insight.0.context.recorder, settings.gather.0);
    let mut kinds = Kinds::new(settings.kinds_max, settings.kinds_per_address_max);
    let mut round = Vec::new();
    let mut busy = false;
    loop {
        tokio::select! {
            biased;
            () = stop.soft() => break,
            taken = entries.recv_many(&mut round, ROUND_MAX) => {
                if taken == 0 {
                    break;
                }
            }
        }
        if busy {
            tokio::time::sleep(gather).await;
            while round.len() < ROUND_MAX
                && let Ok(entry) = entries.try_recv()
            {
                round.push(entry);
            }
        }
        busy = round.len() >= BUSY_FROM;
        settle(recorder, &mut kinds, &mut round).await;
    }
    entries.close();
    while entries.recv_many(&mut round, ROUND_MAX).await > 0 {
        settle(recorder, &mut kinds, &mut round).await;
    }
    Ok(())
}

async fn settle(recorder: &Recorder, kinds: &mut Kinds, round: &mut Vec<Entry>) {
    for entry in round.iter_mut() {
        let sender = entry.pass.key();
        entry.rows.iter_mut().for_each(|row| kinds.tell_apart(row, sender));
    }
    let rows = round.iter_mut().flat_map(|entry| std::mem::take(&mut entry.rows));
    let records = rows::merge(rows).into_iter().map(Record::Report).collect();
    let outcome = recorder.record(Batch { records, visit: None }).await;
    for entry in round.drain(..) {
        // Somebody who no longer waits is no error: the rows are durable all the same.
        let _unheard = entry.done.send(outcome);
    }
}

/// The kinds of reports seen in the present hour, per site. A bound on the rows strangers can make by inventing new
/// ones; a restart forgets it, which at worst doubles them.
#[derive(Debug)]
struct Kinds {
    hour: Timestamp,
    seen: HashMap<Arc<str>, HashSet<Uuid>>,
    /// How many of them each address was the first to send; at most one entry per kind.
    brought: HashMap<u128, usize>,
    kinds_max: usize,
    per_address_max: usize,
}

impl Kinds {
    fn new(kinds_max: usize, per_address_max: usize) -> Self {
        let (seen, brought) = (HashMap::new(), HashMap::new());
        Self { hour: Timestamp::EPOCH, seen, brought, kinds_max, per_address_max }
    }

    /// Leaves a row as it is, or folds it into the one of its type when there are too many kinds, or too many of this
    /// sender's.
    fn tell_apart(&mut self, row: &mut Row, sender: u128) {
        // A clock that was ahead and was set right must not keep the kinds of an hour that is yet to come; a late row of
        // the hour before changes nothing.
        let is_set_back = self.hour.since(row.hour()) > Duration::from_secs(3_600);
        if row.hour() > self.hour || is_set_back {
            self.hour = row.hour();
            self.seen.clear();
            self.brought.clear();
        }
        let seen = self.seen.entry(Arc::clone(&row.site)).or_default();
        if seen.contains(&row.fingerprint) {
            return;
        }
        let brought = self.brought.get(&sender).copied().unwrap_or(0);
        if seen.len() < self.kinds_max && brought < self.per_address_max {
            seen.insert(row.fingerprint);
            self.brought.insert(sender, brought + 1);
        } else {
            rows::fold(row);
        }
    }
}
