//! The fields of an event or span, redacted as they are read. How they are laid out on a line is not known here.

use std::fmt;

use tracing::field::{Field, Visit};

use crate::redact;

/// Fields in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) list: Vec<(&'static str, Value)>,
}

/// A value fit to be written.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    /// A number or truth value, the same in text and JSON.
    Bare(String),
    /// Anything else, not yet escaped.
    Text(String),
}

impl Fields {
    fn add_text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = redact::text(value).into_owned();
        } else {
            let value = redact::field(field.name(), value).into_owned();
            self.set(field.name(), Value::Text(value));
        }
    }

    fn add_bare(&mut self, field: &Field, value: String) {
        let sensitive = redact::is_sensitive(field.name());
        let value =
            if sensitive { Value::Text(redact::REDACTED.into()) } else { Value::Bare(value) };
        self.set(field.name(), value);
    }

    /// A field of a span may be recorded again; JSON must not name it twice.
    fn set(&mut self, name: &'static str, value: Value) {
        match self.list.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.list.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut chain = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            chain.push_str(": ");
            chain.push_str(&error.to_string());
            source = error.source();
        }
        self.add_text(field, &chain);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add_bare(field, value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add_bare(field, value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add_bare(field, value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.add_bare(field, value.to_string());
        } else {
            self.add_text(field, &value.to_string());
        }
    }
}
