//! What is to be added, and whether it may be.

use std::sync::Arc;
use std::time::Duration;

use mainstay_store::job::{Backoff, New, Unique};
use serde::de::IgnoredAny;

use crate::{Error, Settings};

/// BullMQ's bound.
const PRIORITY_MAX: u32 = 2_097_151;
const NAME_MAX: usize = 255;
/// Of what is kept of the request that added it.
const HEADER_MAX: usize = 1_024;
const TIME_MAX: Duration = Duration::from_secs(3_650 * 86_400);

/// A job to be added; whatever is none is as the settings say.
#[derive(Clone, Debug)]
pub struct Add {
    /// What kind of work.
    pub kind: Arc<str>,
    /// JSON.
    pub payload: Arc<str>,
    /// 0 comes first, then 1, 2 and so on.
    pub priority: u32,
    /// From now on.
    pub delay: Duration,
    /// How often it may fail.
    pub attempts: Option<u32>,
    /// How long it waits after an attempt that failed.
    pub backoff: Option<Backoff>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// A name of its own in its queue, which is no number.
    pub id: Option<String>,
    /// Only one such at a time.
    pub unique: Option<Unique>,
    /// Whoever adds with this key again gets this job, and its result.
    pub idempotency_key: Option<String>,
    /// W3C trace context of who adds it.
    pub trace: Option<Arc<str>>,
    /// A token for reading what was written before.
    pub written: Option<Arc<str>>,
}

impl Add {
    /// A job of a kind, to be done as soon as possible.
    #[must_use]
    pub fn new(kind: impl Into<Arc<str>>, payload: impl Into<Arc<str>>) -> Self {
        Self {
            kind: kind.into(),
            payload: payload.into(),
            priority: 0,
            delay: Duration::ZERO,
            attempts: None,
            backoff: None,
            timeout: None,
            id: None,
            unique: None,
            idempotency_key: None,
            trace: None,
            written: None,
        }
    }

    pub(crate) fn check(self, queue: i32, settings: &Settings) -> Result<New, Error> {
        let refuse = |what: String| Err(Error::Invalid(what));
        if self.payload.len() > settings.payload_max.bytes() {
            let max = settings.payload_max.bytes();
            return refuse(format!("its data is larger than jobs.payload_max ({max} bytes)"));
        }
        if serde_json::from_str::<IgnoredAny>(&self.payload).is_err() {
            return refuse("its data is not JSON".into());
        }
        if self.priority > PRIORITY_MAX {
            return refuse(format!("a priority is 0 to {PRIORITY_MAX}, lower is sooner"));
        }
        if self.id.as_deref().is_some_and(|id| id.parse::<i64>().is_ok()) {
            return refuse("an id of its own is no number: numbers are given".into());
        }
        let unique = self.unique.as_ref().map(|unique| match unique {
            Unique::Keep(key) | Unique::Debounce(key) => key,
        });
        let names = [Some(&*self.kind), self.id.as_deref(), unique.map(|key| &**key)];
        let names = names.into_iter().chain([self.idempotency_key.as_deref()]).flatten();
        if names
            .into_iter()
            .any(|name| name.is_empty() || name.len() > NAME_MAX || name.contains('\0'))
        {
            return refuse(format!(
                "kinds, ids and keys have 1 to {NAME_MAX} bytes, none of them NUL"
            ));
        }
        let backoff = self.backoff.unwrap_or(Backoff::Exponential(settings.backoff.0));
        let (Backoff::Fixed(put_off) | Backoff::Exponential(put_off)) = backoff;
        let timeout = self.timeout.unwrap_or(settings.timeout.0);
        if [self.delay, put_off, timeout].iter().any(|time| *time > TIME_MAX) {
            return refuse("delays, backoffs and time-outs are ten years at most".into());
        }
        if !timeout.is_zero() && timeout < Duration::from_millis(1) {
            return refuse("a time-out is at least a millisecond".into());
        }
        let headers = [self.trace.as_deref(), self.written.as_deref()];
        if headers.into_iter().flatten().any(|text| text.len() > HEADER_MAX || text.contains('\0'))
        {
            return refuse(format!(
                "its trace context and token have {HEADER_MAX} bytes at most, none of them NUL"
            ));
        }
        let attempts = self.attempts.unwrap_or(settings.attempts).max(1);
        let lasts = settings.idempotency_for.0;
        Ok(New {
            priority: i32::try_from(self.priority).unwrap_or(i32::MAX),
            delay: self.delay,
            attempts_max: i32::try_from(attempts).unwrap_or(i32::MAX),
            backoff,
            timeout,
            custom_id: self.id,
            unique: self.unique,
            idempotency: self.idempotency_key.map(|key| (key, lasts)),
            trace: self.trace,
            written: self.written,
            ..New::of(queue, self.kind, self.payload)
        })
    }
}
