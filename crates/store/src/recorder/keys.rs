//! What makes two events the same, as the key that PostgreSQL's `event_keys` holds. On SQLite the tables' own keys say it.
//!
//! A key begins with the beginning of the event's id, and ids that browsers make begin with the time: keys that come together
//! lie together in the index, whose other pages may be on the disk. What follows is a digest of all that the key is of.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a key is of. The numbers are in the database, and so is the shape of a key: another one makes every event new that
/// is sent again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    PageView = 1,
    Custom = 2,
    Error = 3,
    Engagement = 4,
    Vital = 5,
    /// The page an engagement is of.
    EngagedPage = 6,
    /// The page, metric and navigation a vital is of.
    Measurement = 7,
    /// A batch, because reports have no ids.
    Batch = 8,
}

/// Characters of the id that a key begins with, six bits each.
const NEAR: usize = 8;
const NEAR_BYTES: usize = NEAR * 6 / 8;

/// Eight characters of the first part, then the first 80 bits of SHA-256 of all: of the events whose ids begin alike (a
/// browser's of the same 32 ms) two different ones never have one key.
pub(crate) fn key(of: Of, site: &str, parts: &[&str]) -> Uuid {
    let mut digest = Sha256::new();
    digest.update([of as u8]);
    for part in std::iter::once(&site).chain(parts) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    let near = parts.first().map_or(0, |id| near(id)).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..NEAR_BYTES].copy_from_slice(&near[near.len() - NEAR_BYTES..]);
    bytes[NEAR_BYTES..].copy_from_slice(&digest.finalize()[..16 - NEAR_BYTES]);
    Uuid::from_bytes(bytes)
}

/// The beginning of an id as a number, in the order of the characters.
fn near(id: &str) -> u64 {
    let letters = id.bytes().chain(std::iter::repeat(b'0')).take(NEAR);
    letters.fold(0, |number, letter| number << 6 | u64::from(rank(letter)))
}

fn rank(letter: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0',
        b'A'..=b'Z' => letter - b'A' + 10,
        b'a'..=b'z' => letter - b'a' + 36,
        b'-' => 62,
        _ => 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let all = [
            key(Of::Vital, "a", &["bc"]),
            key(Of::Vital, "ab", &["c"]),
            key(Of::Vital, "a", &["b", "c"]),
            key(Of::Error, "a", &["bc"]),
            // Of one beginning, and so near that only the digest differs.
            key(Of::Vital, "a", &["0123456789"]),
            key(Of::Vital, "a", &["0123456788"]),
            key(Of::Vital, "a", &["é"]),
            key(Of::Vital, "a", &["ß"]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one), "{i}");
        }
        assert_eq!(key(Of::Vital, "a", &["bc"]), all[0]);
    }

    #[test]
    fn keys_stand_in_the_order_in_which_ids_begin() {
        // A base-32 time, and what follows it.
        let times = ["1jf0u2k0q", "1jf0u2k1q", "1jf0u2z0q", "1jf0uaa0q", "2000000g0"];
        let keys = times.map(|time| key(Of::PageView, "site", &[&format!("{time}0123456789abc")]));
        assert!(keys.is_sorted(), "{keys:?}");
        assert!(key(Of::Vital, "other", &["1jf0u2k0qzzz"]) < keys[1]);
    }
}
