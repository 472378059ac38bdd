//! Why events do not reach PostgreSQL, or this machine's disk, and how often the log is told.

use std::borrow::Cow;

use super::PostgresSink;
use crate::Error;
use crate::error::Kind;

/// Something that goes wrong again and again, and is told once.
#[derive(Debug, Default)]
pub(super) struct Outage {
    is_told: bool,
}

impl Outage {
    /// Whether it begins now.
    pub(super) fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, true)
    }

    /// Whether it has begun and not ended.
    pub(super) fn lasts(&self) -> bool {
        self.is_told
    }

    /// Whether it ends now.
    pub(super) fn ends(&mut self) -> bool {
        std::mem::take(&mut self.is_told)
    }
}

impl PostgresSink {
    pub(super) fn note_taken(&mut self) {
        self.failed = None;
        self.full.ends();
    }

    /// The reason. A database without room stays so until somebody makes some: that is told, also in an outage that began
    /// with something else.
    pub(super) fn note_failed(&mut self, error: &Error) -> String {
        let reason = error.reason();
        if error.kind == Kind::Full && self.full.begins() {
            tracing::warn!("events wait on this machine's disk for room in the database: {reason}");
        }
        self.failed = Some(format!("the database does not take events: {reason}"));
        reason
    }

    pub(in crate::recorder) fn why_away(&self) -> Option<Cow<'static, str>> {
        if let (true, Some(reason)) = (self.store.is_open(), &self.failed) {
            return Some(reason.clone().into());
        }
        self.why_waits().map(Cow::Borrowed)
    }

    fn why_waits(&self) -> Option<&'static str> {
        if !self.store.is_open() {
            return Some("the database is away");
        }
        let Some(spool) = &self.spool else {
            return Some("this machine's disk does not take events: there is no spool");
        };
        if spool.is_put_back_due() {
            return Some(
                "events that only a lost primary may have had are not written once more yet",
            );
        }
        if !spool.is_empty() {
            return Some("the database has not taken all of them yet");
        }
        (spool.unreadable() > 0).then_some(
            "some of the events that waited cannot be read from this machine's disk, which is tried again",
        )
    }
}
