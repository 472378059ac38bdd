//! Conditional requests (RFC 9110 §13): is the client's copy still good. Pure.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};

/// The validators of what would be sent.
pub(crate) struct Validators<'a> {
    /// Strong entity tag with its quotes.
    pub(crate) etag: &'a str,
    /// Modification time, whole seconds.
    pub(crate) modified: SystemTime,
}

/// The preconditions of a request, as far as they are text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions<'a> {
    pub(crate) if_match: Option<&'a str>,
    pub(crate) if_unmodified_since: Option<&'a str>,
    pub(crate) if_none_match: Option<&'a str>,
    pub(crate) if_modified_since: Option<&'a str>,
}

impl<'a> Conditions<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        Self {
            if_match: text(headers, &IF_MATCH),
            if_unmodified_since: text(headers, &IF_UNMODIFIED_SINCE),
            if_none_match: text(headers, &IF_NONE_MATCH),
            if_modified_since: text(headers, &IF_MODIFIED_SINCE),
        }
    }
}

/// What the preconditions ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Send it.
    Send,
    /// 304: the client's copy is good.
    NotModified,
    /// 412: the client demanded another state.
    Failed,
}

/// Evaluates the preconditions in the order of RFC 9110 §13.2.2.
pub(crate) fn evaluate(asked: &Conditions<'_>, validators: &Validators<'_>) -> Outcome {
    if let Some(tags) = asked.if_match {
        if !matches(tags, validators.etag, Comparison::Strong) {
            return Outcome::Failed;
        }
    } else if let Some(since) = time(asked.if_unmodified_since)
        && validators.modified > since
    {
        return Outcome::Failed;
    }
    if let Some(tags) = asked.if_none_match {
        if matches(tags, validators.etag, Comparison::Weak) {
            return Outcome::NotModified;
        }
    } else if let Some(since) = time(asked.if_modified_since)
        && validators.modified <= since
    {
        return Outcome::NotModified;
    }
    Outcome::Send
}

/// Whether a `Range` may be answered: `If-Range` is absent or names exactly what we have (RFC 9110 §13.1.5).
pub(crate) fn range_allowed(headers: &HeaderMap, validators: &Validators<'_>) -> bool {
    match text(headers, &IF_RANGE) {
        None => !headers.contains_key(IF_RANGE),
        Some(tag) if tag.starts_with('"') => tag == validators.etag,
        Some(date) => httpdate::parse_http_date(date).is_ok_and(|at| at == validators.modified),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    Strong,
    Weak,
}

fn matches(list: &str, etag: &str, how: Comparison) -> bool {
    let list = list.trim();
    list == "*"
        || list == etag
        || list.split(',').map(str::trim).any(|tag| match (tag.strip_prefix("W/"), how) {
            (Some(weak), Comparison::Weak) => weak == etag,
            (Some(_), Comparison::Strong) => false,
            (None, _) => tag == etag,
        })
}

fn text<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn time(value: Option<&str>) -> Option<SystemTime> {
    value.and_then(|value| httpdate::parse_http_date(value).ok())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const ETAG: &str = "\"abc\"";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (http::HeaderName::from_static(n), http::HeaderValue::from_static(v)))
            .collect()
    }

    fn validators() -> Validators<'static> {
        Validators { etag: ETAG, modified: UNIX_EPOCH + Duration::from_secs(784_111_777) }
    }

    #[test]
    fn preconditions_follow_the_rfc_order() {
        let at = "Sun, 06 Nov 1994 08:49:37 GMT";
        let before = "Sun, 06 Nov 1994 08:49:36 GMT";
        let check = |pairs: &[(&'static str, &'static str)], outcome: Outcome| {
            assert_eq!(
                evaluate(&Conditions::of(&headers(pairs)), &validators()),
                outcome,
                "{pairs:?}"
            );
        };
        check(&[], Outcome::Send);
        check(&[("if-none-match", "\"abc\"")], Outcome::NotModified);
        check(&[("if-none-match", "W/\"abc\"")], Outcome::NotModified);
        check(&[("if-none-match", "\"x\", \"abc\"")], Outcome::NotModified);
        check(&[("if-none-match", "*")], Outcome::NotModified);
        check(&[("if-none-match", "\"x\"")], Outcome::Send);
        check(&[("if-none-match", "\"x\""), ("if-modified-since", at)], Outcome::Send);
        check(&[("if-modified-since", at)], Outcome::NotModified);
        check(&[("if-modified-since", before)], Outcome::Send);
        check(&[("if-modified-since", "rubbish")], Outcome::Send);
        check(&[("if-match", "\"x\"")], Outcome::Failed);
        check(&[("if-match", "W/\"abc\"")], Outcome::Failed);
        check(&[("if-match", "\"abc\"")], Outcome::Send);
        check(&[("if-unmodified-since", before)], Outcome::Failed);
    }

    #[test]
    fn a_range_needs_the_very_same_bytes() {
        let check = |value: &'static str, allowed: bool| {
            assert_eq!(
                range_allowed(&headers(&[("if-range", value)]), &validators()),
                allowed,
                "{value}"
            );
        };
        check("\"abc\"", true);
        check("W/\"abc\"", false);
        check("\"x\"", false);
        check("Sun, 06 Nov 1994 08:49:37 GMT", true);
        check("Sun, 06 Nov 1994 08:49:38 GMT", false);
        assert!(range_allowed(&HeaderMap::new(), &validators()));
    }
}
