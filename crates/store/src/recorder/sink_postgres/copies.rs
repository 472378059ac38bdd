//! Copies of what only the primary is known to have, so that it may be lost: kept until the standbys have as much.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::PostgresSink;
use crate::postgres::standbys::{Received, UNTOLD};
use crate::recorder::Copies;
use crate::recorder::commit_postgres::Committed;
use crate::recorder::spool::Sealed;

impl PostgresSink {
    /// Until the standbys have them they are kept here, too. Where the disk does not take that, it is told once.
    pub(super) async fn remember(&mut self, sealed: &[&Sealed<'_>], committed: Committed) {
        let Some(end) = committed.end.filter(|_| !committed.is_synchronous) else {
            // Nobody needs a copy.
            self.forgets.ends();
            return;
        };
        if end.timeline != self.written_to {
            // Behind one address another server may have taken the place of the one that was probed.
            self.db.suspect_primary();
        }
        let Some(spool) = &mut self.spool else {
            self.uncopied += sealed.len() as u64;
            return;
        };
        match spool.remember(sealed, end).await {
            Err(error) => {
                self.uncopied += sealed.len() as u64;
                if self.forgets.begins() {
                    tracing::warn!(%error, "events are in the primary alone until a standby has them: this machine's disk does not take a copy");
                }
            }
            Ok(()) if self.forgets.ends() => {
                tracing::info!("this machine's disk takes copies of events again");
            }
            Ok(()) => {}
        }
    }

    /// What all standbys were found to have is let go.
    pub(super) async fn confirm(&mut self) {
        let Some(spool) = self.spool.as_mut().filter(|spool| spool.awaits_confirmation()) else {
            return;
        };
        let is_news = self.received.has_changed().unwrap_or_default();
        let received = self.received.borrow_and_update().clone();
        let confirmed = match received {
            Received::Unknown => Ok(()),
            Received::UpTo(positions) => spool.confirm(&positions).await,
            Received::Untold => match Instant::now().checked_sub(UNTOLD) {
                Some(then) => spool.let_go_until(then).await,
                None => Ok(()),
            },
            Received::Nobody(then) => spool.let_go_until(then).await,
        };
        if let Err(error) = confirmed {
            tracing::warn!(%error, "confirmed events cannot be removed from this machine's disk");
        }
        self.db.cluster.rounds.fetch_add(u64::from(is_news), Ordering::Relaxed);
    }

    /// Once a second at most: nothing is committed meanwhile.
    pub(super) async fn sync_copies(&mut self) {
        if let Some(spool) = &mut self.spool
            && let Err(error) = spool.sync(Instant::now()).await
        {
            tracing::debug!(%error, "copies of events may be lost with this machine");
        }
    }

    pub(in crate::recorder) fn copies(&self) -> Copies {
        let spool = self.spool.as_ref();
        let why_unprotected = if self.forgets.lasts() {
            Some("this machine's disk does not take copies of events that only the primary has")
        } else if spool.is_some_and(|spool| spool.forgets()) {
            Some(
                "no standby has confirmed events for so long that the copies have reached store.spool_max, and the oldest are forgotten",
            )
        } else {
            None
        };
        Copies {
            bytes: spool.map_or(0, |spool| spool.unconfirmed_bytes()),
            unprotected: self.uncopied + spool.map_or(0, |spool| spool.forgotten()),
            why_unprotected,
        }
    }
}
