//! Reading a page's tags and recomputing the hashes that a policy names. Just enough HTML for pages of tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// The first tag that holds `fragment`, without its angle brackets.
pub(crate) fn find_tag<'h>(html: &'h str, fragment: &str) -> &'h str {
    let at = html.find(fragment).expect("the tag is in the page");
    let begin = html[..at].rfind('<').map_or(at, |open| open + 1);
    let end = html[at..].find('>').map_or(html.len(), |close| at + close);
    &html[begin..end]
}

/// The value of a tag's attribute written in double quotes.
pub(crate) fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let begin = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag[begin..].split('"').next()
}

/// The integrity of `bytes` with the algorithm of `like`, an integrity token.
pub(crate) fn integrity(like: &str, bytes: &[u8]) -> String {
    let algorithm = like.split('-').next().unwrap_or_default();
    let digest = match algorithm {
        "sha256" => STANDARD.encode(Sha256::digest(bytes)),
        "sha384" => STANDARD.encode(Sha384::digest(bytes)),
        "sha512" => STANDARD.encode(Sha512::digest(bytes)),
        other => unreachable!("no such algorithm: {other}"),
    };
    format!("{algorithm}-{digest}")
}

/// A directive of a policy, without its name.
pub(crate) fn directive<'p>(policy: &'p str, name: &str) -> &'p str {
    let mut directives = policy.split(';').map(str::trim);
    let found = directives
        .find_map(|d| d.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(' ')));
    found.expect("the directive is there").trim()
}
