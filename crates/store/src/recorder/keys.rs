//! What makes two events the same, as the digest PostgreSQL's `event_keys` holds. On SQLite the tables' own keys say it.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a key is of. The numbers are in the database: they never change.
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

/// The first 128 bits of SHA-256: two different events never have one key.
pub(crate) fn key(of: Of, site: &str, parts: &[&str]) -> Uuid {
    let mut digest = Sha256::new();
    digest.update([of as u8]);
    for part in std::iter::once(&site).chain(parts) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    Uuid::from_bytes(bytes)
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
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one), "{i}");
        }
        assert_eq!(key(Of::Vital, "a", &["bc"]), all[0]);
    }
}
