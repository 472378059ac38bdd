//! Holds a value against a schema: JSON Schema 2020-12 as far as the document uses it, and a word that is not known here is a fault.

use serde_json::{Map, Value};

/// Words that say nothing about a value.
const NOTES: [&str; 3] = ["title", "description", "default"];
/// Formats that only name a width.
const WIDTHS: [&str; 8] =
    ["uint16", "int32", "int64", "uint", "uint32", "uint64", "double", "float"];

type Checked = Result<(), String>;

/// Says where and why a value is not what the schema describes. A field that is not described is a fault too.
pub(super) fn check(document: &Value, schema: &Value, value: &Value) -> Checked {
    Reading { document }.check(schema, value, "")
}

struct Reading<'a> {
    document: &'a Value,
}

impl Reading<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Checked {
        let words = schema.as_object().ok_or_else(|| format!("{at}: no schema: {schema}"))?;
        words.iter().try_for_each(|(word, rule)| self.obey(words, word, rule, value, at))
    }

    fn obey(
        &self,
        words: &Map<String, Value>,
        word: &str,
        rule: &Value,
        value: &Value,
        at: &str,
    ) -> Checked {
        let holds = match word {
            "$ref" => return self.follow(rule, value, at),
            "properties" => return self.check_fields(words, value, at),
            "items" => return self.check_items(rule, value, at),
            "anyOf" => return self.check_any(rule, value, at),
            "type" => is_of(rule, value),
            "format" => has_format(rule, value),
            "enum" => rule.as_array().is_some_and(|listed| listed.contains(value)),
            "required" => has_all(rule, value),
            "minimum" => value.as_f64().zip(rule.as_f64()).is_none_or(|(is, least)| is >= least),
            "maximum" => value.as_f64().zip(rule.as_f64()).is_none_or(|(is, most)| is <= most),
            // Said with the fields that are named.
            "additionalProperties" if words.contains_key("properties") => true,
            "additionalProperties" => return self.check_fields(words, value, at),
            note => NOTES.contains(&note),
        };
        if holds { Ok(()) } else { Err(format!("{at}: {word} {rule} and {value}")) }
    }

    fn follow(&self, reference: &Value, value: &Value, at: &str) -> Checked {
        let pointer = reference.as_str().and_then(|place| place.strip_prefix('#'));
        let schema = pointer.and_then(|pointer| self.document.pointer(pointer));
        self.check(schema.ok_or_else(|| format!("{at}: nothing at {reference}"))?, value, at)
    }

    /// One of these at least; what the first says is said where none holds.
    fn check_any(&self, schemas: &Value, value: &Value, at: &str) -> Checked {
        let schemas = schemas.as_array().into_iter().flatten();
        let mut checked = schemas.map(|schema| self.check(schema, value, at));
        let first = checked.next().ok_or_else(|| format!("{at}: anyOf nothing"))?;
        if first.is_ok() || checked.any(|other| other.is_ok()) { Ok(()) } else { first }
    }

    fn check_fields(&self, words: &Map<String, Value>, value: &Value, at: &str) -> Checked {
        let named = words.get("properties").and_then(Value::as_object);
        let others = words.get("additionalProperties");
        for (name, field) in value.as_object().into_iter().flatten() {
            let place = format!("{at}/{name}");
            match named.and_then(|named| named.get(name)).or(others) {
                Some(schema) => self.check(schema, field, &place)?,
                None => return Err(format!("{place}: not described")),
            }
        }
        Ok(())
    }

    fn check_items(&self, schema: &Value, value: &Value, at: &str) -> Checked {
        let mut items = value.as_array().into_iter().flatten().enumerate();
        items.try_for_each(|(index, item)| self.check(schema, item, &format!("{at}/{index}")))
    }
}

fn is_of(kinds: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    };
    kinds.as_array().map_or_else(|| is(kinds), |kinds| kinds.iter().any(is))
}

fn has_format(format: &Value, value: &Value) -> bool {
    match format.as_str() {
        Some("date-time") => value.as_str().is_none_or(is_time),
        Some(width) => WIDTHS.contains(&width),
        None => false,
    }
}

/// RFC 3339 in UTC.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let rest = shape.strip_prefix("0000-00-00T00:00:00").and_then(|rest| rest.strip_suffix('Z'));
    rest.is_some_and(|rest| {
        let fraction = rest.strip_prefix('.').unwrap_or("0");
        (rest.is_empty() || rest.starts_with('.')) && fraction.chars().all(|c| c == '0')
    })
}

fn has_all(names: &Value, value: &Value) -> bool {
    let mut names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
    value.as_object().is_none_or(|fields| names.all(|name| fields.contains_key(name)))
}

#[test]
fn what_is_not_described_is_a_fault() {
    use serde_json::json;
    let document = json!({ "rows": { "row": {
        "type": "object",
        "description": "One.",
        "properties": {
            "t": { "type": "string", "format": "date-time" },
            "n": { "type": "integer", "format": "uint64", "minimum": 0 },
            "p": { "type": ["number", "null"], "maximum": 9 },
            "kind": { "enum": ["a", "b"] },
            "part": { "anyOf": [{ "$ref": "#/rows/part" }, { "type": "null" }] },
            "counts": { "type": "object", "additionalProperties": { "type": "integer" } },
        },
        "required": ["t", "n"],
    }, "part": { "type": "object", "properties": { "n": { "type": "integer" } } } } });
    let schema = json!({ "type": "array", "items": { "$ref": "#/rows/row" } });
    let time = "2026-01-02T03:04:05.678Z";
    for (value, sound) in [
        (json!([]), true),
        (json!([{ "t": time, "n": 0, "p": null, "kind": "a", "counts": { "x": 1 } }]), true),
        (json!([{ "t": "2026-01-02T03:04:05Z", "n": 1, "p": 8.5 }]), true),
        (json!([{ "t": time, "n": 0, "part": { "n": 1 } }]), true),
        (json!([{ "t": time, "n": 0, "part": null }]), true),
        (json!([{ "t": time, "n": 0, "part": { "n": "1" } }]), false),
        (json!([{ "t": time, "n": 0, "part": 1 }]), false),
        (json!({}), false),
        (json!([{ "t": time }]), false),
        (json!([{ "t": time, "n": 0 }, { "t": time, "n": -1 }]), false),
        (json!([{ "t": time, "n": 0.5 }]), false),
        (json!([{ "t": time, "n": 0, "p": 10 }]), false),
        (json!([{ "t": time, "n": 0, "p": "1" }]), false),
        (json!([{ "t": time, "n": 0, "kind": "c" }]), false),
        (json!([{ "t": time, "n": 0, "counts": { "x": "1" } }]), false),
        (json!([{ "t": time, "n": 0, "more": 1 }]), false),
        (json!([{ "t": "yesterday", "n": 0 }]), false),
        (json!([{ "t": "2026-01-02T03:04:05", "n": 0 }]), false),
        (json!([{ "t": 5, "n": 0 }]), false),
    ] {
        assert_eq!(check(&document, &schema, &value).is_ok(), sound, "{value}");
    }
    for broken in [json!({ "kind": "string" }), json!({ "$ref": "#/nowhere" }), json!(true)] {
        assert!(check(&document, &broken, &json!("x")).is_err(), "{broken}");
    }
}
