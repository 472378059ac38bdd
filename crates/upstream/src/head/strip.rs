//! Which headers of a request never reach an upstream as they came. A table and its reasons; changes no header itself.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::client::Dialect;

/// What becomes of a header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Drop,
}

/// Of one connection (RFC 9110 §7.6.1), framing that the body decides anew, and what we say ourselves for every peer.
static OURS: [HeaderName; 14] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::UPGRADE,
    header::TE,
    header::EXPECT,
    header::HOST,
    header::FORWARDED,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    // Tells a framework which nonce its scripts get: ours alone to say.
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
    // `Connection: upgrade, http2-settings` of h2c: never passed on.
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
];

/// The same by name, for those without a constant.
const OURS_BY_NAME: [&str; 11] = [
    "proxy-connection",
    // CGI turns it into HTTP_PROXY ("httpoxy").
    "proxy",
    // Next.js before 15.2.3 skipped its middleware for whoever sent it (CVE-2025-29927).
    "x-middleware-subrequest",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-accel-redirect",
    "x-sendfile",
];

/// What proxies and content networks say about a client: a trusted one's word passes, a stranger's does not.
const TOLD_BY_PROXIES: [&str; 20] = [
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-ipcountry",
    "cf-pseudo-ipv4",
    "cf-ray",
    "cf-visitor",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "tracestate",
    "true-client-ip",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-host",
    "x-original-host",
    "x-original-uri",
    "x-url-scheme",
];
/// How what proxies say beside `X-Forwarded-For` begins: port, user, client certificate, and what is made up tomorrow.
const X_FORWARDED: &str = "x-forwarded";
/// What is said beside it under other names.
const BESIDE_X_FORWARDED: [&str; 3] = ["forwarded-for", "forwarded-for-ip", "front-end-https"];
/// Kept from trusted proxies where they are well formed.
const TRACE: [&str; 2] = ["traceparent", "x-request-id"];

/// Who an app is told is signed in: ours alone to say.
const IDENTITY: &str = "x-mainstay-";

/// Whether a header passes. `told`: in which headers a trusted proxy told of the client, none where a stranger sends it.
///
/// A proxy that speaks `Forwarded` may pass the other dialect on as some client wrote it, the names beside it included.
pub(super) fn judge(name: &HeaderName, told: Option<Dialect>) -> Verdict {
    if OURS.contains(name) {
        return Verdict::Drop;
    }
    let text = name.as_str();
    // An app's CGI variables cannot tell `X_Forwarded_For` from `X-Forwarded-For`.
    if memchr::memchr2(b'_', b'.', text.as_bytes()).is_some() {
        return Verdict::Drop;
    }
    // No standard header is looked up in the tables below.
    let may_be_listed = matches!(text.as_bytes().first(), Some(b'x' | b'c' | b'f' | b't' | b'p'));
    if !may_be_listed {
        return Verdict::Pass;
    }
    let dropped = OURS_BY_NAME.contains(&text)
        || text.starts_with(IDENTITY)
        || (told.is_none() && (TOLD_BY_PROXIES.contains(&text) || TRACE.contains(&text)))
        || (told != Some(Dialect::XForwarded) && is_x_forwarded(text));
    if dropped { Verdict::Drop } else { Verdict::Pass }
}

fn is_x_forwarded(name: &str) -> bool {
    name.starts_with(X_FORWARDED) || BESIDE_X_FORWARDED.contains(&name)
}

/// Takes out of `Trailer` what would not pass as a header: only announced trailers are sent, and some apps merge them
/// into the headers (RFC 9110 §6.5.1 forbids it).
pub(super) fn announce_trailers(out: &mut HeaderMap, told: Option<Dialect>) {
    if !out.contains_key(header::TRAILER) {
        return;
    }
    let passes = |name: &HeaderName| {
        let is_secret = [header::COOKIE, header::AUTHORIZATION].contains(name);
        judge(name, told) == Verdict::Pass && !is_secret
    };
    let lines = out.get_all(header::TRAILER).iter().filter_map(|line| line.to_str().ok());
    let names = lines.flat_map(|line| line.split(',')).map(str::trim);
    let kept: Vec<HeaderValue> =
        names.filter_map(|name| name.parse().ok()).filter(passes).map(HeaderValue::from).collect();
    out.remove(header::TRAILER);
    for name in kept {
        out.append(header::TRAILER, name);
    }
}

/// What a request's `Connection` header names besides the usual: of this connection too. Mostly nothing.
pub(super) fn named_by_connection(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    let usual = ["keep-alive", "close", "upgrade"];
    let is_usual = |name: &str| usual.iter().any(|usual| name.eq_ignore_ascii_case(usual));
    let mut lines = headers.get_all(header::CONNECTION).iter();
    let first = lines.next()?;
    if lines.next().is_none() && first.to_str().is_ok_and(is_usual) {
        return None;
    }
    let names: Vec<HeaderName> = names_of(headers)
        .filter(|name| !is_usual(name))
        .filter_map(|name| name.parse().ok())
        .collect();
    (!names.is_empty()).then_some(names)
}

/// The words of all `Connection` lines.
pub(super) fn names_of(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::CONNECTION).into_iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}
