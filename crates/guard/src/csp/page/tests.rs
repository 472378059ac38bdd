//! Facts in, policy texts out. The two constants were scored with csp_evaluator and the Observatory's grader.

use super::*;
use crate::Environment;
use crate::csp::{Mode, Origin};

fn other(text: &str) -> Source {
    Source::Other(Origin::parse(text).unwrap())
}

fn hashes(texts: &[&str]) -> BTreeSet<Hash> {
    texts.iter().map(|text| Hash::of_text(text)).collect()
}

fn many(count: usize) -> BTreeSet<Hash> {
    (0..count).map(|number| Hash::of_text(&number.to_string())).collect()
}

fn policy(facts: &PageFacts, https: bool) -> String {
    static_policy(facts, &Headers::default(), https).as_str().to_owned()
}

fn directive(policy: &str, name: &str) -> Option<String> {
    let mut named =
        policy.split("; ").filter_map(|one| one.split_once(' ').filter(|(own, _)| *own == name));
    let value = named.next().map(|(_, value)| value.to_owned());
    assert!(named.next().is_none(), "{name} twice: browsers keep the first");
    value
}

/// csp_evaluator 1.1.8 reports nothing at all about this text.
const EMPTY: &str = "default-src 'none'; script-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; media-src 'self'; manifest-src 'self'; worker-src 'self'; frame-src 'none'; \
    form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

/// csp_evaluator 1.1.8: one finding about this text, of severity 100 (none).
const PORTFOLIO: &str = "default-src 'none'; script-src 'strict-dynamic' \
    'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0=' \
    'sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO' 'unsafe-inline' https:; \
    style-src 'self' 'sha256-fJgEClQWV1hGkK4qHMO0KotTsVnMYMXTq7/suurGyUo=' https://fonts.googleapis.com; \
    style-src-attr 'unsafe-hashes' 'sha256-8f935d27GvUutRyY9yWScUMiFUk4WTdZURISiYfPOeQ='; \
    img-src 'self' data: https://i.example https://fonts.googleapis.com; \
    font-src 'self' https://fonts.gstatic.com; connect-src 'self'; media-src 'self'; manifest-src 'self'; \
    worker-src 'self'; frame-src https://www.youtube.com; form-action 'self' https://form.example; \
    base-uri 'self'; object-src 'none'; frame-ancestors 'none'";

fn portfolio() -> PageFacts {
    PageFacts {
        inline_scripts: hashes(&["b"]),
        external_scripts: [Hash::of_file(b"alert('Hello, world.');")].into(),
        inline_styles: hashes(&["body{}"]),
        style_attributes: hashes(&["color:red"]),
        sources: [
            (Kind::Style, other("https://fonts.googleapis.com")),
            (Kind::Img, other("http://i.example")),
            (Kind::Frame, other("https://www.youtube.com")),
            (Kind::Form, other("https://form.example")),
            (Kind::Base, Source::Own),
        ]
        .into(),
        ..PageFacts::default()
    }
}

#[test]
fn a_page_without_scripts_allows_none() {
    assert_eq!(policy(&PageFacts::default(), false), EMPTY);
    assert_eq!(policy(&PageFacts::default(), true), format!("{EMPTY}; upgrade-insecure-requests"));
}

#[test]
fn a_page_allows_what_it_contains() {
    assert_eq!(policy(&portfolio(), true), format!("{PORTFOLIO}; upgrade-insecure-requests"));
    assert_eq!(policy(&portfolio(), false), PORTFOLIO.replace("https://i.example", "i.example"));
}

#[test]
fn scripts_are_never_allowed_by_place_where_bytes_are_known() {
    for https in [true, false] {
        let scripts = directive(&policy(&portfolio(), https), "script-src").unwrap();
        assert!(!scripts.contains("'self'") && !scripts.contains("https://"), "{scripts}");
        assert!(
            scripts.starts_with("'strict-dynamic' 'sha"),
            "'unsafe-inline' without a hash would be heeded"
        );
    }
}

#[test]
fn an_unpinned_script_costs_strict_dynamic_and_the_fallbacks() {
    let facts = PageFacts {
        unpinned_scripts: [other("https://cdn.example")].into(),
        inline_scripts: hashes(&["b"]),
        ..PageFacts::default()
    };
    let scripts = directive(&policy(&facts, true), "script-src").unwrap();
    assert_eq!(scripts, format!("'self' {} https://cdn.example", Hash::of_text("b")));
    let concerns = list_concerns(&facts, &Headers::default());
    assert!(concerns[0].contains("https://cdn.example has no integrity"), "{concerns:?}");
}

#[test]
fn imports_that_are_not_listed_cost_strict_dynamic_and_are_a_concern() {
    let facts =
        PageFacts { open_imports: true, inline_scripts: hashes(&["b"]), ..PageFacts::default() };
    let scripts = directive(&policy(&facts, true), "script-src").unwrap();
    assert_eq!(scripts, format!("'self' {}", Hash::of_text("b")));
    let concerns = list_concerns(&facts, &Headers::default());
    assert!(concerns.len() == 1 && concerns[0].contains("every script of this site"));
    let roadmap = Headers { headers: Preset::Roadmap, ..Headers::default() };
    assert_eq!(list_concerns(&facts, &roadmap), [] as [&str; 0]);
}

#[test]
fn an_unread_page_gets_the_sites_files_and_nothing_inline() {
    let text = untouched_policy(&Headers::default(), false);
    assert_eq!(directive(text.as_str(), "script-src").unwrap(), "'self'");
    assert!(!text.as_str().contains("unsafe"));
    assert_eq!(list_concerns(&PageFacts::unread(), &Headers::default()), [] as [&str; 0]);
}

#[test]
fn many_hashes_are_bounded() {
    let at = |count| PageFacts { style_attributes: many(count), ..PageFacts::default() };
    let full = directive(&policy(&at(STYLE_ATTRIBUTES_MAX), true), "style-src-attr").unwrap();
    assert_eq!(full.matches("'sha256-").count(), STYLE_ATTRIBUTES_MAX);
    let over = directive(&policy(&at(STYLE_ATTRIBUTES_MAX + 1), true), "style-src-attr").unwrap();
    assert_eq!(over, "'unsafe-inline'");
    assert_eq!(directive(&policy(&at(0), true), "style-src-attr"), None);
    let facts = PageFacts {
        inline_scripts: many(HASHES_MAX + 1),
        inline_styles: many(HASHES_MAX + 1),
        ..PageFacts::default()
    };
    let text = policy(&facts, true);
    assert_eq!(text.matches("'sha256-").count(), 2 * HASHES_MAX);
    assert_eq!(list_concerns(&facts, &Headers::default()).len(), 2);
}

#[test]
fn settings_add_and_change() {
    let settings = Headers {
        frame: Frame::SameOrigin,
        allow: Allow {
            connect: vec!["wss://live.example".to_owned(), "nonsense".to_owned()],
            script: vec!["https://late.example".to_owned()],
            img: vec!["blob:".to_owned(), "https://i.example".to_owned()],
            wasm: true,
            ..Allow::default()
        },
        ..Headers::default()
    };
    let text = static_policy(&portfolio(), &settings, true).as_str().to_owned();
    assert_eq!(directive(&text, "connect-src").unwrap(), "'self' wss://live.example");
    assert_eq!(directive(&text, "frame-ancestors").unwrap(), "'self'");
    assert_eq!(
        directive(&text, "img-src").unwrap(),
        "'self' data: https://i.example https://fonts.googleapis.com blob:"
    );
    let scripts = directive(&text, "script-src").unwrap();
    assert!(
        scripts.contains(" 'wasm-unsafe-eval' 'unsafe-inline' https:")
            && !scripts.contains("late.example")
    );
    let unpinned = static_policy(&PageFacts::unread(), &settings, true).as_str().to_owned();
    assert_eq!(
        directive(&unpinned, "script-src").unwrap(),
        "'self' 'wasm-unsafe-eval' https://late.example"
    );
}

#[test]
fn the_roadmap_preset_sends_its_own_directives() {
    let settings = Headers { headers: Preset::Roadmap, ..Headers::default() };
    let text = static_policy(&PageFacts::default(), &settings, true);
    assert_eq!(
        text.as_str(),
        "default-src 'self'; \
         script-src 'self' https://cdn.jsdelivr.net https://unpkg.com https://cdnjs.cloudflare.com; \
         style-src 'self' https://fonts.googleapis.com; font-src 'self' https://fonts.gstatic.com; \
         img-src 'self' data: https: blob:; connect-src 'self'; media-src 'self' https://stream.mux.com; \
         object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; \
         upgrade-insecure-requests"
    );
    let inline = static_policy(&portfolio(), &settings, false);
    let scripts = directive(inline.as_str(), "script-src").unwrap();
    assert!(
        scripts.contains(&Hash::of_text("b").to_string()) && !scripts.contains("unsafe-inline")
    );
}

#[test]
fn framing_oneself_is_a_concern_where_it_is_forbidden() {
    let facts = PageFacts { sources: [(Kind::Frame, Source::Own)].into(), ..PageFacts::default() };
    assert_eq!(directive(&policy(&facts, true), "frame-src").unwrap(), "'self'");
    assert_eq!(list_concerns(&facts, &Headers::default()).len(), 1);
    let same = Headers { frame: Frame::SameOrigin, ..Headers::default() };
    assert_eq!(list_concerns(&facts, &same), [] as [&str; 0]);
}

#[test]
fn the_mode_chooses_the_header() {
    let text = static_policy(&portfolio(), &Headers::default(), true);
    for (environment, name) in [
        (Environment::Production, "content-security-policy"),
        (Environment::Development, "content-security-policy-report-only"),
    ] {
        let mode = Mode::of(&Headers::default().resolved(environment));
        let (header, value) = text.header(mode).unwrap();
        assert_eq!((header.as_str(), value.to_str().unwrap()), (name, text.as_str()));
    }
    assert_eq!(text.header(Mode::Off), None);
}
