//! The order in which JavaScript's `Intl.Collator("en")` puts ASCII: which sources of a policy stand next to each other depends on it.

use std::cmp::Ordering;

/// CLDR's root order of what is neither digit nor letter.
const MARKS: &str = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

/// Compares texts that are in lower case.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    one.chars().map(rank).cmp(other.chars().map(rank))
}

fn rank(c: char) -> (u8, u32) {
    match MARKS.find(c) {
        Some(at) => (0, at as u32),
        None if c.is_ascii_digit() => (1, c.into()),
        None => (2, c.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_in_the_order_of_the_collator() {
        // What Node 20 makes of all of it.
        const SORTED: &str =
            " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz";
        let mut found: Vec<_> =
            (' '..='~').filter(|c| !c.is_ascii_uppercase()).map(String::from).collect();
        found.sort_by(|one, other| compare(one, other));
        assert_eq!(found.concat(), SORTED);
        assert_eq!(compare("a-b", "a.b"), Ordering::Less);
        assert_eq!(compare("ab", "a/"), Ordering::Greater);
        assert_eq!(compare("a", "ab"), Ordering::Less);
    }
}
