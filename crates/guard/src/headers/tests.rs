//! The whole set of each preset, word for word.

use super::*;
use crate::Environment;

fn set(settings: &Headers, kind: Kind, https: bool) -> Vec<(String, String)> {
    let headers = security_headers(settings, kind, https).into_iter();
    headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

fn value(settings: &Headers, kind: Kind, https: bool, name: &str) -> Option<String> {
    set(settings, kind, https).into_iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_default_set() {
    let plain = pairs(&[
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        (
            "permissions-policy",
            "camera=(), microphone=(), geolocation=(), payment=(), browsing-topics=()",
        ),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-xss-protection", "0"),
        ("origin-agent-cluster", "?1"),
    ]);
    for environment in [Environment::Development, Environment::Production] {
        let settings = Headers::default().resolved(environment);
        for kind in [Kind::Document, Kind::Asset, Kind::Api] {
            for https in [false, true] {
                assert_eq!(set(&settings, kind, https), plain, "HSTS is opt-in");
            }
        }
    }
}

#[test]
fn the_roadmap_preset_sends_its_own_values() {
    let preset = Headers { headers: Preset::Roadmap, ..Headers::default() };
    let expected = pairs(&[
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("x-xss-protection", "0"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("strict-transport-security", "max-age=63072000; includeSubDomains; preload"),
    ]);
    for environment in [Environment::Development, Environment::Production] {
        assert_eq!(set(&preset.resolved(environment), Kind::Document, true), expected);
        assert_eq!(set(&preset.resolved(environment), Kind::Document, false), expected[..8]);
    }
}

#[test]
fn windows_of_other_origins_keep_hold_only_where_the_settings_say_so() {
    for (opener, expected) in [
        (Opener::SameOrigin, "same-origin"),
        (Opener::SameOriginAllowPopups, "same-origin-allow-popups"),
        (Opener::UnsafeNone, "unsafe-none"),
    ] {
        for headers in [Preset::Default, Preset::Roadmap] {
            let settings = Headers { headers, opener, ..Headers::default() };
            let sent = value(&settings, Kind::Document, false, "cross-origin-opener-policy");
            assert_eq!(sent.as_deref(), Some(expected));
        }
    }
}

#[test]
fn the_hsts_ladder() {
    for (hsts, expected) in [
        (Hsts::Auto, None),
        (Hsts::Off, None),
        (Hsts::Day, Some("max-age=86400")),
        (Hsts::Year, Some("max-age=31536000")),
        (Hsts::Preload, Some("max-age=63072000; includeSubDomains; preload")),
    ] {
        for environment in [Environment::Development, Environment::Production] {
            let settings = Headers { hsts, ..Headers::default() }.resolved(environment);
            let sent = |https| value(&settings, Kind::Asset, https, "strict-transport-security");
            assert_eq!(sent(true).as_deref(), expected);
            assert_eq!(sent(false), None);
        }
        let unresolved = Headers { hsts, ..Headers::default() };
        let sent = value(&unresolved, Kind::Asset, true, "strict-transport-security");
        assert_eq!(sent.as_deref(), expected);
    }
}

#[test]
fn what_an_operator_may_loosen() {
    let settings = Headers {
        frame: Frame::SameOrigin,
        referrer: Referrer::NoReferrer,
        resource: Resource::CrossOrigin,
        ..Headers::default()
    };
    let of = |kind, name| value(&settings, kind, false, name).unwrap();
    assert_eq!(of(Kind::Document, "x-frame-options"), "SAMEORIGIN");
    assert_eq!(of(Kind::Document, "referrer-policy"), "no-referrer");
    assert_eq!(of(Kind::Asset, "cross-origin-resource-policy"), "cross-origin");
    assert_eq!(of(Kind::Api, "cross-origin-resource-policy"), "same-origin");
}
