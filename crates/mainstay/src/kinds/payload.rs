//! What a job was given, field by field: each refusal names the place and repeats nothing of it.

use std::collections::BTreeMap;

use mainstay_jobs::Failure;
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The fields of an object, as they were written.
#[derive(Debug)]
pub(super) struct Payload<'a>(BTreeMap<String, &'a RawValue>);

pub(super) fn dead(what: impl Into<String>) -> Failure {
    Failure::Dead(what.into())
}

impl<'a> Payload<'a> {
    /// An object whose fields are all known: one that is not would be left out in silence.
    pub(super) fn read(text: &'a str, known: &[&str]) -> Result<Self, Failure> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let fields = BTreeMap::<String, &RawValue>::deserialize(&mut reader);
        let fields = fields.map_err(|_| dead("the job's data must be an object"))?;
        if fields.keys().any(|name| !known.contains(&name.as_str())) {
            let known = known.join(", ");
            return Err(dead(format!("the job's data has an unknown field; known are {known}")));
        }
        Ok(Self(fields))
    }

    /// As it was written; `null` is nothing.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|raw| raw.get()).filter(|raw| *raw != "null")
    }

    /// A value of some shape, which `what` says in words.
    pub(super) fn find<T: DeserializeOwned>(
        &self,
        name: &str,
        what: &str,
    ) -> Result<Option<T>, Failure> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let value = serde_json::from_str(raw);
        value.map(Some).map_err(|_| dead(format!("{name} must be {what}")))
    }

    /// The same, where there must be one.
    pub(super) fn get<T: DeserializeOwned>(&self, name: &str, what: &str) -> Result<T, Failure> {
        self.find(name, what)?.ok_or_else(|| dead(format!("{name} must be {what}")))
    }
}
