//! The text of a key: `ms_`, eight characters that name it, `_`, 43 random ones and six that check all before them. So a
//! mistyped or shortened key is told without asking anybody, and tools that look for leaked secrets know one by
//! `ms_[0-9a-hjkmnp-tv-z]{8}_[A-Za-z0-9_-]{49}`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_base::Entropy;
use mainstay_base::entropy::Exhausted;
use mainstay_base::secret::SecretString;
use sha2::{Digest, Sha256};

/// What every key begins with.
pub const PREFIX: &str = "ms_";
/// Letters of an id: those that are not taken for one another (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of an id.
pub(crate) const ID_CHARS: usize = 8;
/// 256 random bits in base64url.
const SECRET_CHARS: usize = 43;
/// 36 bits of SHA-256: one of 69 thousand million mistyped keys passes, and is then unknown.
const CHECK_CHARS: usize = 6;
/// Characters of a key.
pub(crate) const CHARS: usize = PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS + CHECK_CHARS;

/// The text is no key, or not the whole of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A fresh key: its id and its text.
pub(crate) fn generate(entropy: &Entropy) -> Result<(String, SecretString), Exhausted> {
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte & 31)]);
    let id: String = entropy.bytes::<ID_CHARS>()?.into_iter().map(letter).collect();
    let secret = URL_SAFE_NO_PAD.encode(entropy.bytes::<32>()?);
    let body = format!("{PREFIX}{id}_{secret}");
    let check = check_of(&body);
    Ok((id, format!("{body}{check}").into()))
}

/// The id of a whole key.
pub(crate) fn find_id(text: &str) -> Result<&str, Malformed> {
    if text.len() != CHARS || !text.is_ascii() {
        return Err(Malformed);
    }
    let (body, check) = text.split_at(CHARS - CHECK_CHARS);
    let (id, secret) = body.strip_prefix(PREFIX).ok_or(Malformed)?.split_at(ID_CHARS);
    let is_whole = id.bytes().all(|b| LETTERS.contains(&b))
        && secret.starts_with('_')
        && check == check_of(body);
    if is_whole { Ok(id) } else { Err(Malformed) }
}

pub(super) fn check_of(body: &str) -> String {
    let digest = Sha256::new_with_prefix(b"mainstay key check:").chain_update(body).finalize();
    let mut check = URL_SAFE_NO_PAD.encode(digest);
    check.truncate(CHECK_CHARS);
    check
}

#[cfg(test)]
mod tests {
    use mainstay_base::secret::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_key_has_the_pattern_that_tools_look_for() -> Result<(), Exhausted> {
        for _ in 0..50 {
            let (id, text) = generate(&Entropy::System)?;
            let text = text.expose_secret();
            assert_eq!((text.len(), &text[..3], &text[11..12]), (61, "ms_", "_"));
            assert!(id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()), "{id}");
            assert!(!id.contains(['i', 'l', 'o', 'u']), "{id}");
            let url_safe = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            assert!(text[12..].bytes().all(url_safe));
            assert_eq!(find_id(text), Ok(&*id));
        }
        Ok(())
    }

    #[test]
    fn whatever_is_mistyped_or_cut_off_is_no_key() -> Result<(), Exhausted> {
        let (_, text) = generate(&Entropy::seeded(4))?;
        let text = text.expose_secret();
        for at in 0..text.len() {
            let other = if &text[at..=at] == "x" { "y" } else { "x" };
            let mistyped = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(find_id(&mistyped), Err(Malformed), "{at}");
            assert_eq!(find_id(&text[..at]), Err(Malformed), "{at}");
        }
        for wrong in [format!("{text}x"), format!(" {text}"), text.replace("ms_", "sk_")] {
            assert_eq!(find_id(&wrong), Err(Malformed));
        }
        // As many bytes, and no boundary of a character where the parts meet.
        assert_eq!(find_id(&"ä".repeat(31)[..61 - 1]), Err(Malformed));
        assert_eq!(find_id(&format!("{}é", &text[..59])), Err(Malformed));
        Ok(())
    }
}
