//! Waking a database that sleeps, beside the queue: nobody who waits for it keeps others from the disk.

use std::fmt;
use std::pin::Pin;

use crate::postgres::Db;

/// An attempt under way, if there is one. It goes on whenever somebody waits for it.
#[derive(Default)]
pub(super) struct Waking(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Waking {
    /// Waits until the database is awake or known to be away; false when what may come meanwhile came first.
    pub(super) async fn ends(&mut self, db: &Db, meanwhile: impl Future<Output = ()>) -> bool {
        if self.0.is_none() && !db.may_be_asleep() {
            return true;
        }
        let waking = self.0.get_or_insert_with(|| {
            let db = db.clone();
            Box::pin(async move { db.wake().await })
        });
        tokio::select! {
            biased;
            () = waking => {
                self.0 = None;
                true
            }
            () = meanwhile => false,
        }
    }
}

impl fmt::Debug for Waking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waking").field(&self.0.is_some()).finish()
    }
}
