//! Tests of `points`: history keeps time, whatever the process was late for, and sites apart.

use std::time::Duration;

use mainstay_base::Clock;
use mainstay_base::agent::AgentClass;
use mainstay_telemetry::http::{HttpMetrics, Method};
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::settings;

use super::*;

const WHOLE: Scope = Scope(None);

fn whole(requests: u64) -> Tallies {
    let totals = Totals { requests, ..Totals::default() };
    Tallies { whole: Tally { totals, ..Tally::default() }, ..Tallies::default() }
}

fn point(step: u64, requests: u64) -> Point {
    Point::new(step, 1_000 + step as i64, 1, &whole(requests))
}

fn remembered(all: impl IntoIterator<Item = Point>) -> Points {
    let mut points = Points::default();
    all.into_iter().for_each(|point| points.remember(point));
    points
}

#[test]
fn history_keeps_places_for_steps_that_were_skipped() {
    assert_eq!(Points::default().history(&WHOLE).requests, []);
    let points = remembered([(7, 1), (8, 2), (11, 3)].map(|(step, n)| point(step, n)));
    let history = points.history(&WHOLE);
    assert_eq!(history.t0, 1_007);
    assert_eq!(history.requests, [Some(1), Some(2), None, None, Some(3)]);
    assert_eq!(history.p50_ms.len(), 5);
}

#[test]
fn history_covers_five_minutes_however_many_points_there_are() {
    let history = remembered((0..1_000).step_by(2).map(|step| point(step, 1))).history(&WHOLE);
    let length = history.requests.len();
    assert!(length <= 300 && length > 290, "{length}");
    assert_eq!(history.t0, 1_998 - 298);
}

#[test]
fn a_late_point_is_spread_over_the_steps_it_covers() {
    let points = remembered([Point::new(5, 1_005, 2, &whole(10))]);
    assert!((points.recent(&WHOLE).rate.requests - 5.0).abs() < f64::EPSILON);
}

#[test]
fn a_site_sees_its_own_requests_and_where_its_apps_time_went() {
    let settings = settings::Metrics::default();
    let http = HttpMetrics::new(&Registry::new(&settings, Clock::default()), &settings);
    let (app, folder) = (http.site("app"), http.site("folder"));
    let serve = |site: &mainstay_telemetry::http::SiteMetrics, ms, id| {
        let took = Duration::from_millis(ms);
        site.resolve("/").record(Method::Get, 200, AgentClass::Bot, took, 1, id);
    };
    let (mut points, mut before) = (Points::default(), Tallies::default());
    let mut tick = |step| {
        let now = http.tally();
        points.remember(Point::new(step, 1_000, 1, &now.minus(&before)));
        before = now;
    };
    serve(&app, 80, 1);
    app.record_split(Duration::from_millis(79), Duration::from_millis(1));
    serve(&folder, 2, 2);
    serve(&folder, 2, 3);
    http.refused(mainstay_telemetry::http::Refusal::Host);
    tick(0);
    serve(&folder, 4, 4);
    tick(1);

    let of = |name: &str| Scope(Some(name.into()));
    assert_eq!(points.history(&WHOLE).requests, [Some(3), Some(1)]);
    assert_eq!(points.history(&of("folder")).requests, [Some(2), Some(1)]);
    let history = points.history(&of("app"));
    assert_eq!(
        (history.requests, history.refused),
        (vec![Some(1), Some(0)], vec![Some(1), Some(0)])
    );
    assert!(history.upstream_p50_ms[0].is_some_and(|ms| (ms / 79.0 - 1.0).abs() < 0.02));
    assert_eq!(history.upstream_p50_ms[1], None);

    let recent = points.recent(&of("app"));
    assert!(recent.split_second.is_none() && recent.rate.requests == 0.0, "nothing this second");
    let split = recent.split_minute.expect("an app answered within the minute");
    assert!((split.upstream_p95 / 79.0 - 1.0).abs() < 0.02 && split.ours_p95 < 1.1, "{split:?}");
    assert!(recent.minute.p99.is_some_and(|ms| (ms / 80.0 - 1.0).abs() < 0.02));
    assert!(points.recent(&of("folder")).split_minute.is_none());
    assert!(points.recent(&of("folder")).minute.p99.is_some_and(|ms| ms < 4.1));
}
