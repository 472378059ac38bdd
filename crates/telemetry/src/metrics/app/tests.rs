//! Tests of `app`.

use mainstay_base::{Clock, Timestamp};

use super::*;
use crate::metrics::Registry;
use crate::{names, settings};

fn registry() -> Registry {
    let bounds = settings::Metrics { app_names_max: 3, app_series_max: 2, ..Default::default() };
    Registry::new(&bounds, Clock::fixed(Timestamp::EPOCH))
}

fn update<'a>(kind: Kind, name: &'a str, labels: &[(&'a str, &'a str)], value: f64) -> Update<'a> {
    let labels = labels.iter().map(|(name, value)| (*name, (*value).into())).collect();
    Update { kind, name, labels, value }
}

/// The lines of the app's metrics.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains("app_") && !line.contains("mainstay_")).collect()
}

#[test]
fn each_kind_is_written_as_its_format_wants_it() {
    let registry = registry();
    let all = [
        update(Kind::Counter, "orders", &[("plan", "pro\"s")], 1.5),
        update(Kind::Counter, "orders_total", &[("plan", "pro\"s")], 2.0),
        update(Kind::Gauge, "stock", &[], 7.0),
        update(Kind::Gauge, "stock", &[], -2.5),
        update(Kind::Histogram, "wait_seconds", &[], 0.01),
        update(Kind::Histogram, "wait_seconds", &[], 400.0),
    ];
    assert_eq!(registry.app().check(&all), Ok(()));
    registry.app().apply(&all);
    let text = registry.encode_text();
    let lines = lines(&text);
    for line in [
        "# TYPE app_orders_total counter",
        "app_orders_total{plan=\"pro\\\"s\"} 3.5",
        "# TYPE app_stock gauge",
        "app_stock -2.5",
        "# TYPE app_wait_seconds histogram",
        "app_wait_seconds_bucket{le=\"0.005\"} 0",
        "app_wait_seconds_bucket{le=\"0.01\"} 1",
        "app_wait_seconds_bucket{le=\"100\"} 1",
        "app_wait_seconds_bucket{le=\"+Inf\"} 2",
        "app_wait_seconds_sum 400.01",
        "app_wait_seconds_count 2",
    ] {
        assert!(lines.contains(&line), "{line} is not in {lines:#?}");
    }
    let open = registry.encode_openmetrics();
    assert!(open.contains("# TYPE app_orders counter") && open.contains("le=\"1.0\"}"), "{open}");
}

#[test]
fn what_prometheus_would_refuse_is_refused_with_its_field() {
    let registry = registry();
    let good = [update(Kind::Gauge, "known", &[("a", "1")], 1.0)];
    registry.app().apply(&good);
    let many: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|l| (l, "")).into();
    let long = "x".repeat(101);
    use Kind::{Counter, Gauge, Histogram};
    for (kind, name, labels, value, field) in [
        (Gauge, "", &[][..], 1.0, "name"),
        (Gauge, "1st", &[], 1.0, "name"),
        (Gauge, "a-b", &[], 1.0, "name"),
        (Gauge, "job:rate", &[], 1.0, "name"),
        (Gauge, "größe", &[], 1.0, "name"),
        (Gauge, &*long, &[], 1.0, "name"),
        (Gauge, "x_total", &[], 1.0, "name"),
        (Counter, "_total", &[], 1.0, "name"),
        (Counter, "x_sum_total", &[], 1.0, "name"),
        (Histogram, "x_bucket", &[], 1.0, "name"),
        (Gauge, "x", &[("le", "")], 1.0, "labels"),
        (Gauge, "x", &[("__name__", "")], 1.0, "labels"),
        (Gauge, "x", &[("a b", "")], 1.0, "labels"),
        (Gauge, "x", &[("a", &*long)], 1.0, "labels"),
        (Gauge, "x", &many, 1.0, "labels"),
        (Counter, "x", &[], -1.0, "value"),
        (Histogram, "x", &[], -0.1, "value"),
        (Gauge, "x", &[], f64::NAN, "value"),
        (Gauge, "x", &[], f64::INFINITY, "value"),
        (Counter, "known", &[("a", "1")], 1.0, "type"),
        (Gauge, "known", &[("b", "1")], 1.0, "labels"),
        (Gauge, "known", &[], 1.0, "labels"),
    ] {
        let all = [good[0].clone(), update(kind, name, labels, value)];
        let broken = registry.app().check(&all).expect_err(name);
        assert_eq!((broken.0, broken.1.field), (1, field), "{name:?} {labels:?} {value}");
    }
    // Within one list as well.
    let both = [update(Counter, "new", &[], 1.0), update(Gauge, "new", &[], 1.0)];
    assert_eq!(registry.app().check(&both).map_err(|(at, b)| (at, b.field)), Err((1, "type")));
}

#[test]
fn names_and_label_combinations_are_bounded() {
    let registry = registry();
    for n in 0..100 {
        let value = format!("v{n:03}");
        registry.app().apply(&[
            update(Kind::Counter, "a", &[("l", &value), ("m", "x")], 1.0),
            update(Kind::Gauge, "name_000", &[("l", &value)], f64::from(n)),
            update(Kind::Gauge, &format!("more_{n:03}"), &[], 1.0),
        ]);
    }
    let text = registry.encode_text();
    let samples: Vec<_> = lines(&text).into_iter().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        samples,
        [
            "app_a_total{l=\"other\",m=\"other\"} 98",
            "app_a_total{l=\"v000\",m=\"x\"} 1",
            "app_a_total{l=\"v001\",m=\"x\"} 1",
            "app_more_000 1",
            // Whose the last value is of those that have no room, nobody could tell.
            "app_name_000{l=\"v000\"} 0",
            "app_name_000{l=\"v001\"} 1",
        ]
    );
    let dropped = registry.counter_family(&names::APP_METRICS_DROPPED);
    assert_eq!((dropped.with(&["names"]).get(), dropped.with(&["series"]).get()), (99, 196));
    // Found good beside another request that came first.
    registry.app().apply(&[update(Kind::Gauge, "a", &[("l", "x"), ("m", "x")], 1.0)]);
    assert_eq!((dropped.with(&["names"]).get(), dropped.with(&["shape"]).get()), (99, 1));
}

#[test]
fn no_metric_of_ours_can_be_taken_for_the_apps() {
    assert!(names::ALL.iter().all(|metric| !metric.name.starts_with(PREFIX)));
}
