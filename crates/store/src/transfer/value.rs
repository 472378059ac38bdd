//! A value of a row as both engines know it: what it is worth in a checksum, and how PostgreSQL takes it in a `COPY`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mainstay_base::Timestamp;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, ValueRef};
use uuid::Uuid;

use crate::Ts;
use crate::bulk::{Binder, Kind, storable, storable_json};

/// A value. Those of a key are in the order in which both engines walk them.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(super) enum Value {
    Null,
    /// Text and JSON.
    Text(String),
    Id(Uuid),
    /// Of 64 or 32 bits.
    Int(i64),
    Real(f64),
    Flag(bool),
    Time(Timestamp),
    Bytes(Vec<u8>),
}

impl Value {
    /// As it lies in the file: PostgreSQL may not take it so.
    pub(super) fn of_sqlite(row: &SqliteRow, at: usize, kind: Kind) -> Result<Self, sqlx::Error> {
        Ok(match kind {
            Kind::Text | Kind::Json => of(get::<String, _>(row, at)?, Self::Text),
            Kind::Id => of(get::<Uuid, _>(row, at)?, Self::Id),
            Kind::Int | Kind::Small | Kind::Tiny => of(get::<i64, _>(row, at)?, Self::Int),
            Kind::Real => of(get::<f64, _>(row, at)?, Self::Real),
            Kind::Flag => of(get::<i64, _>(row, at)?, |flag| Self::Flag(flag != 0)),
            Kind::Time => of(get::<Ts, _>(row, at)?, |at| Self::Time(at.0)),
            Kind::Bytes => of(get::<Vec<u8>, _>(row, at)?, Self::Bytes),
        })
    }

    pub(super) fn of_postgres(row: &PgRow, at: usize, kind: Kind) -> Result<Self, sqlx::Error> {
        Ok(match kind {
            Kind::Text | Kind::Json => of(get::<String, _>(row, at)?, Self::Text),
            Kind::Id => of(get::<Uuid, _>(row, at)?, Self::Id),
            Kind::Int => of(get::<i64, _>(row, at)?, Self::Int),
            Kind::Small | Kind::Tiny => {
                of(get::<i32, _>(row, at)?, |value| Self::Int(value.into()))
            }
            Kind::Real => of(get::<f64, _>(row, at)?, Self::Real),
            Kind::Flag => of(get::<bool, _>(row, at)?, Self::Flag),
            Kind::Time => of(get::<Ts, _>(row, at)?, |at| Self::Time(at.0)),
            Kind::Bytes => of(get::<Vec<u8>, _>(row, at)?, Self::Bytes),
        })
    }

    /// What PostgreSQL keeps of it.
    pub(super) fn storable(self, kind: Kind) -> Self {
        match self {
            Self::Text(text) if text.contains(['\0', '\\']) => Self::Text(if kind == Kind::Json {
                storable_json(&text).into_owned()
            } else {
                storable(&text).into_owned()
            }),
            other => other,
        }
    }

    /// Adds what tells it from every other value.
    pub(super) fn add_to(&self, out: &mut Vec<u8>, kind: Kind) {
        match self {
            Self::Null => out.push(0),
            Self::Text(text) if kind == Kind::Json => add_bytes(out, canonical(text).as_bytes()),
            Self::Text(text) => add_bytes(out, text.as_bytes()),
            Self::Id(id) => add_bytes(out, id.as_bytes()),
            Self::Int(value) => add_bytes(out, &value.to_le_bytes()),
            // SQLite keeps no sign of zero.
            Self::Real(value) => add_bytes(out, &(value + 0.0).to_bits().to_le_bytes()),
            Self::Flag(flag) => add_bytes(out, &[u8::from(*flag)]),
            // What is later than PostgreSQL can name is its `infinity`, on both sides.
            Self::Time(at) => add_bytes(out, &Ts(*at).postgres_micros().to_le_bytes()),
            Self::Bytes(bytes) => add_bytes(out, bytes),
        }
    }

    /// Adds the field of a binary `COPY`.
    pub(super) fn copy_to(&self, out: &mut Vec<u8>, kind: Kind) {
        match (self, kind) {
            (Self::Null, _) => out.extend((-1_i32).to_be_bytes()),
            (Self::Text(text), Kind::Json) => {
                // jsonb begins with the version of its format.
                add_field(out, &[&[1], text.as_bytes()]);
            }
            (Self::Text(text), _) => add_field(out, &[text.as_bytes()]),
            (Self::Id(id), _) => add_field(out, &[id.as_bytes()]),
            (Self::Int(value), Kind::Small) => {
                let small = i32::try_from(*value).unwrap_or(i32::MAX);
                add_field(out, &[&small.to_be_bytes()]);
            }
            (Self::Int(value), Kind::Tiny) => {
                let tiny = i16::try_from(*value).unwrap_or(i16::MAX);
                add_field(out, &[&tiny.to_be_bytes()]);
            }
            (Self::Int(value), _) => add_field(out, &[&value.to_be_bytes()]),
            (Self::Real(value), _) => add_field(out, &[&value.to_bits().to_be_bytes()]),
            (Self::Flag(flag), _) => add_field(out, &[&[u8::from(*flag)]]),
            (Self::Time(at), _) => add_field(out, &[&Ts(*at).postgres_micros().to_be_bytes()]),
            (Self::Bytes(bytes), _) => add_field(out, &[bytes]),
        }
    }

    /// Adds it to the values of a statement.
    pub(super) fn bind<'r>(&'r self, to: &mut Binder<'r>, kind: Kind) {
        match self {
            Self::Null => drop(to.null()),
            Self::Text(text) => drop(to.text(text)),
            Self::Id(id) => drop(to.id(*id)),
            Self::Int(value) if matches!(kind, Kind::Small | Kind::Tiny) => {
                to.small(i32::try_from(*value).unwrap_or(i32::MAX));
            }
            Self::Int(value) => drop(to.int(*value)),
            Self::Real(value) => drop(to.real(*value)),
            Self::Flag(flag) => drop(to.flag(*flag)),
            Self::Time(at) => drop(to.at(*at)),
            Self::Bytes(bytes) => drop(to.bytes(bytes)),
        }
    }

    pub(super) fn as_text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    pub(super) fn as_time(&self) -> Timestamp {
        if let Self::Time(at) = self { *at } else { Timestamp::EPOCH }
    }
}

fn get<'r, T, R>(row: &'r R, at: usize) -> Result<Option<T>, sqlx::Error>
where
    R: Row,
    T: Decode<'r, R::Database>,
    usize: sqlx::ColumnIndex<R>,
{
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(None);
    }
    let decoded = <T as Decode<'r, R::Database>>::decode(value);
    decoded.map(Some).map_err(|source| sqlx::Error::ColumnDecode { index: at.to_string(), source })
}

fn of<T>(value: Option<T>, make: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, make)
}

fn add_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(1);
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

fn add_field(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend(i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes());
    for part in parts {
        out.extend(*part);
    }
}

/// The digest of a row: the first 128 bits of SHA-256 over its values.
pub(super) fn digest(values: &[Value], columns: &[(&str, Kind)], scratch: &mut Vec<u8>) -> u128 {
    scratch.clear();
    for (value, (_, kind)) in values.iter().zip(columns) {
        value.add_to(scratch, *kind);
    }
    let digest = Sha256::digest(&*scratch);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(bytes)
}

/// JSON as both engines mean it: PostgreSQL keeps neither spaces nor the order of keys, nor how a number was written.
fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if add_json(&mut out, text, 0).is_none() {
        text.clone_into(&mut out);
    }
    out
}

/// None where it is no JSON, or lies deeper than anybody nests it.
fn add_json(out: &mut String, text: &str, depth: usize) -> Option<()> {
    const DEPTH_MAX: usize = 128;
    let first = text.bytes().next().filter(|_| depth < DEPTH_MAX)?;
    match first {
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push('[');
            for item in items {
                add_json(out, item.get(), depth + 1)?;
                out.push(',');
            }
            out.push(']');
        }
        b'{' => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            out.push('{');
            for (name, item) in fields {
                write!(out, "{name:?}:").ok()?;
                add_json(out, item.get(), depth + 1)?;
                out.push(',');
            }
            out.push('}');
        }
        b'"' => {
            let text: String = serde_json::from_str(text).ok()?;
            write!(out, "{text:?}").ok()?;
        }
        b'-' | b'0'..=b'9' => add_number(out, text)?,
        _ => out.push_str(text),
    }
    Some(())
}

/// A number by its digits and the power of ten of the last: 1e2, 100 and 100.0 are one, and no digit is lost to a double,
/// because PostgreSQL loses none.
fn add_number(out: &mut String, text: &str) -> Option<()> {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |text| ("-", text));
    let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        out.push('0');
        return Some(());
    }
    let power: i64 = power.parse().ok()?;
    let shift = i64::try_from(digits.len() - kept.len()).ok()?;
    let power = power.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(shift)?;
    write!(out, "{sign}{kept}e{power}").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compared_by_its_meaning() {
        for (a, b) in [
            (r#"{"b": 1, "a": [1.0, 1e2]}"#, r#"{"a":[1,100],"b":1}"#),
            (r#""\u00e4""#, "\"ä\""),
            ("9007199254740993", "9007199254740993"),
            ("1.2345678901234568e+16", "12345678901234568"),
            ("1e16", "10000000000000000"),
            (r#"{"a": [1.8E19]}"#, r#"{"a":[18000000000000000000]}"#),
            ("1.2345678901234568e25", "12345678901234568000000000"),
            ("-0.0", "0"),
            ("5e-3", "0.0050"),
        ] {
            assert_eq!(canonical(a), canonical(b), "{a}");
        }
        let greatest = format!("[1.50, {}{}]", "17976931348623157", "0".repeat(292));
        assert_eq!(canonical("[1.5,1.7976931348623157e308]"), canonical(&greatest));
        let beyond = format!("[1.50, 1{}]", "0".repeat(400));
        assert_eq!(canonical("[1.5,1e400]"), canonical(&beyond));
        for (a, b) in [
            ("[1,2]", "[2,1]"),
            ("1", "\"1\""),
            ("{}", "[]"),
            ("null", "\"null\""),
            ("[1,2]", "[12]"),
            ("9007199254740993", "9007199254740992"),
            ("1e400", "1e401"),
            ("1", "-1"),
            (r#"{"a":1}"#, r#"{"a":1.0000000000000001}"#),
        ] {
            assert_ne!(canonical(a), canonical(b), "{a}");
        }
    }

    #[test]
    fn values_that_differ_have_other_digests() {
        let columns = [("a", Kind::Text), ("b", Kind::Text)];
        let of = |a: &str, b: Option<&str>| {
            let b = b.map_or(Value::Null, |b| Value::Text(b.into()));
            digest(&[Value::Text(a.into()), b], &columns, &mut Vec::new())
        };
        let all = [of("ab", Some("c")), of("a", Some("bc")), of("abc", Some("")), of("abc", None)];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one), "{i}");
        }
        assert_eq!(of("ab", Some("c")), all[0]);
    }
}
