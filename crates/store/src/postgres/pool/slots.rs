//! Who has a connection, who may have one, who waits, and which ones rest: one lock, taken once to have a connection and once
//! to give it back, because this is on the way of every statement.
//!
//! # Invariants
//! - No more slots are taken than there are, but for those that were taken before there were fewer. Slots and what rests are
//!   no more together either: whoever has a slot takes what rests before anything is made.
//! - Who waits is served in order, and before who comes later.
//! - A slot that was handed to somebody who left is handed on, or free.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;

use super::Counted;

/// What a pool's connections are counted by.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    /// Slots that were handed to those who wait. They are taken already.
    handed: Semaphore,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) idle: Vec<Idle>,
    /// For connections in somebody's hands, or being made.
    pub(super) used: usize,
    /// Who waits for one.
    waiting: usize,
    /// As many as there are. Connections beyond it end as they are given back.
    pub(super) max: usize,
    /// Grows when every connection made so far is suspected to be dead.
    pub(super) generation: u64,
    /// When a connection was last given back.
    pub(super) answered: Option<Instant>,
    pub(super) closed: bool,
}

/// A connection that rests.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) conn: Counted,
    pub(super) since: Instant,
}

/// When a connection that rests is taken, among others.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    Next,
    Last,
}

impl State {
    /// Whether somebody who comes now may have a slot. While there are free ones nobody waits for one: those that there were
    /// have been handed over.
    fn has_room(&self) -> bool {
        self.used < self.max && !self.closed
    }

    /// Connections, with those that are being made.
    pub(super) fn all(&self) -> usize {
        self.used + self.idle.len()
    }

    /// Lets a connection rest whose slot is still counted; given back when there are too many, or it is not to be used again.
    pub(super) fn keep(&mut self, idle: Idle, turn: Turn) -> Option<Idle> {
        let is_good = idle.conn.generation == self.generation && !self.closed;
        if !is_good || self.all() > self.max {
            return Some(idle);
        }
        match turn {
            Turn::Next => self.idle.push(idle),
            Turn::Last => self.idle.insert(0, idle),
        }
        None
    }
}

impl Slots {
    pub(super) fn new(max: usize) -> Self {
        let state = State {
            idle: Vec::new(),
            used: 0,
            waiting: 0,
            max: max.max(1),
            generation: 0,
            answered: None,
            closed: false,
        };
        Self { state: Mutex::new(state), handed: Semaphore::new(0) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One is not needed any more: somebody who waits has it, unless there are too many. Told under the lock: handed over
    /// after who it was for has left, it would be nobody's.
    fn free(&self, state: &mut State) {
        if state.waiting > 0 && state.used <= state.max {
            self.handed.add_permits(1);
        } else {
            state.used -= 1;
        }
    }

    /// Changes how many there are.
    pub(super) fn set_max(&self, state: &mut State, max: usize) {
        state.max = max.max(1);
        let handed = state.max.saturating_sub(state.used).min(state.waiting);
        state.used += handed;
        self.handed.add_permits(handed);
    }

    /// Nobody gets one any more; what rested.
    pub(super) fn close(&self) -> Vec<Idle> {
        let mut state = self.lock();
        state.closed = true;
        self.handed.close();
        std::mem::take(&mut state.idle)
    }
}

/// The right to one connection.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    held: bool,
}

impl Slot {
    /// One that is counted already.
    fn of(slots: &Arc<Slots>) -> Self {
        Self { slots: Arc::clone(slots), held: true }
    }

    /// One for a connection that is to be made, when there is room and there are fewer than `min`.
    pub(super) fn take_missing(slots: &Arc<Slots>, min: usize) -> Option<Self> {
        let mut state = slots.lock();
        (state.has_room() && state.all() < min.min(state.max)).then(|| {
            state.used += 1;
            Self::of(slots)
        })
    }

    /// One, and the connection that was last given back, when there is room and the connection is like this.
    pub(super) fn take_resting(
        slots: &Arc<Slots>,
        is_like: impl FnOnce(&mut Idle) -> bool,
    ) -> Option<(Idle, Self)> {
        let mut state = slots.lock();
        if !state.has_room() {
            return None;
        }
        let last = state.idle.pop_if(is_like)?;
        state.used += 1;
        Some((last, Self::of(slots)))
    }

    /// One, in the order of those who ask, and what rested last, if anything does.
    pub(super) async fn wait(slots: &Arc<Slots>) -> Result<(Self, Option<Idle>), sqlx::Error> {
        let _waiting = {
            let mut state = slots.lock();
            if state.has_room() {
                state.used += 1;
                return Ok((Self::of(slots), state.idle.pop()));
            }
            state.waiting += 1;
            Waiting(slots)
        };
        let handed = slots.handed.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        handed.forget();
        // The lock of the last expression is given up before `_waiting` takes it (edition 2024).
        Ok((Self::of(slots), slots.lock().idle.pop()))
    }

    /// Gives it up under a lock that is held anyway.
    pub(super) fn free(mut self, state: &mut State) {
        self.held = false;
        self.slots.free(state);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.held {
            self.slots.free(&mut self.slots.lock());
        }
    }
}

/// Somebody who waits.
#[derive(Debug)]
struct Waiting<'a>(&'a Slots);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiting -= 1;
        // What was handed to somebody who left, and to nobody after him.
        while state.waiting == 0
            && let Ok(handed) = self.0.handed.try_acquire()
        {
            handed.forget();
            state.used -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// Whether it is over, without waiting for it.
    async fn poll<T>(future: &mut std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    async fn wait(slots: &Arc<Slots>) -> Result<Slot, sqlx::Error> {
        Slot::wait(slots).await.map(|(slot, _)| slot)
    }

    /// One, if there is a free one.
    fn take(slots: &Arc<Slots>) -> Option<Slot> {
        Slot::take_missing(slots, usize::MAX)
    }

    fn used(slots: &Slots) -> usize {
        slots.lock().used
    }

    #[tokio::test]
    async fn who_waits_is_served_in_order_and_before_who_comes_later() {
        let slots = Arc::new(Slots::new(1));
        let held = wait(&slots).await.unwrap();
        let (mut first, mut second) = (pin!(wait(&slots)), pin!(wait(&slots)));
        assert!(poll(&mut first).await.is_none());
        assert!(poll(&mut second).await.is_none());
        drop(held);
        assert!(take(&slots).is_none(), "it is the first one's, who has not woken yet");
        assert!(poll(&mut second).await.is_none());
        let held = poll(&mut first).await.expect("its turn").unwrap();
        assert_eq!(used(&slots), 1);
        drop(held);
        drop(poll(&mut second).await.expect("its turn").unwrap());
        assert_eq!(used(&slots), 0);
        assert!(take(&slots).is_some());
    }

    #[tokio::test]
    async fn what_was_handed_to_somebody_who_left_is_handed_on_or_free() {
        let slots = Arc::new(Slots::new(1));
        let held = wait(&slots).await.unwrap();
        let mut stays = Box::pin(wait(&slots));
        {
            let mut leaves = Box::pin(wait(&slots));
            assert!(poll(&mut leaves.as_mut()).await.is_none());
            assert!(poll(&mut stays.as_mut()).await.is_none());
            drop(held);
        }
        let held = poll(&mut stays.as_mut()).await.expect("it was handed on").unwrap();
        {
            let mut leaves = Box::pin(wait(&slots));
            assert!(poll(&mut leaves.as_mut()).await.is_none());
            drop(held);
            assert_eq!(used(&slots), 1);
        }
        assert_eq!(used(&slots), 0);
        assert!(take(&slots).is_some(), "nobody waits any more");
    }

    #[tokio::test]
    async fn more_slots_serve_who_waits_and_fewer_are_no_more_as_they_are_freed() {
        let slots = Arc::new(Slots::new(1));
        let first = wait(&slots).await.unwrap();
        let mut waits = pin!(wait(&slots));
        assert!(poll(&mut waits).await.is_none());
        slots.set_max(&mut slots.lock(), 3);
        let third = take(&slots).expect("beside the one of who waits");
        assert!(take(&slots).is_none(), "that one is his");
        let second = poll(&mut waits).await.expect("there is one more").unwrap();
        slots.set_max(&mut slots.lock(), 1);
        let mut waits = pin!(wait(&slots));
        assert!(poll(&mut waits).await.is_none());
        drop(first);
        drop(second);
        assert!(poll(&mut waits).await.is_none(), "one is left, and in use");
        drop(third);
        drop(poll(&mut waits).await.expect("its turn").unwrap());
        assert_eq!(used(&slots), 0);
    }

    #[tokio::test]
    async fn nobody_gets_one_once_it_is_closed() {
        let slots = Arc::new(Slots::new(1));
        let held = wait(&slots).await.unwrap();
        let mut waits = pin!(wait(&slots));
        assert!(poll(&mut waits).await.is_none());
        assert!(slots.close().is_empty());
        assert!(matches!(poll(&mut waits).await, Some(Err(sqlx::Error::PoolClosed))));
        drop(held);
        assert!(take(&slots).is_none());
        assert!(matches!(wait(&slots).await, Err(sqlx::Error::PoolClosed)));
    }
}
