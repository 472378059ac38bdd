//! Jobs as JSON: what is sent to add one, and what is told of one.

use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_jobs::{Add, Backoff, Row, Unique};
use mainstay_telemetry::redact;
use schemars::JsonSchema;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::invalid;
use crate::problem::Problem;

/// A job to be added; times are milliseconds, as BullMQ's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// What kind of work.
    r#type: String,
    /// Its data, any JSON. Default: null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    /// 0 comes first, then 1, 2 and so on.
    #[serde(default)]
    priority: u32,
    /// How often it may fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// From now on.
    #[serde(default)]
    delay: u64,
    /// A name of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Only one such at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unique: Option<Once>,
    /// How long it waits after an attempt that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backoff: Option<Wait>,
    /// How long an attempt may take; 0: as long as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
}

/// A key, or a key and what becomes of a second job with it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Once {
    Key(String),
    Of(Keyed),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keyed {
    key: String,
    /// The first, where it is still delayed, gets the payload of the second and begins its delay anew.
    #[serde(default)]
    debounce: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    r#type: Growth,
    delay: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Growth {
    Fixed,
    Exponential,
}

/// Several jobs; one more than there may be, where there are more, and nothing is kept of the others.
pub(crate) fn read_list<'de, D: Deserializer<'de>>(
    source: D,
    max: usize,
) -> Result<Vec<Wanted>, D::Error> {
    source.deserialize_seq(List { max })
}

struct List {
    max: usize,
}

impl<'de> Visitor<'de> for List {
    type Value = Vec<Wanted>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("jobs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
        let mut jobs = Vec::new();
        while jobs.len() <= self.max
            && let Some(job) = all.next_element()?
        {
            jobs.push(job);
        }
        while let Some(IgnoredAny) = all.next_element()? {}
        Ok(jobs)
    }
}

impl Wanted {
    /// Whether it can meet another one.
    pub(crate) fn is_named(&self) -> bool {
        self.id.is_some() || self.unique.is_some()
    }

    pub(crate) fn into_add(self) -> Result<Add, Problem> {
        let payload = self.payload.as_ref().map_or("null", |payload| payload.get());
        if self.attempts == Some(0) {
            return Err(invalid("attempts", "is at least 1"));
        }
        let unique = self.unique.map(|unique| match unique {
            Once::Key(key) | Once::Of(Keyed { key, debounce: false }) => Unique::Keep(key),
            Once::Of(Keyed { key, debounce: true }) => Unique::Debounce(key),
        });
        let backoff = self.backoff.map(|Wait { r#type, delay }| match r#type {
            Growth::Fixed => Backoff::Fixed(Duration::from_millis(delay)),
            Growth::Exponential => Backoff::Exponential(Duration::from_millis(delay)),
        });
        Ok(Add {
            priority: self.priority,
            delay: Duration::from_millis(self.delay),
            attempts: self.attempts,
            backoff,
            timeout: self.timeout.map(Duration::from_millis),
            id: self.id,
            unique,
            ..Add::new(self.r#type, payload)
        })
    }
}

/// The answer of an addition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Id {
    pub(crate) id: String,
}

/// How a job stands, without its data: what whoever added it asks for.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Standing {
    id: String,
    queue: String,
    r#type: String,
    /// `waiting`, `delayed`, `active`, `completed`, `failed` or `dead`.
    status: &'static str,
    /// Attempts that ended.
    attempts: i32,
    attempts_max: i32,
    priority: i32,
    /// Any JSON; null where it said nothing.
    progress: Value,
    /// Any JSON; null where it answered nothing.
    result: Value,
    /// Why its last attempt failed, or why it was buried.
    error: Option<String>,
    created_at: Timestamp,
    /// When it may begin, or could have begun.
    run_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl Standing {
    pub(crate) fn of(queue: &str, row: &Row) -> Self {
        Self {
            id: row.id(),
            queue: queue.to_owned(),
            r#type: row.kind.clone(),
            status: row.status.as_str(),
            attempts: row.attempts_made,
            attempts_max: row.attempts_max,
            priority: row.priority,
            progress: value(row.progress.as_deref()),
            result: value(row.result.as_deref()),
            error: row.error.clone(),
            created_at: row.created_at,
            run_at: row.run_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        }
    }

    /// Of many: without what each says of itself at length.
    pub(crate) fn brief(self) -> Self {
        Self { progress: Value::Null, result: Value::Null, ..self }
    }

    /// As it is shown to people: what may be a person's or a secret is left out.
    pub(crate) fn redacted(mut self) -> Self {
        redact(&mut self.progress);
        redact(&mut self.result);
        self.error = self.error.map(|error| redact_text(&error));
        self
    }
}

/// Kept JSON.
pub(crate) fn value(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Leaves out of JSON what stands under names of secrets, addresses of people, credentials and query strings.
pub(crate) fn redact(value: &mut Value) {
    match value {
        Value::String(text) => *text = redact_text(text),
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Object(fields) => redact_fields(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redact_fields(fields: &mut Map<String, Value>) {
    for (name, value) in fields {
        if redact::is_sensitive(name) {
            *value = redact::REDACTED.into();
        } else {
            redact(value);
        }
    }
}

fn redact_text(text: &str) -> String {
    let words = redact::text(text);
    let is_address = |word: &str| {
        word.split_once('@').is_some_and(|(who, at)| !who.is_empty() && !at.is_empty())
    };
    if !words.split_whitespace().any(is_address) {
        return words.into_owned();
    }
    let words = words.split(' ').map(|word| if is_address(word) { redact::REDACTED } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_and_secrets_are_left_out_of_what_is_shown() {
        let mut payload = json!({
            "to": ["ada@example.org", "Ada <ada@example.org>"],
            "subject": "Your order",
            "data": {"password": "p", "resetToken": {"a": 1}, "url": "https://example.org/r?token=abc", "count": 3},
        });
        redact(&mut payload);
        let shown = payload.to_string();
        for gone in ["ada@", "\"p\"", "abc", "\"a\":1"] {
            assert!(!shown.contains(gone), "{gone} in {shown}");
        }
        assert_eq!(
            (&payload["subject"], &payload["data"]["count"]),
            (&json!("Your order"), &json!(3))
        );
        assert_eq!(payload["to"][1], json!("Ada [redacted]"));
    }

    #[test]
    fn words_of_a_job_to_be_added_are_bullmqs() {
        let text = r#"{"type": "t", "payload": {"a": 1.0}, "priority": 2, "attempts": 5, "delay": 1500,
            "id": "mine", "unique": {"key": "k", "debounce": true}, "backoff": {"type": "fixed", "delay": 10}, "timeout": 0}"#;
        let wanted: Wanted = serde_json::from_str(text).unwrap();
        let add = wanted.into_add().unwrap();
        assert_eq!((&*add.kind, &*add.payload), ("t", r#"{"a": 1.0}"#));
        assert_eq!((add.priority, add.attempts, add.delay.as_millis()), (2, Some(5), 1_500));
        assert_eq!(add.id.as_deref(), Some("mine"));
        assert_eq!(add.unique, Some(Unique::Debounce("k".into())));
        assert_eq!(add.backoff, Some(Backoff::Fixed(Duration::from_millis(10))));
        assert_eq!(add.timeout, Some(Duration::ZERO));
        let wanted: Wanted = serde_json::from_str(r#"{"type": "t", "unique": "k"}"#).unwrap();
        let add = wanted.into_add().unwrap();
        assert_eq!((&*add.payload, add.unique), ("null", Some(Unique::Keep("k".into()))));
        for wrong in
            [r#"{"payload": 1}"#, r#"{"type": "t", "unknown": 1}"#, r#"{"type": "t", "delay": -1}"#]
        {
            assert!(serde_json::from_str::<Wanted>(wrong).is_err(), "{wrong}");
        }
    }
}
