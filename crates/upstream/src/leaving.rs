//! An upstream that no site in force names any more, told of while it finishes what it has in hand. Keeps nothing of it alive.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::Status;
use crate::member::Member;
use crate::place::Place;

/// An upstream that was left out. Its requests and tunnels keep its record; it ends with the last of them.
#[derive(Clone, Debug)]
pub struct Leaving {
    url: String,
    member: Weak<Member>,
}

impl Leaving {
    /// From now on it drains.
    pub(crate) fn drain(place: &Place) -> Self {
        place.member.health.drain();
        Self { url: place.target.to_string(), member: Arc::downgrade(&place.member) }
    }

    /// How it stands; none once it has nothing in hand.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let member = self.member.upgrade().filter(|member| member.in_hand() > 0)?;
        Some(member.status(self.url.clone(), Duration::ZERO))
    }
}
