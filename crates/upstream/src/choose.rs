//! Which upstream is asked: the one with the least in hand for its share, among those that are healthy and not tried yet.

use std::sync::atomic::Ordering::Relaxed;

use crate::connections::Pool;
use crate::member::Slot;
use crate::{Error, Settings};

/// Upstreams that are left out of a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried(u64);

impl Tried {
    pub(crate) fn add(&mut self, at: usize) {
        self.0 |= 1_u64.checked_shl(at as u32).unwrap_or(0);
    }

    fn contains(self, at: usize) -> bool {
        self.0 & 1_u64.checked_shl(at as u32).unwrap_or(0) != 0
    }
}

impl Pool {
    /// The upstream to ask, with a place in its count: better none of `avoided`, never one of `tried`. When no healthy
    /// one is left, a failing one may get a single request at a time: nobody waits for the next check once it is back.
    /// When all fail, those that take connections are asked as if they did not.
    pub(crate) fn choose(&self, avoided: Tried, tried: Tried) -> Result<(usize, Slot), Error> {
        let first = self.turn.fetch_add(1, Relaxed);
        let mut full = Tried::default();
        self.choose_healthy(first, avoided, &mut full)
            .or_else(|| self.choose_healthy(first, tried, &mut full))
            .or_else(|| self.choose_failing(first, tried, &mut full))
            .ok_or_else(|| refusal(full, &self.shared.settings))
    }

    fn choose_healthy(
        &self,
        first: usize,
        tried: Tried,
        full: &mut Tried,
    ) -> Option<(usize, Slot)> {
        let places = &self.shared.places;
        // Another worker may take the last place between choice and count: then choose again without it.
        loop {
            let at = self.least_loaded(first, tried, *full)?;
            let max = self.shared.settings.in_flight_max;
            match places.get(at).and_then(|place| place.member.occupy(max)) {
                Some(slot) => return Some((at, slot)),
                None => full.add(at),
            }
        }
    }

    fn choose_failing(
        &self,
        first: usize,
        tried: Tried,
        full: &mut Tried,
    ) -> Option<(usize, Slot)> {
        let places = &self.shared.places;
        let all_fail = !places.iter().any(|place| place.member.health.is_asked());
        self.order(first).filter(|at| !tried.contains(*at)).find_map(|at| {
            let member = &places.get(at)?.member;
            let slot = if all_fail && member.health.is_asked_last() {
                let slot = member.occupy(self.shared.settings.in_flight_max);
                if slot.is_none() {
                    full.add(at);
                }
                slot
            } else if member.health.may_be_tried() {
                member.try_out()
            } else {
                None
            };
            slot.map(|slot| (at, slot))
        })
    }

    /// All of them, beginning elsewhere each time.
    fn order(&self, first: usize) -> impl Iterator<Item = usize> {
        let count = self.shared.places.len();
        (0..count).map(move |step| first.wrapping_add(step) % count)
    }

    fn least_loaded(&self, first: usize, tried: Tried, full: Tried) -> Option<usize> {
        let slow_start = self.shared.settings.slow_start.0;
        let load = |at: usize| {
            let member = &self.shared.places.get(at)?.member;
            let is_choice = member.health.is_asked() && !tried.contains(at) && !full.contains(at);
            let in_hand = u64::from(member.in_flight()) + 1;
            is_choice.then(|| (in_hand * 1_000_000 / member.health.share(slow_start).max(1), at))
        };
        // The first of equals wins.
        self.order(first).filter_map(load).min_by_key(|(load, _)| *load).map(|(_, at)| at)
    }
}

fn refusal(full: Tried, settings: &Settings) -> Error {
    if full == Tried::default() {
        Error::NoneHealthy { retry_after: settings.health_interval.0 }
    } else {
        Error::Busy
    }
}
