//! The body as JSON, and its fields by name: each refusal names the place and repeats nothing of what was sent. A field
//! that nobody knows is refused as well: an app's programmer wants to hear of a mistyped one.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use mainstay_base::units::Size;
use serde_json::{Map, Value};

use crate::intake::Error;
use crate::scrub::scrub_text;
use crate::wire::Field;

/// Most entries of an object of properties.
const ENTRIES_MAX: usize = 20;
/// Most bytes of all their keys and texts.
const ENTRIES_BYTES_MAX: usize = 2_048;

/// The scalars of an object, borrowed from the body.
pub(super) type Entries<'a> = Vec<(Cow<'a, str>, Field<'a>)>;

pub(super) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::Invalid { field: field.into(), reason: reason.into() }
}

/// A body that is JSON.
pub(super) fn parse(body: &[u8], bytes_max: Size) -> Result<Value, Error> {
    if body.len() > bytes_max.bytes() {
        return Err(Error::TooLarge {
            field: "body",
            reason: format!("is longer than {bytes_max}"),
        });
    }
    serde_json::from_slice(body).map_err(|error| {
        invalid("body", format!("is not JSON (line {}, column {})", error.line(), error.column()))
    })
}

/// An object whose fields are all known.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    at: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// `at` is empty for the body itself.
    pub(super) fn of(value: &'a Value, at: String, known: &[&str]) -> Result<Self, Error> {
        let whole = || if at.is_empty() { "body".to_owned() } else { at.clone() };
        let Value::Object(map) = value else { return Err(invalid(whole(), "must be an object")) };
        if map.keys().any(|key| !known.contains(&key.as_str())) {
            let reason = format!("has an unknown field; known are {}", known.join(", "));
            return Err(invalid(whole(), reason));
        }
        Ok(Self { at, map })
    }

    pub(super) fn place(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// `null` is nothing.
    pub(super) fn find(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn refuse<T>(&self, name: &str, reason: impl Into<String>) -> Result<T, Error> {
        Err(invalid(self.place(name), reason))
    }

    /// The items of a list; nothing is an empty one.
    pub(super) fn list(&self, name: &str) -> Result<&'a [Value], Error> {
        match self.find(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => self.refuse(name, "must be a list"),
        }
    }

    /// Text within a bound; the empty one is none.
    pub(super) fn maybe_text(
        &self,
        name: &str,
        bytes_max: usize,
    ) -> Result<Option<&'a str>, Error> {
        match self.find(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= bytes_max => {
                Ok(Some(text.as_str()).filter(|text| !text.is_empty()))
            }
            Some(_) => self.refuse(name, format!("must be text of at most {bytes_max} bytes")),
        }
    }

    pub(super) fn text(&self, name: &str, bytes_max: usize) -> Result<&'a str, Error> {
        match self.maybe_text(name, bytes_max) {
            Ok(Some(text)) => Ok(text),
            _ => self.refuse(name, format!("must be text of 1 to {bytes_max} bytes")),
        }
    }

    /// Text of any length, to be shortened when it is kept.
    pub(super) fn any_text(&self, name: &str) -> Result<Option<&'a str>, Error> {
        self.maybe_text(name, usize::MAX).map_err(|_| invalid(self.place(name), "must be text"))
    }

    /// An id by the rule of browsers' events.
    pub(super) fn maybe_id(&self, name: &str) -> Result<Option<&'a str>, Error> {
        let url_safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        match self.find(name) {
            None => Ok(None),
            Some(Value::String(text))
                if (16..=32).contains(&text.len()) && text.bytes().all(url_safe) =>
            {
                Ok(Some(text))
            }
            Some(_) => self.refuse(name, "must be 16 to 32 letters, digits, - or _"),
        }
    }

    pub(super) fn number(&self, name: &str, within: RangeInclusive<f64>) -> Result<f64, Error> {
        match self.find(name).and_then(Value::as_f64).filter(|number| within.contains(number)) {
            Some(number) => Ok(number),
            None => {
                let (low, high) = within.into_inner();
                self.refuse(name, format!("must be a number from {low} to {high}"))
            }
        }
    }

    /// Names and texts without what is secret in them, in the order of names.
    pub(super) fn labels(&self, name: &str) -> Result<Vec<(&'a str, Cow<'a, str>)>, Error> {
        let map = match self.find(name) {
            None => return Ok(Vec::new()),
            Some(Value::Object(map)) => map,
            Some(_) => return self.refuse(name, "must be an object"),
        };
        let mut labels = Vec::with_capacity(map.len());
        for (label, value) in map {
            let Value::String(value) = value else { return self.refuse(name, "must hold texts") };
            labels.push((label.as_str(), scrub_text(value, value.len()).into()));
        }
        labels.sort_unstable();
        Ok(labels)
    }

    /// Scalars by name, by the rule of browsers' events.
    pub(super) fn properties(&self, name: &str) -> Result<Entries<'a>, Error> {
        let map = match self.find(name) {
            None => return Ok(Vec::new()),
            Some(Value::Object(map)) => map,
            Some(_) => return self.refuse(name, "must be an object"),
        };
        if map.len() > ENTRIES_MAX {
            return self.refuse(name, format!("holds more than {ENTRIES_MAX} entries"));
        }
        let entries: Entries<'a> =
            map.iter().map(|(key, value)| (key.as_str().into(), scalar(value))).collect();
        // A key may be long or hold a secret: its number tells enough.
        if let Some(at) = entries.iter().position(|(_, value)| *value == Field::Nested) {
            let reason = format!("entry {at} must be text, a number, true, false or null");
            return self.refuse(name, reason);
        }
        let bytes = |(key, value): &(Cow<'_, str>, Field<'_>)| match value {
            Field::Text(text) => key.len() + text.len(),
            _ => key.len(),
        };
        if entries.iter().map(bytes).sum::<usize>() > ENTRIES_BYTES_MAX {
            return self.refuse(name, format!("holds more than {ENTRIES_BYTES_MAX} bytes"));
        }
        Ok(entries)
    }
}

fn scalar(value: &Value) -> Field<'_> {
    match value {
        Value::Null => Field::Null,
        Value::Bool(value) => Field::Bool(*value),
        Value::Number(number) => number.as_f64().map_or(Field::Nested, Field::Number),
        Value::String(text) => Field::Text(text.as_str().into()),
        Value::Array(_) | Value::Object(_) => Field::Nested,
    }
}
