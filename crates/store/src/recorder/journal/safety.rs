//! How safe a record is. Where the machine need not survive at once, the files are brought to the disk now and then, all of
//! them together.

use std::io;

use tokio::fs::File;

use super::Journal;

/// Whether a record must survive the machine, or this process alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Safety {
    /// On disk before the call returns.
    Machine,
    /// In the operating system's hands, until [`Journal::sync`].
    Process,
}

/// What the operating system may still have to bring to the disk.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    /// Something in the file that is written.
    pub(super) tail: bool,
    /// Files that are full.
    pub(super) full: Vec<File>,
}

impl Journal {
    /// Whether something would be lost with the machine.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.unsynced.tail || !self.unsynced.full.is_empty()
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// The disk's. What it did not take then it may never take: another file is begun.
    pub(crate) async fn sync(&mut self) -> io::Result<()> {
        let synced = self.sync_files().await;
        if synced.is_err() {
            self.errors += 1;
            self.unsynced = Unsynced::default();
            self.tail = None;
        }
        synced
    }

    async fn sync_files(&mut self) -> io::Result<()> {
        while let Some(full) = self.unsynced.full.pop() {
            full.sync_data().await?;
        }
        if let (true, Some(tail)) = (self.unsynced.tail, &self.tail) {
            tail.sync_data().await?;
        }
        self.unsynced.tail = false;
        Ok(())
    }

    /// Begins another file: what is written from now on can be let go apart from what was written before.
    pub(crate) fn turn_page(&mut self) {
        let is_unsynced = std::mem::take(&mut self.unsynced.tail);
        self.unsynced.full.extend(self.tail.take().filter(|_| is_unsynced));
    }
}
