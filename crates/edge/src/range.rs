//! Byte ranges (RFC 9110 §14). Pure.

use std::ops::Range;

/// What a `Range` header asks of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing we answer partially: no or foreign unit, malformed, or several ranges (a server may ignore these,
    /// §14.2; many tiny ranges are a known way to make servers work).
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing of it lies inside the body: 416.
    Unsatisfiable,
}

/// Reads a `Range` header against a body of `length` bytes.
pub(crate) fn read(header: Option<&str>, length: u64) -> Asked {
    let Some(spec) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else {
        return Asked::Whole;
    };
    if spec.contains(',') {
        return Asked::Whole;
    }
    let Some((first, last)) = spec.trim().split_once('-') else { return Asked::Whole };
    match (number(first), number(last)) {
        (Bound::Number(first), Bound::Number(last)) if first <= last => {
            within(first, last.saturating_add(1), length)
        }
        (Bound::Number(first), Bound::Absent) => within(first, length, length),
        (Bound::Absent, Bound::Number(suffix)) if suffix > 0 && length > 0 => {
            Asked::Part(length.saturating_sub(suffix)..length)
        }
        (Bound::Absent, Bound::Number(_)) => Asked::Unsatisfiable,
        _ => Asked::Whole,
    }
}

enum Bound {
    Absent,
    Number(u64),
    Malformed,
}

fn number(text: &str) -> Bound {
    if text.is_empty() {
        return Bound::Absent;
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Bound::Malformed;
    }
    text.parse().map_or(Bound::Number(u64::MAX), Bound::Number)
}

fn within(first: u64, end: u64, length: u64) -> Asked {
    if first >= length { Asked::Unsatisfiable } else { Asked::Part(first..end.min(length)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_against_the_length() {
        let check =
            |header: &str, asked: Asked| assert_eq!(read(Some(header), 100), asked, "{header}");
        check("bytes=0-0", Asked::Part(0..1));
        check("bytes=10-19", Asked::Part(10..20));
        check("bytes=90-", Asked::Part(90..100));
        check("bytes=-10", Asked::Part(90..100));
        check("bytes=-1000", Asked::Part(0..100));
        check("bytes=50-1000", Asked::Part(50..100));
        check("bytes=0-99999999999999999999999", Asked::Part(0..100));
        check("bytes=100-", Asked::Unsatisfiable);
        check("bytes=-0", Asked::Unsatisfiable);
        check("bytes=5-4", Asked::Whole);
        check("bytes=a-b", Asked::Whole);
        check("bytes=-", Asked::Whole);
        check("bytes=0-1,5-6", Asked::Whole);
        check("items=0-1", Asked::Whole);
        assert_eq!(read(None, 100), Asked::Whole);
        assert_eq!(read(Some("bytes=-5"), 0), Asked::Unsatisfiable);
    }
}
