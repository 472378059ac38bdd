//! Whether scripts of others are loaded by https, and with `integrity`.

use http::header;
use url::Url;

use super::Seen;
use super::headers::joined;
use super::outcome::Outcome;
use crate::page::{Script, is_html};

/// From best to worst: a worse one takes the place of a better one.
const WORSE: [Outcome; 5] = [
    Outcome::IntegrityAll,
    Outcome::IntegrityExternal,
    Outcome::IntegrityInsecure,
    Outcome::IntegrityMissing,
    Outcome::IntegrityMissingInsecure,
];

pub(super) fn judge(seen: &Seen) -> Outcome {
    let kind = joined(&seen.page.headers, &header::CONTENT_TYPE).unwrap_or_default();
    if !is_html(&kind) {
        return Outcome::IntegrityNotHtml;
    }
    if seen.markup.scripts.is_empty() {
        return Outcome::IntegrityNoScripts;
    }
    let mut result = None;
    let mut has_foreign = false;
    for script in &seen.markup.scripts {
        let Some(place) = place(script, &seen.host) else { continue };
        let has_integrity = script.integrity.as_deref().is_some_and(|text| !text.is_empty());
        let is_secure = match place {
            Place::Relative => seen.is_https,
            Place::SameSite { is_https } | Place::Foreign { is_https } => is_https,
        };
        let found = match (place, has_integrity, is_secure) {
            (Place::Foreign { .. }, true, false) => Some(Outcome::IntegrityInsecure),
            (Place::Foreign { .. }, false, true) => Some(Outcome::IntegrityMissing),
            (Place::Foreign { .. }, false, false) => Some(Outcome::IntegrityMissingInsecure),
            (Place::Foreign { .. }, true, true) => None,
            // A bonus, as long as nothing else was found.
            (_, true, true) if result.is_none() => Some(Outcome::IntegrityAll),
            _ => None,
        };
        has_foreign |= matches!(place, Place::Foreign { .. });
        result = worst(result, found);
    }
    result.unwrap_or(if has_foreign {
        Outcome::IntegrityExternal
    } else {
        Outcome::IntegrityOwnScripts
    })
}

/// Where a script comes from. What begins with `//` counts as another's, and as insecure, whoever's it is.
#[derive(Clone, Copy)]
enum Place {
    Relative,
    SameSite { is_https: bool },
    Foreign { is_https: bool },
}

fn place(script: &Script, host: &str) -> Option<Place> {
    let src = script.src.as_deref().filter(|src| !src.is_empty())?;
    if src.starts_with("//") && src.chars().nth(2).is_some_and(|next| next != '/') {
        return Some(Place::Foreign { is_https: false });
    }
    let Some(url) = Url::parse(src).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
    else {
        return Some(Place::Relative);
    };
    let is_https = url.scheme() == "https";
    let of = url.host_str().and_then(domain);
    Some(match of == domain(host) {
        true => Place::SameSite { is_https },
        false => Place::Foreign { is_https },
    })
}

/// The part of a name that somebody registered, by the public suffix list without its private part.
pub(crate) fn domain(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if host.parse::<std::net::Ipv4Addr>().is_ok() || host.starts_with('[') {
        return None;
    }
    let mut suffix = psl::suffix(host.as_bytes())?;
    // Below a private suffix the public one is what follows it.
    while suffix.typ() == Some(psl::Type::Private) {
        let text = std::str::from_utf8(suffix.as_bytes()).ok()?.to_owned();
        let (_, rest) = text.split_once('.')?;
        let at = host.len() - rest.len();
        suffix = psl::suffix(host.as_bytes().get(at..)?)?;
    }
    let suffix = std::str::from_utf8(suffix.as_bytes()).ok()?;
    let rest = host.strip_suffix(suffix)?.strip_suffix('.')?;
    let label = rest.rsplit('.').next().filter(|label| !label.is_empty())?;
    Some(format!("{label}.{suffix}"))
}

fn worst(old: Option<Outcome>, new: Option<Outcome>) -> Option<Outcome> {
    let rank = |outcome: Outcome| WORSE.iter().position(|known| *known == outcome);
    match (old, new) {
        (Some(old), Some(new)) => Some(if rank(new) > rank(old) { new } else { old }),
        (old, new) => new.or(old),
    }
}
