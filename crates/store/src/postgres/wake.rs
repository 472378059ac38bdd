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
        let leased = Leased::at(Place::on(primary), None);
        match tokio::time::timeout(cluster.rules.probe_connect.0, leased).await {
            Ok(Ok(leased)) => leased.give_back(),
            Ok(Err((place, error))) => {
                cluster.note_refused(place.node(), &error);
            }
            // Connections that rested lead nowhere, each for long.
            Err(_) => primary.pool.forget_all(),
        }
    }
}
