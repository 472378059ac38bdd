//! Secrets that prove something by being known: 256 random bits in URL-safe text, and the operator's token file.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_base::Entropy;
use mainstay_base::entropy::Exhausted;
use mainstay_base::secret::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Longest text that is looked at as a token.
const TOKEN_BYTES_MAX: usize = 512;

/// A fresh secret; printed once, never stored.
pub struct Token(SecretString);

impl Token {
    /// 256 random bits, 43 characters of base64url.
    ///
    /// # Errors
    /// [`Exhausted`] when the operating system gives no random bytes.
    pub fn generate(entropy: &Entropy) -> Result<Self, Exhausted> {
        Ok(Self(URL_SAFE_NO_PAD.encode(entropy.bytes::<32>()?).into()))
    }

    /// The text, for the one place that hands it over.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What is stored of a token.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The bearer token of the operator's file, kept as a hash.
#[derive(Clone, Debug)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// From the file's text; surrounding white space does not count. `None` when nothing is left.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && text.len() <= TOKEN_BYTES_MAX).then(|| Self(hash(text)))
    }

    /// Whether this is the token; takes the same time for every wrong one.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        presented.len() <= TOKEN_BYTES_MAX && bool::from(self.0.ct_eq(&hash(presented)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_url_safe_and_never_the_same() -> Result<(), Exhausted> {
        let (one, other) = (Token::generate(&Entropy::System)?, Token::generate(&Entropy::System)?);
        assert_eq!(one.expose().len(), 43);
        assert!(one.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_ne!(one.expose(), other.expose());
        Ok(())
    }

    #[test]
    fn the_file_is_trimmed_and_only_the_exact_token_matches() {
        let token = AdminToken::parse("  s3cret-token\n").expect("a token");
        assert!(token.matches("s3cret-token"));
        for wrong in ["", "s3cret-token ", "s3cret-toke", "S3CRET-TOKEN"] {
            assert!(!token.matches(wrong), "{wrong}");
        }
        assert!(AdminToken::parse(" \n").is_none());
    }
}
