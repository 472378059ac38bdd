//! Visits from the browser's events to the owner's answers: every read in its documented shape and with the right numbers.

use mainstay_testkit::Batch;

use crate::serve;

#[test]
fn a_page_view_is_counted_everywhere() {
    let server = serve(&[("index.html", "<p>hello</p>")]);
    let batch = Batch::page_view("https://example.org/about?utm_source=x").vital("LCP", 812.5);
    server.accept(&batch);
    let pages = server.rows("/api/v1/pages");
    assert_eq!(pages.len(), 1, "{pages:?}");
    assert_eq!(pages[0], serde_json::json!({"key": "/about", "visitors": 1, "pageviews": 1}));
    let metrics = server.metrics();
    assert!((metrics.value("page_views_total", &[("page", "/about")]) - 1.0).abs() < 0.1);
}
