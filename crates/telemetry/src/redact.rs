//! What must not be written down is taken out of text here: query strings, credentials, full client addresses. Nothing is written here.

mod address;
pub mod named;
mod scan;

use std::borrow::Cow;

/// What stands where something was taken out.
pub const REDACTED: &str = "[redacted]";

/// Longer text is cut: what is logged may be a stranger's.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// Parts of names whose values are never written down, in lower case.
const SENSITIVE: [&str; 11] = [
    "authorization",
    "token",
    "password",
    "passwd",
    "secret",
    "cookie",
    "credential",
    "api_key",
    "api-key",
    "apikey",
    "private_key",
];

/// A field's value as it may be written: [`REDACTED`] when the name says that it is a secret, else [`text`] of it.
#[must_use]
pub fn field<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if is_sensitive(name) { Cow::Borrowed(REDACTED) } else { text(value) }
}

/// Whether values under this name are never written down.
#[must_use]
pub fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SENSITIVE.iter().any(|part| name.contains(part))
}

/// Free text as it may be written.
///
/// Taken out are: what follows `?` in a word, and `#` in a URL; user and password of a URL; the value after a
/// sensitive name and `=` or `:`, for `Cookie` and `Authorization` the rest of the line; what follows `Bearer`.
/// Addresses lose their host part, except loopback and unspecified ones. At most 8 KiB are kept.
#[must_use]
pub fn text(input: &str) -> Cow<'_, str> {
    let kept = &input[..input.floor_char_boundary(TEXT_BYTES_MAX)];
    let output = scan::Scan::default().run(kept);
    if output == input { Cow::Borrowed(input) } else { Cow::Owned(output) }
}

#[cfg(test)]
mod tests;
