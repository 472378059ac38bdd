//! The stored form of a sketch: a version byte, then pairs of varints (buckets skipped, count). Knows nothing of time.

/// The first byte. Another number means other buckets.
const VERSION: u8 = 1;
/// A u64 takes at most ten groups of seven bits.
const VARINT_BYTES_MAX: u32 = 10;

/// Why bytes are not a sketch.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by another version, or empty.
    #[error("the sketch is of version {0:?}, and only {VERSION} can be read")]
    Version(Option<u8>),
    /// Cut short, or naming buckets there are not.
    #[error("the sketch is damaged")]
    Damaged,
}

pub(super) fn encode(counts: &[u64]) -> Vec<u8> {
    let mut out = vec![VERSION];
    let mut skipped = 0;
    for count in counts {
        if *count == 0 {
            skipped += 1;
            continue;
        }
        write_varint(&mut out, skipped);
        write_varint(&mut out, *count);
        skipped = 0;
    }
    out
}

pub(super) fn decode(bytes: &[u8], into: &mut [u64]) -> Result<(), DecodeError> {
    let Some((&VERSION, mut rest)) = bytes.split_first() else {
        return Err(DecodeError::Version(bytes.first().copied()));
    };
    let mut at = 0_usize;
    while !rest.is_empty() {
        let skipped = read_varint(&mut rest).ok_or(DecodeError::Damaged)?;
        let count = read_varint(&mut rest).ok_or(DecodeError::Damaged)?;
        at = usize::try_from(skipped)
            .ok()
            .and_then(|skipped| at.checked_add(skipped))
            .ok_or(DecodeError::Damaged)?;
        *into.get_mut(at).ok_or(DecodeError::Damaged)? = count;
        at += 1;
    }
    Ok(())
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for group in 0..VARINT_BYTES_MAX {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * group);
        if shifted >> (7 * group) != bits {
            return None;
        }
        value |= shifted;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
