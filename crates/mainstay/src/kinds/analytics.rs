//! `analytics`: an event of the app becomes a row of named events, as by `POST /_mainstay/record`; once, however often the job
//! is done.

use std::time::Duration;

use mainstay_base::{Clock, Timestamp};
use mainstay_insight::Insight;
use mainstay_insight::record::Sender;
use mainstay_jobs::{ANY, Failure, Job, Running, Work};
use serde::Deserialize;
use serde_json::{Value, json};

use super::id_of;
use super::payload::{Payload, dead};

const QUEUE: &str = "analytics";
/// How far another machine's clock may be ahead.
const AHEAD_MAX: Duration = Duration::from_secs(300);
/// Who recorded, beside the names of API keys.
const KEY: &str = "jobs";

/// Keeps events.
#[derive(Debug)]
pub(super) struct Analytics {
    insight: Insight,
    clock: Clock,
}

/// When it happened.
#[derive(Deserialize)]
#[serde(untagged)]
enum When {
    /// RFC 3339, as JavaScript's `toISOString`.
    Text(String),
    /// Milliseconds since 1970, as its `Date.now`.
    Millis(i64),
}

impl Analytics {
    pub(super) fn new(insight: Insight, clock: Clock) -> Self {
        Self { insight, clock }
    }

    async fn keep(&self, work: &Work) -> Result<Option<String>, Failure> {
        let payload =
            Payload::read(&work.job.payload, &["event", "properties", "timestamp", "site"])?;
        let received = self.when(&payload)?;
        let site = self.insight.list_sites().first().cloned();
        let sender = Sender {
            site: site.ok_or_else(|| dead("there is no site that events could be of"))?,
            received,
            request_id: u128::from(work.job.seq.unsigned_abs()),
            key: KEY.into(),
        };
        let value = |name, what| payload.find::<Value>(name, what);
        let mut event = json!({ "id": id_of(QUEUE, work), "name": value("event", "text")? });
        if let Some(properties) = value("properties", "an object")? {
            event["properties"] = properties;
        }
        let mut body = json!({ "events": [event] });
        if let Some(site) = value("site", "text")? {
            body["site"] = site;
        }
        match self.insight.record(&sender, body.to_string().as_bytes()).await {
            Ok(_) => Ok(None),
            Err(error) => Err(match error.field() {
                Some((field, reason)) => dead(format!("{} {reason}", told(field))),
                None => Failure::Again(error.to_string()),
            }),
        }
    }

    /// When it happened; now, where nothing is said.
    fn when(&self, payload: &Payload<'_>) -> Result<Timestamp, Failure> {
        let what = "an RFC 3339 time or milliseconds since 1970";
        let now = self.clock.now();
        let when = match payload.find("timestamp", what)? {
            None => return Ok(now),
            Some(When::Text(text)) => Timestamp::parse_rfc3339(&text),
            Some(When::Millis(millis)) => millis.checked_mul(1_000).map(Timestamp::from_micros),
        };
        let when = when.ok_or_else(|| dead(format!("timestamp must be {what}")))?;
        if when > now.plus(AHEAD_MAX) {
            return Err(dead("timestamp lies ahead"));
        }
        if when < now.minus(self.insight.events_kept()) {
            return Err(dead(
                "timestamp is longer ago than events are kept (insight.retain.events)",
            ));
        }
        Ok(when.min(now))
    }
}

impl Job for Analytics {
    fn kind(&self) -> &str {
        ANY
    }

    fn queue(&self) -> &str {
        QUEUE
    }

    fn run(&self, work: Work) -> Running<'_> {
        Box::pin(async move { self.keep(&work).await })
    }
}

/// A field of what is recorded as the job calls it.
fn told(field: &str) -> &str {
    match field.strip_prefix("events[0].").unwrap_or(field) {
        "name" => "event",
        field => field,
    }
}
