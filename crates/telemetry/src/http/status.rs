//! The closed list of status codes that metrics tell apart, so that an upstream cannot make series at will.

/// The codes registered with IANA, and nginx's 499 (client went away). Ascending.
const KNOWN: [u16; 64] = [
    100, 101, 102, 103, 104, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303,
    304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414,
    415, 416, 417, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504,
    505, 506, 507, 508, 510, 511, 520,
];
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];
/// How many slots there are: a slot for each known code and one for the rest of each class.
pub(super) const SLOTS: usize = KNOWN.len() + CLASSES.len();
/// Codes are three digits (RFC 9110, 15).
const CODES: usize = 600;

static SLOT_OF: [u8; CODES] = slots();

const fn slots() -> [u8; CODES] {
    let mut table = [(SLOTS - 1) as u8; CODES];
    let mut code = 100;
    while code < CODES {
        table[code] = (KNOWN.len() + code / 100 - 1) as u8;
        code += 1;
    }
    let mut at = 0;
    while at < KNOWN.len() {
        table[KNOWN[at] as usize] = at as u8;
        at += 1;
    }
    table
}

/// The slot of a code, below [`SLOTS`].
pub(super) fn slot_of(code: u16) -> usize {
    SLOT_OF.get(usize::from(code)).map_or(SLOTS - 1, |slot| usize::from(*slot))
}

/// The label value of a slot.
pub(super) fn label_of(slot: usize) -> String {
    match (KNOWN.get(slot), slot.checked_sub(KNOWN.len())) {
        (Some(code), _) => code.to_string(),
        (None, Some(class)) => CLASSES.get(class).copied().unwrap_or("other").into(),
        (None, None) => "other".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_are_told_apart_and_others_by_class() {
        assert!(KNOWN.is_sorted());
        for (code, label) in [
            (200, "200"),
            (404, "404"),
            (511, "511"),
            (299, "2xx"),
            (599, "5xx"),
            (0, "other"),
            (99, "other"),
            (600, "other"),
            (u16::MAX, "other"),
        ] {
            assert_eq!(label_of(slot_of(code)), label, "{code}");
        }
        assert!((0..=u16::MAX).all(|code| slot_of(code) < SLOTS));
    }
}
