//! Policies of everything that is not an analysed page, by content type.

use super::*;
use crate::settings::Frame;

#[test]
fn data_allows_nothing() {
    let strictest = "default-src 'none'; frame-ancestors 'none'";
    assert_eq!(api_policy().as_str(), strictest);
    for kind in [
        "application/json",
        "text/css; charset=utf-8",
        "font/woff2",
        "application/wasm",
        "",
        "nonsense",
    ] {
        assert_eq!(resource_policy(kind, &Headers::default()).as_str(), strictest, "{kind}");
    }
}

#[test]
fn documents_opened_by_themselves_run_nothing() {
    for kind in [
        "image/svg+xml",
        "IMAGE/SVG+XML; charset=utf-8",
        "application/xhtml+xml",
        "text/xml",
        "application/rss+xml",
    ] {
        let text = resource_policy(kind, &Headers::default()).as_str().to_owned();
        assert!(text.starts_with("default-src 'none'; style-src "), "{text}");
        assert!(text.contains("; sandbox; ") && !text.contains("script-src"), "{text}");
    }
}

#[test]
fn what_browsers_show_by_themselves_can_be_shown() {
    for (kind, part) in [
        ("text/plain; charset=utf-8", "style-src 'unsafe-inline'"),
        ("image/webp", "img-src 'self' data:"),
        ("video/mp4", "media-src 'self'"),
    ] {
        let text = resource_policy(kind, &Headers::default()).as_str().to_owned();
        assert!(
            text.contains(part) && !text.contains("sandbox") && !text.contains("script-src"),
            "{text}"
        );
    }
    let pdf = resource_policy("application/pdf", &Headers::default());
    assert_eq!(pdf.as_str(), "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
}

#[test]
fn a_script_may_live_as_a_worker() {
    let text = resource_policy("text/javascript", &Headers::default());
    assert_eq!(
        text.as_str(),
        "default-src 'none'; script-src 'self'; connect-src 'self' https: wss: data: blob:; worker-src 'self'; frame-ancestors 'none'"
    );
}

#[test]
fn frames_follow_the_setting() {
    let settings = Headers { frame: Frame::SameOrigin, ..Headers::default() };
    assert_eq!(
        resource_policy("application/json", &settings).as_str(),
        "default-src 'none'; frame-ancestors 'self'"
    );
}

#[test]
fn an_error_page_has_its_style_the_sites_icon_and_nothing_else() {
    assert_eq!(
        error_page_policy("body{}").as_str(),
        format!(
            "default-src 'none'; style-src {}; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            Hash::of_text("body{}")
        )
    );
}

#[test]
fn a_page_that_was_not_analysed_keeps_its_files() {
    let settings = Headers::default();
    assert_eq!(
        resource_policy("text/html; charset=utf-8", &settings),
        untouched_policy(&settings, false)
    );
}

#[test]
fn policies_made_once_are_those_of_each_type() {
    let settings = Headers { frame: Frame::SameOrigin, ..Headers::default() };
    let resources = Resources::new(&settings);
    for kind in [
        "text/html; charset=utf-8",
        "image/svg+xml",
        "Text/Plain; charset=utf-8",
        "application/pdf",
        "text/javascript",
        "application/octet-stream",
        "",
    ] {
        assert_eq!(resources.find(kind), &resource_policy(kind, &settings), "{kind}");
    }
}
