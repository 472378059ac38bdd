//! Addresses and free text made safe to keep: no query, no fragment, no user name, bounded length; never decides what is stored, only what it looks like.

mod campaign;
mod named;
mod secret;
mod text;
mod url;

pub use campaign::{Campaign, campaign};
pub use text::{scrub_error_text, scrub_text};
pub use url::{Address, PATH_BYTES_MAX, URL_BYTES_MAX, parse_http};

/// The beginning of `text`, at most `bytes_max` bytes, cut between characters.
#[must_use]
pub fn shorten(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Where a query or fragment begins: `?`, `#`, or either of them percent-encoded any number of times (`%3F`, `%253f`).
fn find_query(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = memchr::memchr3(b'?', b'#', b'%', &bytes[from..]) {
        let at = from + found;
        if bytes[at] != b'%' || is_encoded_query(&bytes[at + 1..]) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn is_encoded_query(mut after_percent: &[u8]) -> bool {
    while let Some(rest) = after_percent.strip_prefix(b"25") {
        after_percent = rest;
    }
    matches!(after_percent, [b'3', b'f' | b'F', ..] | [b'2', b'3', ..])
}

#[cfg(test)]
mod tests;
