//! Ids of what apps record. They share tables with browsers' events, whose ids anybody may choose: each begins with a colon,
//! which no browser's id may hold, so that nobody can take the id of what an app will record.

use sha2::{Digest, Sha256};

/// As long as the longest of browsers.
const CHARS: usize = 32;

/// Of an item whose id was sent: what is sent again in the same list is the same.
pub(super) fn of_sent(list: &str, sent: &str) -> String {
    digest(&["sent", list, sent])
}

/// Of an item without one in a request that has: what is sent again at the same place is the same.
pub(super) fn of_place(list: &str, at: usize, request: &str) -> String {
    digest(&["place", list, &at.to_string(), request])
}

fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new_with_prefix(b"app");
    for part in parts {
        hash.update([0]);
        hash.update(part.as_bytes());
    }
    let mut id = String::from(":");
    id.extend(hash.finalize().iter().map(|byte| format!("{byte:02x}")));
    id.truncate(CHARS);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another_and_none_is_a_browsers() {
        let all = [
            of_sent("events", "order-2026-0000017"),
            of_sent("signups", "order-2026-0000017"),
            of_sent("events", "order-2026-0000018"),
            of_place("events", 0, "order-2026-0000017"),
            of_place("events", 1, "order-2026-0000017"),
            of_place("signups", 0, "order-2026-0000017"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(one.len() == 32 && one.starts_with(':'), "{one}");
            assert!(!all[..at].contains(one), "{one}");
        }
        assert_eq!(of_sent("events", "order-2026-0000017"), all[0]);
    }
}
