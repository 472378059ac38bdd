//! Hash sources: the digest of an inline script or style, or the integrity of a file.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha384};

/// A CSP hash expression without its quotes: `sha256-…`, `sha384-…` or `sha512-…` (CSP3 section 2.3.1). Also the form of one `integrity` token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(Box<str>);

impl Hash {
    /// SHA-256 of an inline script's, style's or style attribute's text, as the browser sees it (see [`super::inline_text`]).
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        Self::sha256(text.as_bytes())
    }

    /// SHA-256 of a file's bytes: the integrity of a module in an import map. There may be many of them in one policy,
    /// and a header has to pass through proxies that keep 4 KiB for all of them.
    #[must_use]
    pub fn of_module(bytes: &[u8]) -> Self {
        Self::sha256(bytes)
    }

    /// SHA-384 of a file's bytes: the value of an `integrity` attribute (Subresource Integrity).
    #[must_use]
    pub fn of_file(bytes: &[u8]) -> Self {
        Self(format!("sha384-{}", STANDARD.encode(Sha384::digest(bytes))).into())
    }

    /// The hashes of an `integrity` attribute's value; options after `?` and unknown algorithms are left out, as browsers do.
    #[must_use]
    pub fn parse_integrity(value: &str) -> Vec<Self> {
        value.split_ascii_whitespace().filter_map(Self::parse_token).collect()
    }

    /// The expression without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn sha256(bytes: &[u8]) -> Self {
        Self(format!("sha256-{}", STANDARD.encode(Sha256::digest(bytes))).into())
    }

    fn parse_token(token: &str) -> Option<Self> {
        let token = token.split('?').next().unwrap_or_default();
        let (algorithm, digest) = token.split_once('-')?;
        let length = match algorithm.to_ascii_lowercase().as_str() {
            "sha256" => 32,
            "sha384" => 48,
            "sha512" => 64,
            _ => return None,
        };
        // Browsers read base64url here too; the policy needs one spelling.
        let digest = STANDARD.decode(digest.replace('-', "+").replace('_', "/")).ok()?;
        (digest.len() == length).then(|| {
            Self(format!("{}-{}", algorithm.to_ascii_lowercase(), STANDARD.encode(digest)).into())
        })
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard_examples() {
        // CSP3 section 8.4 hashes this very text.
        assert_eq!(
            Hash::of_text("doSomething();").as_str(),
            "sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc="
        );
        // SRI section 1.1.
        assert_eq!(
            Hash::of_file(b"alert('Hello, world.');").as_str(),
            "sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO"
        );
    }

    #[test]
    fn integrity_attributes_are_read_as_browsers_do() {
        let sha384 = "sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO";
        let sha256 = "sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc=";
        let parse = |text: &str| -> Vec<String> {
            Hash::parse_integrity(text).iter().map(|hash| hash.as_str().to_owned()).collect()
        };
        assert_eq!(parse(&format!("  {sha256}\n{sha384}?x=1 ")), [sha256, sha384]);
        assert_eq!(parse("md5-abc sha256-short sha1-AAAA nonsense ''"), [] as [&str; 0]);
        assert_eq!(parse(&sha256.replace('+', "-").replacen("sha256", "SHA256", 1)), [sha256]);
        assert_eq!(parse("sha256-';script-src *"), [] as [&str; 0]);
    }
}
