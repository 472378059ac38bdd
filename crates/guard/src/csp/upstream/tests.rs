//! Nonces and build output in, policy texts out.

use std::collections::BTreeSet;

use super::*;
use crate::csp::{Hash, Origin};
use crate::settings::{Allow, Frame};

fn nonce() -> Nonce {
    Nonce::of([7; 18])
}

fn built() -> PageFacts {
    PageFacts {
        inline_scripts: [Hash::of_text("a")].into(),
        external_scripts: [Hash::of_file(b"chunk")].into(),
        inline_styles: [Hash::of_text("body{}")].into(),
        sources: [(Kind::Frame, Source::Other(Origin::parse("https://video.example").unwrap()))]
            .into(),
        ..PageFacts::default()
    }
}

fn text(nonce: Option<&Nonce>, known: &PageFacts, settings: &Headers, https: bool) -> String {
    document_policy(Trusted { nonce, known }, settings, https).as_str().to_owned()
}

fn directive<'p>(policy: &'p str, name: &str) -> &'p str {
    let mut named =
        policy.split("; ").filter_map(|one| one.split_once(' ').filter(|(own, _)| *own == name));
    let value = named.next().map_or("", |(_, value)| value);
    assert!(named.next().is_none(), "{name} twice: browsers keep the first");
    value
}

/// csp_evaluator 1.1.8: nothing worse than INFO about this text, nor about it with hashes in the nonce's place.
const NONCED: &str = "default-src 'none'; \
    script-src 'strict-dynamic' 'nonce-BwcHBwcHBwcHBwcHBwcHBwcH' 'unsafe-inline' https:; \
    style-src 'self' 'nonce-BwcHBwcHBwcHBwcHBwcHBwcH'; style-src-attr 'unsafe-inline'; \
    img-src 'self' data: blob: https:; font-src 'self' data: https:; connect-src 'self'; \
    media-src 'self' data: blob: https:; manifest-src 'self'; worker-src 'self' blob:; frame-src 'self'; \
    form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

#[test]
fn a_nonce_page_names_its_nonce_and_no_place_for_scripts() {
    let none = PageFacts::default();
    assert_eq!(text(Some(&nonce()), &none, &Headers::default(), false), NONCED);
    assert_eq!(
        text(Some(&nonce()), &none, &Headers::default(), true),
        format!("{NONCED}; upgrade-insecure-requests")
    );
}

#[test]
fn a_page_of_the_build_names_hashes_and_no_nonce() {
    let policy = text(None, &built(), &Headers::default(), false);
    let scripts = directive(&policy, "script-src");
    assert_eq!(
        scripts,
        format!(
            "'strict-dynamic' {} {} 'unsafe-inline' https:",
            Hash::of_text("a"),
            Hash::of_file(b"chunk")
        )
    );
    assert!(!policy.contains("nonce-"), "{policy}");
    assert!(directive(&policy, "style-src").ends_with(&Hash::of_text("body{}").to_string()));
    assert_eq!(directive(&policy, "frame-src"), "'self' https://video.example");
}

#[test]
fn without_nonce_and_hash_no_script_runs() {
    for preset in [Preset::Default, Preset::Roadmap] {
        let settings = Headers { headers: preset, ..Headers::default() };
        let policy = text(None, &PageFacts::default(), &settings, true);
        let scripts = directive(&policy, "script-src");
        assert!(!scripts.contains("unsafe"), "'unsafe-inline' alone would be heeded: {scripts}");
    }
}

#[test]
fn the_preset_keeps_its_lists_and_gets_the_nonce() {
    let settings = Headers { headers: Preset::Roadmap, ..Headers::default() };
    let policy = text(Some(&nonce()), &built(), &settings, true);
    let scripts = directive(&policy, "script-src");
    assert!(scripts.starts_with("'self' https://cdn.jsdelivr.net"), "{scripts}");
    assert!(scripts.contains(&Hash::of_text("a").to_string()), "{scripts}");
    assert!(scripts.ends_with(&nonce().source()) && !scripts.contains("unsafe-inline"));
}

#[test]
fn settings_open_what_they_name() {
    let settings = Headers {
        frame: Frame::SameOrigin,
        allow: Allow {
            connect: vec!["wss://live.example".to_owned()],
            wasm: true,
            ..Allow::default()
        },
        ..Headers::default()
    };
    let policy = text(Some(&nonce()), &PageFacts::default(), &settings, true);
    assert_eq!(directive(&policy, "connect-src"), "'self' wss://live.example");
    assert_eq!(directive(&policy, "frame-ancestors"), "'self'");
    assert!(directive(&policy, "script-src").contains("'wasm-unsafe-eval'"));
}

#[test]
fn a_nonce_has_144_bits_is_never_twice_the_same_and_never_shown() {
    let mut seen = BTreeSet::new();
    for _ in 0..10_000 {
        let nonce = Nonce::draw(&Entropy::System).unwrap();
        assert_eq!(STANDARD.decode(nonce.as_str()).unwrap().len(), 18);
        assert!(seen.insert(nonce.as_str().to_owned()));
    }
    assert_eq!(format!("{:?}", nonce()), "Nonce(…)");
    assert_eq!(
        request_policy(&nonce()),
        "script-src 'nonce-BwcHBwcHBwcHBwcHBwcHBwcH' 'strict-dynamic'"
    );
}

#[test]
fn an_unknown_app_is_reported_until_its_owner_says_otherwise() {
    use App::{Recognised, Unknown};
    use Environment::{Development, Production};
    for (csp, environment, app, expected) in [
        (Csp::Auto, Production, Recognised, Mode::Enforce),
        (Csp::Auto, Production, Unknown, Mode::Report),
        (Csp::Auto, Development, Recognised, Mode::Report),
        (Csp::Enforce, Development, Unknown, Mode::Enforce),
        (Csp::Report, Production, Recognised, Mode::Report),
        (Csp::Off, Production, Recognised, Mode::Off),
    ] {
        let settings = Headers { csp, ..Headers::default() };
        assert_eq!(mode(&settings, environment, app), expected, "{csp:?} {environment:?} {app:?}");
    }
}

#[test]
fn an_apps_own_policy_is_read_as_browsers_do() {
    let ours = format!("script-src {} 'strict-dynamic'", nonce().source());
    for (policies, expected) in [
        (vec![], Own::Compatible),
        (vec!["img-src 'none'"], Own::Compatible),
        (vec!["default-src 'self'"], Own::Compatible),
        (vec!["default-src 'none'; script-src 'self'"], Own::Compatible),
        (vec!["SCRIPT-SRC 'SELF'; script-src 'none'"], Own::Compatible),
        (vec!["script-src *"], Own::Compatible),
        (vec![ours.as_str()], Own::Compatible),
        (vec!["script-src https://cdn.example"], Own::WithoutTag),
        (vec!["script-src 'self'; script-src-elem 'none'"], Own::WithoutTag),
        (vec!["script-src 'self' 'strict-dynamic' 'sha256-x'"], Own::WithoutTag),
        (vec!["default-src 'self', script-src 'none'"], Own::WithoutTag),
        (vec!["script-src 'nonce-abc'"], Own::OwnNonce),
        (vec!["script-src 'none'", "default-src 'Nonce-abc'"], Own::OwnNonce),
    ] {
        assert_eq!(read_own(policies.iter().copied(), &nonce()), expected, "{policies:?}");
    }
}

#[test]
fn a_page_made_at_run_time_brings_nothing_of_its_own() {
    let page = PageFacts {
        inline_scripts: [Hash::of_text("a"), Hash::of_text("planted")].into(),
        external_scripts: [Hash::of_file(b"evil")].into(),
        inline_styles: [Hash::of_text("planted")].into(),
        sources: [(Kind::Base, Source::Other(Origin::parse("https://evil.example").unwrap()))]
            .into(),
        ..PageFacts::default()
    };
    let left = restricted(&page, &built());
    assert_eq!(left.inline_scripts, [Hash::of_text("a")].into());
    assert!(left.external_scripts.is_empty());
    assert_eq!((left.inline_styles, left.sources), (built().inline_styles, built().sources));
}
