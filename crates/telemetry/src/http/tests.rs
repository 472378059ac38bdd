//! Tests of `http`.

use std::collections::HashSet;
use std::time::Duration;

use mainstay_base::Clock;
use mainstay_base::agent::AgentClass;

use super::*;
use crate::settings;

fn new_http() -> (Registry, HttpMetrics) {
    let settings = settings::Metrics::default();
    let registry = Registry::new(&settings, Clock::default());
    let http = HttpMetrics::new(&registry, &settings);
    (registry, http)
}

const MS: Duration = Duration::from_millis(3);

#[test]
fn one_request_is_seen_everywhere() {
    let (registry, http) = new_http();
    http.site("a").resolve("/").record(Method::Get, 200, AgentClass::Mobile, MS, 500, 7);
    http.site("a").resolve("/").record(Method::Get, 503, AgentClass::Bot, MS, 20, 8);
    http.refused(Refusal::HeaderTooLarge);
    let text = registry.encode_text();
    for line in [
        r#"http_requests_total{method="GET",route="/",status_code="200",user_agent_type="mobile"} 1"#,
        r#"http_requests_total{method="GET",route="/",status_code="503",user_agent_type="bot"} 1"#,
        r#"http_request_duration_seconds_bucket{method="GET",route="/",status_code="200",le="0.001"} 0"#,
        r#"http_request_duration_seconds_bucket{method="GET",route="/",status_code="200",le="0.005"} 1"#,
        r#"http_request_duration_seconds_sum{method="GET",route="/",status_code="200"} 0.003"#,
        r#"mainstay_requests_refused_total{reason="header_too_large"} 1"#,
        r#"mainstay_response_bytes_total{scope="site"} 520"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    let whole = http.tally().whole;
    assert_eq!(whole.totals, Totals { requests: 2, errors: 1, refused: 1, bytes: 520 });
    let p50 = whole.latency.quantile(0.5).unwrap().as_secs_f64();
    assert!((p50 / 0.003 - 1.0).abs() < 0.02, "{p50}");
    assert_eq!(http.list_refused()[Refusal::HeaderTooLarge.index()], (Refusal::HeaderTooLarge, 1));
}

#[test]
fn our_own_paths_are_exported_and_no_part_of_the_site() {
    let (registry, http) = new_http();
    let ours = http.resolve_ours("/_mainstay/events");
    ours.record_ours(Method::Post, 500, AgentClass::Desktop, MS, 9, 7);
    assert_eq!(http.tally(), Tallies::default());
    let text = registry.encode_text();
    assert!(text.contains(r#"route="/_mainstay/events",status_code="500""#), "{text}");
    assert!(text.contains(r#"mainstay_response_bytes_total{scope="own"} 9"#), "{text}");
}

#[test]
fn requests_are_told_apart_by_site_and_the_whole_is_all_of_them() {
    let (registry, http) = new_http();
    let record = |site: &SiteMetrics, status, bytes, id| {
        site.resolve("/").record(Method::Get, status, AgentClass::Bot, MS, bytes, id);
    };
    let (a, b) = (http.site("a"), http.site("b"));
    record(&a, 200, 1, 1);
    record(&b, 500, 20, 2);
    record(&b, 200, 20, 3);
    record(http.nobody(), 421, 300, 4);
    http.refused(Refusal::Host);
    let before = http.tally();
    let totals = |requests, errors, refused, bytes| Totals { requests, errors, refused, bytes };
    assert_eq!(before.sites["a"].totals, totals(1, 0, 0, 1));
    assert_eq!(before.sites["b"].totals, totals(2, 1, 0, 40));
    assert_eq!(before.whole.totals, totals(4, 1, 1, 341));
    assert_eq!(before.whole.latency.count(), 4);

    record(&http.site("b"), 200, 5, 5);
    record(&http.site("c"), 200, 7, 6);
    let since = http.tally().minus(&before);
    assert!(since.sites["a"].is_empty());
    assert_eq!(since.sites["b"].totals, totals(1, 0, 0, 5));
    assert_eq!(since.sites["c"].totals, totals(1, 0, 0, 7), "new since then");
    assert_eq!(since.whole.totals, totals(2, 0, 0, 12));
    let text = registry.encode_text();
    let one =
        r#"http_requests_total{method="GET",route="/",status_code="200",user_agent_type="bot"} 4"#;
    assert!(text.contains(one), "one series, whatever the site: {text}");
    assert!(text.contains(r#"mainstay_response_bytes_total{scope="site"} 353"#), "{text}");
}

#[test]
fn an_apps_time_is_told_in_two_parts() {
    let (_registry, http) = new_http();
    let (app, folder) = (http.site("app"), http.site("folder"));
    folder.resolve("/").record(Method::Get, 200, AgentClass::Bot, MS, 1, 1);
    for _ in 0..9 {
        app.record_split(Duration::from_millis(40), Duration::from_micros(300));
    }
    let tally = http.tally();
    assert_eq!(tally.sites["folder"].split, None);
    let split = tally.sites["app"].split.clone().unwrap();
    let near = |of: &crate::sketch::Snapshot, want: f64| {
        let got = of.quantile(0.5).unwrap().as_secs_f64();
        assert!((got / want - 1.0).abs() < 0.02, "{got} for {want}");
    };
    near(&split.upstream, 0.04);
    near(&split.ours, 0.000_3);
    assert_eq!(tally.whole.split, Some(split));
    assert_eq!(http.tally().minus(&tally).whole.split, None, "nobody answered since");
}

#[test]
fn sites_beyond_the_bound_are_counted_together() {
    let settings = settings::Metrics { max_sites: 2, ..settings::Metrics::default() };
    let http = HttpMetrics::new(&Registry::new(&settings, Clock::default()), &settings);
    for n in 0..1_000 {
        let route = http.site(&format!("s{n}")).resolve("/");
        route.record(Method::Get, 200, AgentClass::Bot, MS, 1, 1);
    }
    let tally = http.tally();
    let requests: Vec<_> =
        tally.sites.iter().map(|(name, site)| (&**name, site.totals.requests)).collect();
    assert_eq!(requests, [("s0", 1), ("s1", 1), (OTHER_SITE, 998)]);
    assert_eq!(tally.whole.totals.requests, 1_000);
}

#[test]
fn ten_thousand_routes_make_at_most_one_more_than_allowed() {
    let (registry, http) = new_http();
    for n in 0..10_000 {
        let route = http.site("a").resolve(&format!("/{n}"));
        route.record(Method::Get, 200, AgentClass::Bot, MS, 1, n);
    }
    let ours = http.resolve_ours("/_mainstay/m.js");
    assert_eq!(ours.template(), "/_mainstay/m.js", "the site does not displace our own");
    let text = registry.encode_text();
    let routes: HashSet<_> = text.split("route=\"").skip(1).map(|l| l.split('"').next()).collect();
    assert!(routes.contains(&Some(OTHER_ROUTE)));
    assert!(routes.len() <= 201, "{} routes", routes.len());
    assert_eq!(http.tally().whole.totals.requests, 10_000, "and every request is counted");
    assert!(text.len() < 300 << 10, "{} bytes", text.len());
}

#[test]
fn invented_methods_and_codes_add_few_series() {
    let (registry, http) = new_http();
    let route = http.site("a").resolve("/");
    for n in 0..1_000_u16 {
        let method = Method::of(&format!("M{n}"));
        route.record(method, 200, AgentClass::Bot, MS, 1, 1);
        route.record(Method::Get, n, AgentClass::Bot, MS, 1, 1);
    }
    let text = registry.encode_text();
    let series = text.lines().filter(|l| l.starts_with("http_requests_total{")).count();
    assert_eq!(series, 1 + status::SLOTS);
    assert!(text.contains(r#"method="_OTHER""#));
}

#[test]
fn what_is_declared_is_there_at_zero_and_makes_no_series_later() {
    let (registry, http) = new_http();
    let route = http.site("a").resolve("{unmatched}");
    route.declare(Method::Get, 404);
    let before = registry.encode_text();
    assert!(before.contains(
        r#"http_requests_total{method="GET",route="{unmatched}",status_code="404",user_agent_type="bot"} 0"#
    ));
    for agent in AgentClass::ALL {
        route.record(Method::Get, 404, agent, MS, 1, 1);
    }
    assert_eq!(registry.encode_text().lines().count(), before.lines().count());
}

#[test]
fn closed_lists_are_in_the_order_of_their_index() {
    for (at, method) in Method::ALL.into_iter().enumerate() {
        assert_eq!(method.index(), at);
        assert_eq!(Method::of(method.as_str()), method);
    }
    for (at, reason) in Refusal::ALL.into_iter().enumerate() {
        assert_eq!(reason.index(), at);
    }
    let words: HashSet<_> = Refusal::ALL.into_iter().map(Refusal::as_str).collect();
    assert_eq!(words.len(), Refusal::ALL.len());
}
