//! A serverless database that sleeps: who has something for it wakes it first, and waits. That is no failure, and nothing
//! that would be told as one.

use super::Db;
use super::node::{Leased, Place};

impl Db {
    /// Waits until a database that may be asleep is awake, or known to be away. Many who come at once share one attempt.
    pub(crate) async fn wake(&self) {
        let cluster = &self.cluster;
        let Some(primary) = cluster.primary().filter(|_| cluster.rules.may_sleep) else { return };
        if primary.pool.is_in_touch() {
            return;
        }
        let _one_at_a_time = cluster.waking.lock().await;
        if primary.pool.is_in_touch() || primary.is_ejected() {
            return;
        }
        match Leased::at(Place::on(primary), None).await {
            Ok(leased) => leased.give_back(),
            Err((place, error)) => {
                cluster.note_refused(place.node(), &error);
            }
        }
    }
}
