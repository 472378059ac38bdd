//! One field of the body and what it may hold; names the field in every refusal and repeats nothing of what was sent.

use std::ops::RangeInclusive;

use super::Error;
use crate::wire::Field;

/// Where a field is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In the body itself.
    Root,
    /// In the event of this index.
    Event(usize),
    /// In the `revenue` of the event of this index.
    Revenue(usize),
}

pub(super) fn invalid(place: Place, name: &str, reason: &str) -> Error {
    let field = match place {
        Place::Root => name.to_owned(),
        Place::Event(index) if name.is_empty() => format!("events[{index}]"),
        Place::Event(index) => format!("events[{index}].{name}"),
        Place::Revenue(index) => format!("events[{index}].revenue.{name}"),
    };
    Error::Invalid { field, reason: reason.to_owned() }
}

/// An id the browser made: 16 to 32 of the characters that need no escape in a URL (RFC 3986 §2.3, less `.` and `~`).
pub(super) fn id<'a>(field: &'a Field<'a>, place: Place, name: &str) -> Result<&'a str, Error> {
    let url_safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    match field {
        Field::Text(text) if (16..=32).contains(&text.len()) && text.bytes().all(url_safe) => {
            Ok(text)
        }
        _ => Err(invalid(place, name, "must be 16 to 32 letters, digits, - or _")),
    }
}

pub(super) fn number(
    field: &Field<'_>,
    place: Place,
    name: &str,
    within: RangeInclusive<f64>,
) -> Result<f64, Error> {
    match field {
        Field::Number(number) if within.contains(number) => Ok(*number),
        _ => {
            let (low, high) = within.into_inner();
            Err(invalid(place, name, &format!("must be a number from {low} to {high}")))
        }
    }
}

/// A whole number from 0; `null` and nothing are none.
pub(super) fn optional_integer(
    field: &Field<'_>,
    place: Place,
    name: &str,
    max: i32,
) -> Result<Option<i32>, Error> {
    if matches!(field, Field::Missing | Field::Null) {
        return Ok(None);
    }
    let number = number(field, place, name, 0.0..=f64::from(max))?;
    // Browsers report fractions of a pixel and of a percent.
    Ok(Some(number.round() as i32))
}

pub(super) fn text<'a>(
    field: &'a Field<'a>,
    place: Place,
    name: &str,
    bytes_max: usize,
) -> Result<&'a str, Error> {
    match field {
        Field::Text(text) if (1..=bytes_max).contains(&text.len()) => Ok(text),
        _ => Err(invalid(place, name, &format!("must be text of 1 to {bytes_max} bytes"))),
    }
}

/// Text; `null`, nothing and the empty text are none.
pub(super) fn optional_text<'a>(
    field: &'a Field<'a>,
    place: Place,
    name: &str,
    bytes_max: usize,
) -> Result<Option<&'a str>, Error> {
    match field {
        Field::Missing | Field::Null => Ok(None),
        Field::Text(text) if text.is_empty() => Ok(None),
        field => self::text(field, place, name, bytes_max).map(Some),
    }
}

/// Text of any length, to be shortened when it is kept; `null` and nothing are none.
pub(super) fn any_text<'a>(
    field: &'a Field<'a>,
    place: Place,
    name: &str,
) -> Result<Option<&'a str>, Error> {
    match field {
        Field::Missing | Field::Null => Ok(None),
        Field::Text(text) => Ok(Some(text)),
        _ => Err(invalid(place, name, "must be text")),
    }
}
