//! A serverless database that sleeps: who has something for it wakes it first, and waits. That is no failure, and nothing
//! that would be told as one.

use std::time::Duration;

use super::Db;
use super::node::{Leased, Place};

/// What an attempt may take beyond what it waits for.
const MARGIN: Duration = Duration::from_millis(500);

impl Db {
    /// Whether nothing was heard of a database that may sleep for so long that it may be asleep.
    pub(crate) fn may_be_asleep(&self) -> bool {
        let primary = self.cluster.primary().filter(|_| self.cluster.rules.may_sleep);
        primary.is_some_and(|primary| !primary.pool.is_in_touch())
    }

    /// Waits until a database that may be asleep is awake, or known to be away: as long as a connection that rested may be
    /// silent, and then a new one take. Where every connection stays in use it is neither: those who use them will know.
    pub(crate) async fn wake(&self) {
        let cluster = &self.cluster;
        let Some(primary) = cluster.primary().filter(|_| self.may_be_asleep()) else { return };
        let shape = primary.pool.shape();
        let attempt = Leased::awake_at(Place::on(primary));
        let within = shape.ping.0 + shape.connect.0 + MARGIN;
        match tokio::time::timeout(within, attempt).await {
            Ok(Ok(leased)) => leased.give_back(),
            Ok(Err((place, error))) => {
                cluster.note_refused(place.node(), &error);
            }
            // Nobody gave one back: what they find says more.
            Err(_) => {}
        }
    }
}
