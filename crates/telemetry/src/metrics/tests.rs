//! Tests of `metrics`.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use mainstay_base::Timestamp;

use super::*;
use crate::{http, process};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_123_456);

fn new_registry(settings: &settings::Metrics) -> Registry {
    Registry::new(settings, Clock::fixed(NOW))
}

/// Every metric of the product with values, hostile ones too.
fn filled() -> Registry {
    let registry = new_registry(&settings::Metrics { roadmap_names: true, ..Default::default() });
    for metric in names::ALL {
        let values: Vec<_> = metric.labels.iter().map(|_| "a\\b\"c\nd {é}").collect();
        match metric.kind {
            Kind::Counter => registry.counter_family(metric).with(&values).add(3),
            Kind::Gauge => registry.gauge_family(metric).with(&values).set(-1.5),
            Kind::Histogram(_) => {
                registry.histogram_family(metric).with(&values).observe_with_exemplar(0.2, 0xabc);
            }
        }
    }
    registry
}

fn promtool(text: &str) -> Option<(bool, String)> {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            let in_ci = option_env!("CI") == Some("true");
            assert!(!in_ci, "promtool is needed here: {error}");
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn promtool_has_nothing_to_say() {
    let Some(said) = promtool(&filled().encode_text()) else { return };
    assert_eq!(said, (true, String::new()));
    let registry = new_registry(&settings::Metrics::default());
    process::register(&registry);
    let http = http::HttpMetrics::new(&registry, &settings::Metrics::default());
    let route = http.site("default").resolve("/posts/{id}");
    route.record(http::Method::Get, 200, Default::default(), Duration::from_millis(3), 1, 1);
    let text = registry.encode_text();
    assert!(text.contains("process_cpu_seconds_total "), "{text}");
    assert_eq!(promtool(&text), Some((true, String::new())));
}

#[test]
fn promtool_would_say_something() {
    if let Some(said) = promtool("# HELP a_total x\n# TYPE a_total gauge\na_total 1\n") {
        assert!(!said.1.is_empty(), "a broken exposition passes: {said:?}");
    }
}

#[test]
fn open_metrics_is_written_to_the_letter() {
    let registry = new_registry(&settings::Metrics::default());
    registry.counter(&names::PROCESS_CPU).add(2);
    registry.gauge(&names::ACTIVE_USERS).set(4.0);
    let http = registry.histogram_family(&names::HTTP_DURATION);
    let cell = http.with(&["GET", "/a\"b", "200"]);
    cell.observe_with_exemplar(0.05, 0xabc);
    cell.observe_with_exemplar(0.04, 0xdef);
    cell.observe(99.0);
    let expected = r##"# HELP mainstay_metrics_dropped_series Label combinations counted under other because the metric was full.
# TYPE mainstay_metrics_dropped_series counter
mainstay_metrics_dropped_series_total{family="http_request_duration_seconds"} 0
# HELP process_cpu_seconds Processor time used by the process, user and system.
# TYPE process_cpu_seconds counter
# UNIT process_cpu_seconds seconds
process_cpu_seconds_total 2
# HELP active_users Visitors seen in the last five minutes.
# TYPE active_users gauge
active_users 4
# HELP http_request_duration_seconds Time from the request's head to the end of the answer.
# TYPE http_request_duration_seconds histogram
# UNIT http_request_duration_seconds seconds
http_request_duration_seconds_bucket{method="GET",route="/a\"b",status_code="200",le="0.001"} 0
http_request_duration_seconds_bucket{method="GET",route="/a\"b",status_code="200",le="0.005"} 0
http_request_duration_seconds_bucket{method="GET",route="/a\"b",status_code="200",le="0.01"} 0
http_request_duration_seconds_bucket{method="GET",route="/a\"b",status_code="200",le="0.05"} 2 # {trace_id="00000000000000000000000000000abc"} 0.05 1800000000.123
http_request_duration_seconds_bucket{method="GET",route="/a\"b",status_code="200",le="0.1"} 2
http_request_duration_seconds_bucket{method="GET",route="/a\"b",status_code="200",le="0.5"} 2
http_request_duration_seconds_bucket{method="GET",route="/a\"b",status_code="200",le="1.0"} 2
http_request_duration_seconds_bucket{method="GET",route="/a\"b",status_code="200",le="5.0"} 2
http_request_duration_seconds_bucket{method="GET",route="/a\"b",status_code="200",le="10.0"} 2
http_request_duration_seconds_bucket{method="GET",route="/a\"b",status_code="200",le="+Inf"} 3
http_request_duration_seconds_sum{method="GET",route="/a\"b",status_code="200"} 99.09
http_request_duration_seconds_count{method="GET",route="/a\"b",status_code="200"} 3
# EOF
"##;
    assert_eq!(registry.encode_openmetrics(), expected);
    // The first after a scrape is the new example; in the text format there are none.
    cell.observe_with_exemplar(0.03, 0x123);
    assert!(registry.encode_openmetrics().contains(r#"0123"} 0.03 "#));
    let text = registry.encode_text();
    assert!(
        !text.contains("trace_id") && !text.contains("EOF") && text.contains("le=\"1\""),
        "{text}"
    );
}

#[test]
fn what_does_not_fit_is_counted_under_other() {
    let registry = new_registry(&settings::Metrics { max_series: 5, ..Default::default() });
    let views = registry.counter_family(&names::PAGE_VIEWS);
    for n in 0..100 {
        views.with(&[&n.to_string(), "anonymous", "none"]).inc();
    }
    views.with(&["3", "anonymous", "none"]).inc();
    let text = registry.encode_text();
    assert_eq!(text.lines().filter(|l| l.starts_with("page_views_total{")).count(), 6);
    for line in [
        r#"page_views_total{page="3",user_type="anonymous",referrer_type="none"} 2"#,
        r#"page_views_total{page="other",user_type="other",referrer_type="other"} 95"#,
        r#"mainstay_metrics_dropped_series_total{family="page_views"} 95"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_histogram_takes_as_much_room_as_it_has_buckets() {
    let registry = new_registry(&settings::Metrics { max_series: 30, ..Default::default() });
    let family = registry.histogram_family(&names::HTTP_DURATION);
    for n in 0..100 {
        family.with(&["GET", &n.to_string(), "200"]).observe(0.1);
    }
    let text = registry.encode_text();
    let cells =
        text.lines().filter(|l| l.starts_with("http_request_duration_seconds_count")).count();
    assert_eq!(cells, 3, "two that fit 30, and other");
}

#[test]
fn a_million_observations_of_one_metric_leave_it_one_metric() {
    let registry = new_registry(&settings::Metrics::default());
    for n in 0..1_000_000_u32 {
        registry
            .histogram_family(&names::WEB_VITAL_CLS)
            .with(&["/", "mobile"])
            .observe(f64::from(n % 3));
    }
    let text = registry.encode_text();
    // Two metrics with two lines of head each; one series, and seven buckets with sum and count.
    assert_eq!(text.lines().count(), 2 * 2 + 1 + 7 + 2, "{text}");
    assert!(
        text.contains(r#"web_vital_cls_count{page="/",device_type="mobile"} 1000000"#),
        "{text}"
    );
    assert!(text.contains(r#"web_vital_cls_sum{page="/",device_type="mobile"} 999999"#), "{text}");
}

#[test]
fn buckets_hold_their_upper_bound() {
    let registry = new_registry(&settings::Metrics::default());
    let cell = registry.histogram_family(&names::HTTP_DURATION).with(&["GET", "/", "200"]);
    for bound in names::HTTP_DURATION.bounds() {
        cell.observe(*bound);
    }
    for ignored in [f64::NAN, -1.0, f64::NEG_INFINITY] {
        cell.observe(ignored);
    }
    cell.observe(f64::INFINITY);
    let counts: Vec<_> = cell.read().map(|reading| reading.count).collect();
    assert_eq!(counts, [1; 10]);
    assert_eq!(cell.count_total(), 10);
}

#[test]
fn callbacks_are_read_at_the_scrape_and_may_be_silent() {
    let registry = new_registry(&settings::Metrics::default());
    registry.gauge_fn(&names::RECORDER_QUEUE, &[], || 7.0);
    registry.gauge_fn(&names::PROCESS_OPEN_FDS, &[], || f64::NAN);
    registry.gauge_fn(&names::DATABASE_CONNECTIONS, &["core", "active"], || 1.0);
    registry.gauge_fn(&names::DATABASE_CONNECTIONS, &["core", "active"], || 2.0);
    let text = registry.encode_text();
    assert!(text.contains("\nmainstay_recorder_queue 7\n"), "{text}");
    assert!(!text.contains("\nprocess_open_fds "), "{text}");
    assert!(
        text.contains(r#"database_connections_active{database="core",type="active"} 2"#),
        "{text}"
    );
    assert_eq!(registry.list_totals()["mainstay_recorder_queue"], 7.0);
}

#[test]
fn first_published_names_come_only_when_asked_for() {
    let quiet = new_registry(&settings::Metrics::default());
    quiet.gauge(&names::ACTIVE_USERS).set(2.0);
    assert!(!quiet.encode_text().contains("active_users_total"));
    assert!(
        filled()
            .encode_text()
            .contains("# TYPE active_users_total untyped\nactive_users_total -1.5\n")
    );
    assert!(filled().encode_openmetrics().contains("# TYPE active_users_total unknown\n"));
}
