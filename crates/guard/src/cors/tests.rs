//! Who may read, and every trick of those who may not.

use super::*;

fn settings(origins: &[&str], credentials: bool) -> Settings {
    let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
    Settings { origins, credentials, ..Settings::default() }
}

fn value<'a>(headers: &'a [(HeaderName, HeaderValue)], name: &str) -> Option<&'a str> {
    let mut named = headers.iter().filter(|(own, _)| own == name);
    let first = named.next().map(|(_, value)| value.to_str().unwrap());
    assert!(named.next().is_none(), "{name} twice");
    first
}

#[test]
fn without_a_list_it_is_silent() {
    let decision = decide(&Settings::default(), Some("https://a.example"), &Method::GET, None);
    assert_eq!(decision, Decision::Silent);
}

#[test]
fn a_listed_origin_may_read() {
    for (credentials, expected) in [(true, Some("true")), (false, None)] {
        let settings = settings(&["https://app.example", "http://localhost:3000"], credentials);
        for origin in ["https://app.example", "http://localhost:3000"] {
            let decision = decide(&settings, Some(origin), &Method::POST, None);
            let Decision::Pass(headers) = decision else { panic!("{decision:?}") };
            assert_eq!(value(&headers, "access-control-allow-origin"), Some(origin));
            assert_eq!(value(&headers, "access-control-allow-credentials"), expected);
            assert_eq!(value(&headers, "vary"), Some("Origin"));
        }
    }
}

#[test]
fn every_other_origin_is_refused_and_the_answer_still_varies() {
    let settings = settings(&["https://app.example", "https://*.example", "null", "*"], true);
    for origin in [
        None,
        Some("null"),
        Some("*"),
        Some(""),
        Some("https://*.example"),
        Some("https://evil.example"),
        Some("https://app.example.evil.example"),
        Some("https://app.examples"),
        Some("https://app.exampl"),
        Some("https://evilapp.example"),
        Some("https://sub.app.example"),
        Some("http://app.example"),
        Some("https://app.example:443"),
        Some("https://app.example:8443"),
        Some("https://app.example/"),
        Some("https://app.example."),
        Some("https://APP.example"),
        Some("HTTPS://app.example"),
        Some(" https://app.example"),
        Some("https://app.example https://evil.example"),
        Some("https://evil.example,https://app.example"),
        Some("https://user@app.example"),
        Some("https://app.example\r\nX: y"),
        Some("https://\u{430}pp.example"),
    ] {
        for method in [Method::GET, Method::OPTIONS] {
            let decision = decide(&settings, origin, &method, Some("PUT"));
            let Decision::Pass(headers) = decision else { panic!("{origin:?}: {decision:?}") };
            assert_eq!(headers.len(), 1, "{origin:?}");
            assert!(value(&headers, "vary").unwrap().starts_with("Origin"));
        }
    }
}

#[test]
fn a_preflight_is_answered_at_once() {
    let settings = settings(&["https://app.example"], true);
    let decision = decide(&settings, Some("https://app.example"), &Method::OPTIONS, Some("DELETE"));
    let Decision::Preflight(headers) = decision else { panic!("{decision:?}") };
    for (name, expected) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS"),
        (
            "access-control-allow-headers",
            "Content-Type, Authorization, X-Requested-With, X-API-Key, traceparent, sentry-trace, baggage",
        ),
        ("access-control-max-age", "7200"),
        ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    ] {
        assert_eq!(value(&headers, name), Some(expected));
    }
    let bare_options = decide(&settings, Some("https://app.example"), &Method::OPTIONS, None);
    assert!(matches!(bare_options, Decision::Pass(_)));
    let get = decide(&settings, Some("https://app.example"), &Method::GET, Some("PUT"));
    assert!(matches!(get, Decision::Pass(_)));
}
