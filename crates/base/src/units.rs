//! Durations and sizes as people write them in settings: `"3s"`, `"64KiB"`. Never a bare number without a unit.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not a number followed by one of the known units.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No known unit at the end.
    #[error("needs a unit: {0}")]
    Unit(&'static str),
    /// The part before the unit is not a whole number, or too large.
    #[error("is not a whole number with a unit, or too large")]
    Number,
}

/// A duration such as `"250ms"`, `"3s"`, `"5m"`, `"8h"`, `"90d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A size in bytes such as `"512B"`, `"64KiB"`, `"8MiB"`, `"2GiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SPAN_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 4] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

impl Span {
    /// From whole seconds.
    #[must_use]
    pub const fn seconds(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    /// From whole days.
    #[must_use]
    pub const fn days(n: u64) -> Self {
        Self(Duration::from_secs(n * 86_400))
    }
}

impl Size {
    /// From KiB.
    #[must_use]
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    /// From MiB.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// As a length in memory; saturates on 32-bit machines.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Span {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text, &SPAN_UNITS, "ms, s, m, h or d").map(|ms| Self(Duration::from_millis(ms)))
    }
}

impl FromStr for Size {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text, &SIZE_UNITS, "B, KiB, MiB or GiB").map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        write_largest(
            f,
            ms,
            &[SPAN_UNITS[4], SPAN_UNITS[3], SPAN_UNITS[2], SPAN_UNITS[1], SPAN_UNITS[0]],
            "s",
        )
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_largest(f, self.0, &[SIZE_UNITS[2], SIZE_UNITS[1], SIZE_UNITS[0], SIZE_UNITS[3]], "B")
    }
}

fn parse(text: &str, units: &[(&str, u64)], names: &'static str) -> Result<u64, ParseError> {
    let text = text.trim();
    let (digits, factor) = units
        .iter()
        .find_map(|(unit, factor)| {
            let digits = text.strip_suffix(unit)?.trim_end();
            digits.ends_with(|c: char| c.is_ascii_digit()).then_some((digits, *factor))
        })
        .ok_or(ParseError::Unit(names))?;
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).ok_or(ParseError::Number)
}

fn write_largest(
    f: &mut fmt::Formatter<'_>,
    value: u64,
    largest_first: &[(&str, u64)],
    zero: &str,
) -> fmt::Result {
    if value == 0 {
        return write!(f, "0{zero}");
    }
    for (unit, factor) in largest_first {
        if value.is_multiple_of(*factor) {
            return write!(f, "{}{unit}", value / factor);
        }
    }
    write!(f, "{value}")
}

macro_rules! as_text {
    ($type:ty, $name:literal, $pattern:literal, $about:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|e| serde::de::Error::custom(format!("\"{text}\" {e}")))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $about })
            }
        }
    };
}
as_text!(Span, "Span", "^[0-9]+ ?(ms|s|m|h|d)$", "A duration with its unit, for example \"3s\".");
as_text!(Size, "Size", "^[0-9]+ ?(B|KiB|MiB|GiB)$", "A size with its unit, for example \"64KiB\".");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_read_and_write() {
        for (text, ms) in [
            ("250ms", 250),
            ("3s", 3_000),
            ("5m", 300_000),
            ("8h", 28_800_000),
            ("90d", 7_776_000_000),
            ("0s", 0),
        ] {
            let span: Result<Span, _> = text.parse();
            assert_eq!(span, Ok(Span(Duration::from_millis(ms))));
            assert_eq!(span.map(|s| s.to_string()).as_deref(), Ok(text));
        }
        for (text, bytes) in
            [("512B", 512), ("64KiB", 65_536), ("8MiB", 8 << 20), ("2GiB", 2 << 30)]
        {
            let size: Result<Size, _> = text.parse();
            assert_eq!(size, Ok(Size(bytes)));
            assert_eq!(size.map(|s| s.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_unit_is_demanded_and_overflow_refused() {
        assert!(matches!("10".parse::<Span>(), Err(ParseError::Unit(_))));
        assert!(matches!("10KB".parse::<Size>(), Err(ParseError::Unit(_))));
        assert_eq!("99999999999999999999s".parse::<Span>(), Err(ParseError::Number));
        assert_eq!("99999999999999999d".parse::<Span>(), Err(ParseError::Number));
        assert!("-1s".parse::<Span>().is_err());
    }
}
