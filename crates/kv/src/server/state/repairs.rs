//! Keys whose write failed, while they are deleted in the store: no write of one is told to be taken that this may come after.

use super::{Repair, State};

impl State {
    /// Keys to be deleted in the store.
    pub(in crate::server) fn list_repairs(&self) -> Vec<Repair> {
        let inner = self.lock();
        let repairs = inner.repairs.iter();
        repairs.map(|(key, broken)| Repair { key: key.clone(), write: broken.write }).collect()
    }

    /// Whether a key is still to be deleted in the store; no write of it is sure of its place until that is done.
    pub(in crate::server) fn begin_repair(&self, repair: &Repair) -> bool {
        let mut inner = self.lock();
        let broken = inner.repairs.get_mut(&repair.key);
        let Some(broken) = broken.filter(|broken| broken.write == repair.write) else {
            return false;
        };
        broken.is_in_repair = true;
        true
    }

    /// The store forgot a key, or nobody knows. Where it did memory forgets it, too, unless another write came meanwhile.
    pub(in crate::server) fn finish_repair(&self, repair: &Repair, is_done: bool) {
        let mut inner = self.lock();
        let Some(broken) = inner.repairs.get_mut(&repair.key) else { return };
        broken.is_in_repair = false;
        if broken.write != repair.write {
            self.wake.notify_one();
        } else if is_done {
            inner.repairs.remove(&repair.key);
            self.memory.delete(&repair.key);
            self.metrics.repairs.inc();
        } else {
            inner.note_broken(&repair.key);
        }
    }
}
