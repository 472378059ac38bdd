//! Addresses and free text made safe to keep: no query, no fragment, no user name, bounded length; never decides what is stored, only what it looks like.

mod campaign;
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

#[cfg(test)]
mod tests;
