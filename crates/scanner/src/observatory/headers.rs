//! Tests that look at one header each. Content-Security-Policy and cookies have files of their own.

use http::HeaderMap;
use http::header::{self, HeaderName};

use super::Seen;
use super::outcome::Outcome;

const SIX_MONTHS_SECONDS: f64 = 15_552_000.0;
/// Of these only the first counts when they come twice, as in Node; of all others a list is made.
const SINGLE: [HeaderName; 16] = [
    header::AGE,
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::ETAG,
    header::EXPIRES,
    header::FROM,
    header::HOST,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::REFERER,
    header::RETRY_AFTER,
    header::SERVER,
];

/// A header's value as one text; bytes beyond ASCII are taken for Latin-1.
#[must_use]
pub fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter();
    let mut values = values.map(|v| v.as_bytes().iter().map(|&byte| char::from(byte)).collect());
    let first: String = values.next()?;
    if SINGLE.contains(name) {
        return Some(first);
    }
    Some(values.fold(first, |list, value: String| list + ", " + &value))
}

/// The same, of which only the beginning is looked at, in lower case.
fn brief(seen: &Seen, name: &HeaderName, max: usize) -> Option<String> {
    let text = joined(&seen.page.headers, name).filter(|text| !text.is_empty())?;
    let begin: String = text.chars().take(max).collect();
    Some(begin.trim().to_lowercase())
}

pub(super) fn hsts(seen: &Seen) -> Outcome {
    let Some(https) = &seen.https else { return Outcome::HstsNoHttps };
    let Some(text) = joined(&https.headers, &header::STRICT_TRANSPORT_SECURITY) else {
        return Outcome::HstsMissing;
    };
    if text.contains(',') {
        return Outcome::HstsInvalid;
    }
    let directives = text.split(';').map(|part| part.trim().to_lowercase());
    let mut ages = directives.filter_map(|part| part.strip_prefix("max-age=").map(read_number));
    match ages.next_back() {
        None => Outcome::HstsInvalid,
        // What is no number is not smaller than six months.
        Some(Some(age)) if age < SIX_MONTHS_SECONDS => Outcome::HstsShort,
        Some(_) => Outcome::HstsLong,
    }
}

/// The number that a text begins with, as JavaScript's `parseInt`.
fn read_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse::<f64>().ok().map(|number| sign * number)
}

/// The Observatory means to tell apart those that let every origin ask with credentials (−50), and never sees it: of its
/// own question it has no `Origin` left. That is a finding of `cross_origin`.
pub(super) fn cors(seen: &Seen) -> Outcome {
    let allowed = seen.cors.as_ref();
    let allowed = allowed.and_then(|headers| joined(headers, &header::ACCESS_CONTROL_ALLOW_ORIGIN));
    match allowed.filter(|text| !text.is_empty()) {
        None => Outcome::CorsNone,
        Some(text) if text.trim() == "*" => Outcome::CorsPublic,
        Some(_) => Outcome::CorsRestricted,
    }
}

pub(super) fn referrer(seen: &Seen) -> Outcome {
    const PRIVATE: [&str; 4] =
        ["no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"];
    const UNSAFE: [&str; 4] =
        ["origin", "origin-when-cross-origin", "unsafe-url", "no-referrer-when-downgrade"];
    let header = joined(&seen.page.headers, &header::REFERRER_POLICY);
    let meta = seen.markup.referrer.clone();
    let told: Vec<_> = header.into_iter().chain(meta).collect();
    if told.is_empty() {
        return Outcome::ReferrerMissing;
    }
    let told = told.join(", ").to_lowercase();
    let mut policies = told.split(',').map(str::trim);
    match policies.rfind(|p| PRIVATE.contains(p) || UNSAFE.contains(p)) {
        Some(policy) if PRIVATE.contains(&policy) => Outcome::ReferrerPrivate,
        Some(_) => Outcome::ReferrerUnsafe,
        None => Outcome::ReferrerInvalid,
    }
}

pub(super) fn content_type(seen: &Seen) -> Outcome {
    match brief(seen, &header::X_CONTENT_TYPE_OPTIONS, 256).as_deref() {
        None => Outcome::ContentTypeMissing,
        Some("nosniff") => Outcome::ContentTypeNosniff,
        Some(_) => Outcome::ContentTypeInvalid,
    }
}

pub(super) fn frame(seen: &Seen, names_ancestors: bool) -> Outcome {
    if names_ancestors {
        return Outcome::FrameByCsp;
    }
    match brief(seen, &header::X_FRAME_OPTIONS, 1_024).as_deref() {
        None => Outcome::FrameMissing,
        Some("deny" | "sameorigin") => Outcome::FrameRefused,
        Some(text) if text.starts_with("allow-from") => Outcome::FrameAllowed,
        Some(_) => Outcome::FrameInvalid,
    }
}

pub(super) fn resource(seen: &Seen) -> Outcome {
    let name = HeaderName::from_static("cross-origin-resource-policy");
    match brief(seen, &name, 256).as_deref() {
        None | Some("") => Outcome::ResourceMissing,
        Some("same-site") => Outcome::ResourceSameSite,
        Some("same-origin") => Outcome::ResourceSameOrigin,
        Some("cross-origin") => Outcome::ResourceCrossOrigin,
        Some(_) => Outcome::ResourceInvalid,
    }
}
