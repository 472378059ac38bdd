//! Tests of `sample`.

use mainstay_base::agent::AgentClass;
use mainstay_telemetry::http::{Method, Refusal};

use super::*;
use crate::fixture::{DAY, HOUR, House, SECOND, page_view};
use crate::query::{ALL_SITES, TrafficPoint};

fn serve(house: &House, site: &str, requests: u32, status: u16) {
    let route = house.insight.0.context.http.site(site).resolve("/");
    for n in 1..=requests {
        let elapsed = Duration::from_millis(u64::from(n));
        route.record(Method::of("GET"), status, AgentClass::Desktop, elapsed, 100, 1);
    }
}

#[tokio::test]
async fn traffic_is_kept_in_steps_and_merged_when_old() {
    let house = House::open().await;
    let (mut sampler, start) = (Sampler::default(), house.clock.now());
    for step in 0..60u32 {
        serve(&house, "default", 100, if step % 2 == 0 { 200 } else { 503 });
        sampler.take(&house.insight, start.plus(10 * SECOND * step)).await.expect("kept");
    }
    let span =
        Span { site: "default", from: start, to: start.plus(600 * SECOND), bots: Bots::Include };
    let fine = house.insight.list_traffic(&span, 10 * SECOND).await.expect("traffic");
    assert_eq!(fine.len(), 60);
    assert_eq!(fine.iter().map(|p| (p.requests, p.bytes)).collect::<Vec<_>>(), [(100, 10_000); 60]);
    assert_eq!(fine.iter().map(|p| p.errors).sum::<i64>(), 3_000);
    let near = |got: Option<Duration>, want: u32| {
        let got = got.map_or(0.0, |d| d.as_secs_f64() * 1_000.0);
        assert!((got / f64::from(want) - 1.0).abs() < 0.03, "{got} ms for {want} ms");
    };
    near(fine[7].p50, 50);
    near(fine[7].p95, 95);

    house.clock.advance(2 * DAY);
    compact(&house.insight, house.clock.now().minus(DAY)).await.expect("merged");
    compact(&house.insight, house.clock.now().minus(DAY)).await.expect("merged again");
    let db = house.store.insight();
    assert!(traffic::list(db, &span, 10).await.expect("fine").is_empty());
    let coarse = house.insight.list_traffic(&span, 300 * SECOND).await.expect("traffic");
    assert_eq!(
        coarse.iter().map(|p| (p.requests, p.errors)).collect::<Vec<_>>(),
        [(3_000, 1_500); 2]
    );
    near(coarse[1].p99, 99);
    house.close().await;
}

#[tokio::test]
async fn old_samples_are_not_drawn_in_shorter_steps_than_they_have() {
    let house = House::open().await;
    let (mut sampler, start) = (Sampler::default(), house.clock.now());
    for step in 0..60u32 {
        serve(&house, "default", 10, 200);
        sampler.take(&house.insight, start.plus(10 * SECOND * step)).await.expect("kept");
    }
    let span = Span { site: "default", from: start, to: start.plus(HOUR), bots: Bots::Include };
    let points = async || house.insight.list_traffic(&span, 60 * SECOND).await.expect("traffic");
    let fine = points().await;
    assert_eq!((fine.len(), fine[1].t, fine[1].requests), (60, start.plus(60 * SECOND), 60));
    house.clock.advance(2 * DAY);
    compact(&house.insight, house.clock.now().minus(DAY)).await.expect("merged");
    let coarse = points().await;
    assert_eq!((coarse.len(), coarse[1].t), (12, start.plus(300 * SECOND)));
    assert_eq!(coarse[..3].iter().map(|p| p.requests).collect::<Vec<_>>(), [300, 300, 0]);
    house.close().await;
}

#[tokio::test]
async fn samples_of_another_width_are_seen_and_merged_too() {
    let house = House::open().await;
    let start = house.clock.now();
    let mut before = Sampler::default();
    for step in 0..15u32 {
        serve(&house, "default", 10, 200);
        before.take(&house.insight, start.plus(10 * SECOND * step)).await.expect("kept");
    }
    let sample_every = mainstay_base::units::Span(30 * SECOND);
    let after = house.with_settings(Settings { sample_every, ..Settings::default() }).await;
    let mut sampler = Sampler { counted: before.counted, ..Sampler::default() };
    for step in 5..10u32 {
        serve(&house, "default", 20, 200);
        sampler.take(&after, start.plus(30 * SECOND * step)).await.expect("kept");
    }
    let to = start.plus(300 * SECOND);
    let span = Span { site: "default", from: start, to, bots: Bots::Include };
    let requests = async || {
        let points = after.list_traffic(&span, 10 * SECOND).await.expect("traffic");
        points.iter().map(|point| point.requests).collect::<Vec<_>>()
    };
    assert_eq!(requests().await, [30, 30, 30, 30, 30, 20, 20, 20, 20, 20]);
    compact(&after, start.plus(HOUR)).await.expect("merged");
    assert_eq!(requests().await, [250]);
    let db = house.store.insight();
    assert_eq!(traffic::list_steps(db, "default").await.expect("steps"), [COARSE_STEP_S]);
    let fine = Range { step_s: COARSE_STEP_S, from: start, to: start.plus(HOUR) };
    assert!(metric_series::list_all(db, fine, 9).await.expect("samples").is_empty());
    house.close().await;
}

#[tokio::test]
async fn a_step_that_a_process_before_began_is_added_to() {
    let house = House::open().await;
    let start = house.clock.now();
    serve(&house, "default", 100, 200);
    let mut before = Sampler::default();
    before.take(&house.insight, start).await.expect("kept");
    serve(&house, "default", 50, 503);
    // The next process counts from nothing.
    let mut after = Sampler { counted: before.counted, ..Sampler::default() };
    after.take(&house.insight, start).await.expect("kept");
    serve(&house, "default", 7, 200);
    // A clock that was set back.
    after.take(&house.insight, start).await.expect("kept");
    let span =
        Span { site: "default", from: start, to: start.plus(10 * SECOND), bots: Bots::Include };
    let kept = house.insight.list_traffic(&span, 10 * SECOND).await.expect("traffic");
    let sums: Vec<_> = kept.iter().map(|p| (p.requests, p.errors, p.bytes)).collect();
    assert_eq!(sums, [(157, 50, 15_700)]);
    let p99 = kept[0].p99.map_or(0.0, |d| d.as_secs_f64() * 1_000.0);
    assert!((90.0..105.0).contains(&p99), "{p99}: the slow ones of the first process");
    house.close().await;
}

#[tokio::test]
async fn sites_are_told_apart_and_the_whole_is_all_of_them() {
    let house = House::open().await;
    let (mut sampler, start) = (Sampler::default(), house.clock.now());
    let http = &house.insight.0.context.http;
    serve(&house, "shop", 3, 200);
    serve(&house, "blog", 2, 500);
    for _ in 0..3 {
        let ours = Duration::from_micros(500);
        http.site("shop").record_split(Duration::from_millis(80), ours);
    }
    http.nobody().resolve("/").record(
        Method::of("GET"),
        421,
        AgentClass::Bot,
        Duration::from_millis(1),
        100,
        1,
    );
    http.refused(Refusal::Host);
    sampler.take(&house.insight, start).await.expect("kept");
    sampler.take(&house.insight, start.plus(10 * SECOND)).await.expect("kept");
    let check = async || {
        let point = async |site: &'static str| {
            let to = start.plus(300 * SECOND);
            let span = Span { site, from: start, to, bots: Bots::Include };
            let points = house.insight.list_traffic(&span, 300 * SECOND).await.expect("traffic");
            assert_eq!(points.len(), 1);
            points[0]
        };
        let (shop, blog, whole) =
            (point("shop").await, point("blog").await, point(ALL_SITES).await);
        let numbers = |p: &TrafficPoint| (p.requests, p.errors, p.refused, p.bytes);
        assert_eq!(numbers(&shop), (3, 0, 1, 300), "refusals reached no site: they are everyone's");
        assert_eq!(numbers(&blog), (2, 2, 1, 200));
        assert_eq!(numbers(&whole), (6, 2, 1, 600));
        assert_eq!((blog.split, point("nobody").await.requests), (None, 0));
        assert_eq!(shop.split, whole.split);
        let split = shop.split.expect("an app answered");
        let millis = |d: Duration| (d.as_secs_f64() * 10_000.0).round() / 10.0;
        let near =
            |got: f64, want: f64| assert!((got / want - 1.0).abs() < 0.03, "{got} for {want}");
        near(millis(split.upstream_p50), 80.0);
        near(millis(split.upstream_p95), 80.0);
        near(millis(split.ours_p95), 0.5);
    };
    check().await;
    // A site that did nothing has no row.
    let db = house.store.insight();
    let rows = async |site: &'static str, step_s| {
        let span = Span { site, from: start, to: start.plus(HOUR), bots: Bots::Include };
        traffic::list(db, &span, step_s).await.expect("rows").len()
    };
    assert_eq!((rows("shop", 10).await, rows(ALL_SITES, 10).await), (1, 2));
    compact(&house.insight, start.plus(HOUR)).await.expect("merged");
    assert_eq!((rows("shop", 10).await, rows("shop", COARSE_STEP_S).await), (0, 1));
    check().await;
    house.close().await;
}

#[tokio::test]
async fn named_metrics_are_sampled_and_active_users_told() {
    let house = House::open().await;
    assert!(house.send(&page_view(1, "https://h/")).await.is_ok());
    let mut sampler = Sampler::default();
    let start = house.clock.now();
    sampler.take(&house.insight, start).await.expect("kept");
    assert_eq!(house.metric("active_users"), Some(1.0));
    house.clock.advance(400 * SECOND);
    sampler.take(&house.insight, start.plus(10 * SECOND)).await.expect("kept");
    assert_eq!(house.metric("active_users"), Some(0.0));
    let list = async |step_s: u32, name: &str| {
        let range = Range { step_s, from: start, to: start.plus(HOUR) };
        let samples =
            metric_series::list(house.store.insight(), name, range, 9).await.expect("samples");
        samples.iter().map(|s| s.metric_value).collect::<Vec<_>>()
    };
    assert_eq!(list(10, "active_users").await, [1.0, 0.0]);
    assert_eq!(list(10, "page_views_total").await, [1.0, 1.0]);
    compact(&house.insight, start.plus(HOUR)).await.expect("merged");
    assert_eq!(list(COARSE_STEP_S, "active_users").await, [0.5], "a gauge's mean");
    assert_eq!(list(COARSE_STEP_S, "page_views_total").await, [1.0], "a counter's last value");
    assert!(list(10, "active_users").await.is_empty());
    house.close().await;
}
