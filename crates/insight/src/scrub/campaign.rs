//! The few query parameters that say where a visitor came from, by allow-list; every other parameter is dropped unread.

use serde_json::{Map, Value};

use super::{parse_http, scrub_error_text, secret, shorten};

/// Bytes kept of one value.
const VALUE_BYTES_MAX: usize = 100;

/// The campaign parameters of a landing address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Campaign {
    /// The first of `utm_source`, `ref`, `source`, `via` that has a value.
    pub source: Option<String>,
    /// `utm_medium`, `utm_campaign`, `utm_content`, `utm_term` as JSON text, none when there are none.
    pub rest: Option<String>,
}

const SOURCES: [&str; 4] = ["utm_source", "ref", "source", "via"];
const REST: [(&str, &str); 4] = [
    ("utm_medium", "medium"),
    ("utm_campaign", "campaign"),
    ("utm_content", "content"),
    ("utm_term", "term"),
];

/// Reads the allowed parameters of a query.
#[must_use]
pub fn campaign(query: &str) -> Campaign {
    if query.is_empty() {
        return Campaign::default();
    }
    let mut sources = [const { None }; SOURCES.len()];
    let mut rest = Map::new();
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if let Some(at) = SOURCES.iter().position(|name| *name == key) {
            sources[at] = sources[at].take().or_else(|| clean(value));
        } else if let Some((_, name)) = REST.iter().find(|(name, _)| *name == key)
            && !rest.contains_key(*name)
            && let Some(value) = clean(value)
        {
            rest.insert((*name).into(), Value::String(value));
        }
    }
    let source = sources.into_iter().flatten().next().map(host_of_address);
    Campaign { source, rest: (!rest.is_empty()).then(|| Value::Object(rest).to_string()) }
}

/// A source given as an address (`ref=https://…`) is its host.
fn host_of_address(value: String) -> String {
    match parse_http(&value) {
        Some(address) => address.host.into_owned(),
        None => value,
    }
}

fn clean(value: &str) -> Option<String> {
    if is_plain(value) {
        return Some(value.to_owned());
    }
    let decoded = decode(value);
    let printable: String = decoded.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // Mailing programs write recipients and their keys into these.
    let scrubbed = secret::scrub_words(&scrub_error_text(printable.trim(), usize::MAX));
    let kept = shorten(scrubbed.trim(), VALUE_BYTES_MAX);
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// One short word of small letters: what most values are, and nothing to decode or to hide in.
fn is_plain(value: &str) -> bool {
    (1..=32).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// `application/x-www-form-urlencoded` (WHATWG URL §5): `+` is a space, `%XX` a byte, the rest as it is.
fn decode(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = (bytes[at] == b'%').then(|| value.get(at + 1..at + 3)).flatten();
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
