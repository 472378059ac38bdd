//! Files that were let go: removed, or kept aside where they are damaged.

use std::io;

use tokio::fs;

use super::{Journal, Segment};

impl Journal {
    /// Files that were let go and lie there still.
    pub(crate) fn spent(&self) -> usize {
        self.spent.len()
    }

    /// Removes what was let go and could not be removed before.
    ///
    /// # Errors
    /// The disk's, of one of them; none is left out because of another.
    pub(crate) async fn remove_spent(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for spent in std::mem::take(&mut self.spent) {
            outcome = outcome.and(self.remove(spent).await);
        }
        outcome
    }

    /// Removes a file that was let go; a damaged one is kept aside. One that stays is told of, and tried again later.
    pub(super) async fn remove(&mut self, spent: Segment) -> io::Result<()> {
        self.readings.retain(|reading| !reading.is_of(spent.number));
        let path = self.path(spent.number);
        let removed = if spent.is_damaged {
            self.kept.keep(&path).await
        } else {
            fs::remove_file(&path).await
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.errors += 1;
                self.spent.push(spent);
                Err(error)
            }
            _ => Ok(()),
        }
    }
}
