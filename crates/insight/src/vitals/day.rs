//! All vitals of one key on one day as one stored value; reads and writes it, keeps nothing.

use super::number::{read_number, write_number};
use super::{Distribution, Vital};

/// First byte; a change of layout takes the next number.
const VERSION: u8 = 1;

/// The stored value of some vitals: for each its number, its counts by rating, and its sketch with the length before it.
pub(crate) fn encode<'d>(vitals: impl Iterator<Item = (Vital, &'d Distribution)>) -> Vec<u8> {
    let mut out = vec![VERSION];
    for (vital, all) in vitals {
        out.push(code(vital));
        for count in [all.good, all.needs_improvement, all.poor] {
            write_number(&mut out, count);
        }
        let sketch = all.encode_sketch();
        write_number(&mut out, sketch.len() as u64);
        out.extend(sketch);
    }
    out
}

/// One vital of a stored value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'b> {
    pub(crate) vital: Vital,
    /// Good, needs improvement, poor.
    pub(crate) counts: [u64; 3],
    pub(crate) sketch: &'b [u8],
}

/// The vitals of a stored value, up to where it cannot be read.
pub(crate) fn parts(bytes: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut rest = match bytes.split_first() {
        Some((&VERSION, rest)) => rest,
        _ => &[],
    };
    std::iter::from_fn(move || {
        let part = read_part(&mut rest);
        rest = if part.is_some() { rest } else { &[] };
        part
    })
}

fn read_part<'b>(rest: &mut &'b [u8]) -> Option<Part<'b>> {
    let (&code, after) = rest.split_first()?;
    *rest = after;
    let vital = Vital::ALL.into_iter().find(|vital| self::code(*vital) == code)?;
    let counts = [read_number(rest)?, read_number(rest)?, read_number(rest)?];
    let length = usize::try_from(read_number(rest)?).ok()?;
    let (sketch, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(Part { vital, counts, sketch })
}

/// Stored: never given to another vital.
fn code(vital: Vital) -> u8 {
    match vital {
        Vital::Lcp => 0,
        Vital::Inp => 1,
        Vital::Cls => 2,
        Vital::Fcp => 3,
        Vital::Ttfb => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(vital: Vital, values: &[f64]) -> Distribution {
        let mut all = Distribution::default();
        values.iter().for_each(|value| all.add(vital, *value));
        all
    }

    #[test]
    fn what_is_written_is_read() {
        let lcp = distribution(Vital::Lcp, &[1.0, 3_000.0, 9_000.0, 9_500.0]);
        let cls = distribution(Vital::Cls, &[0.0; 300]);
        let stored = encode([(Vital::Lcp, &lcp), (Vital::Cls, &cls)].into_iter());
        let read: Vec<_> = parts(&stored).collect();
        let sketches = [lcp.encode_sketch(), cls.encode_sketch()];
        let part = |vital, counts, sketch| Part { vital, counts, sketch };
        assert_eq!(
            read,
            [
                part(Vital::Lcp, [1, 1, 2], &sketches[0][..]),
                part(Vital::Cls, [300, 0, 0], &sketches[1][..])
            ]
        );
        // Whatever is cut off or unknown ends it.
        for length in 0..stored.len() {
            assert!(parts(&stored[..length]).count() < 2, "{length}");
        }
        let unknown = [&[VERSION, 77][..], &stored[1..]].concat();
        assert_eq!(parts(&unknown).count(), 0);
        assert_eq!(parts(&[&[VERSION + 1], &stored[1..]].concat()).count(), 0);
        let endless = [&[VERSION, 0][..], &[0xff; 20]].concat();
        assert_eq!(parts(&endless).count(), 0);
    }
}
