//! Words that look like a key, a token or somebody's id rather than like language. Says nothing about what a word means.

/// What stands where one was.
const REPLACEMENT: &str = "[id]";
/// Shorter pieces tell too little to be told from names.
const PIECE_BYTES_MIN: usize = 16;

/// `text` with every word that looks random replaced.
pub(super) fn scrub_words(text: &str) -> String {
    let words = text.split(' ').map(|word| if is_secret(word) { REPLACEMENT } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// A UUID, a JSON web token, a long run of hexadecimal digits, or a long mixture of letters and digits.
fn is_secret(word: &str) -> bool {
    let pieces = || word.split(|c: char| !c.is_ascii_alphanumeric());
    pieces().any(is_random) || pieces().any(|piece| piece.starts_with("eyJ")) || holds_uuid(word)
}

fn is_random(piece: &str) -> bool {
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    if piece.len() < PIECE_BYTES_MIN || digits == 0 {
        return false;
    }
    let is_hex = piece.bytes().all(|b| b.is_ascii_hexdigit()) && digits < piece.len();
    // People change between letters and digits, or small and capital ones, once a word; chance does at every second.
    is_hex || count_turns(piece, kind) * 5 >= piece.len() * 2 || count_turns(piece, is_digit) >= 5
}

/// How often neighbours are of different kinds.
fn count_turns<T: PartialEq>(piece: &str, kind: fn(u8) -> T) -> usize {
    piece.as_bytes().windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count()
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn kind(byte: u8) -> u8 {
    u8::from(byte.is_ascii_digit()) + 2 * u8::from(byte.is_ascii_uppercase())
}

/// RFC 9562 §4, anywhere in the word.
fn holds_uuid(word: &str) -> bool {
    word.as_bytes().windows(36).any(|window| {
        window.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_random_is_replaced_and_names_are_kept() {
        for word in [
            "550e8400-e29b-41d4-a716-446655440000",
            "u_550E8400-E29B-41D4-A716-446655440000",
            "d41d8cd98f00b204e9800998ecf8427e",
            "4eC39HqLyjWDarjtT1zdp7dc",
            "k3j9x2m4q8w1z7p5r6",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig",
            "CjwKCAiA9vS6BhA9EiwAJpnXw",
        ] {
            assert_eq!(scrub_words(word), REPLACEMENT, "{word}");
        }
        for name in [
            "newsletter",
            "summer-sale-2024-newsletter-v2",
            "summer2024newsletter10off",
            "BlackFriday2024DealsEmail",
            "SummerSaleNewsletterSpecial",
            "2024-11-22",
            "12345678901234567890",
            "google.com",
            "[email]",
            "übergroße Größen 2024",
            "",
        ] {
            assert_eq!(scrub_words(name), name);
        }
        assert_eq!(scrub_words("to d41d8cd98f00b204e9800998ecf8427e now"), "to [id] now");
    }
}
