//! Tests of `query`.

use mainstay_base::Timestamp;

use super::*;
use crate::fixture::{HOUR, House, SECOND, page_view};

#[tokio::test]
async fn every_step_has_a_point_and_there_are_never_too_many() {
    let house = House::open().await;
    assert!(house.send(&page_view(1, "https://h/")).await.is_ok());
    let points = house.insight.list_visitors(&house.last(HOUR), 60 * SECOND).await.expect("points");
    assert_eq!(points.len(), 61);
    assert!(points.windows(2).all(|pair| pair[1].t == pair[0].t.plus(60 * SECOND)));
    assert_eq!(points.last().map(|p| (p.visitors, p.pageviews)), Some((1, 1)));
    let ages = Span { from: Timestamp::EPOCH, ..house.last(HOUR) };
    for step in [SECOND, HOUR] {
        let points = house.insight.list_visitors(&ages, step).await.expect("points");
        assert!((900..=2_000).contains(&points.len()), "{}", points.len());
        assert_eq!(points.iter().map(|p| p.pageviews).sum::<i64>(), 1);
    }
    assert!(house.insight.list_traffic(&ages, SECOND).await.expect("points").len() <= 2_000);
    house.close().await;
}

#[test]
fn a_span_is_cut_into_the_steps_it_touches() {
    let at = Timestamp::from_seconds;
    let span = Span { site: "default", from: at(5), to: at(30), bots: Bots::Exclude };
    assert_eq!(steps(&span, 10 * SECOND).collect::<Vec<_>>(), [at(0), at(10), at(20)]);
    let empty = Span { to: at(5), ..span };
    assert_eq!(steps(&empty, SECOND).count(), 0);
    assert_eq!(fitting(&span, Duration::ZERO), SECOND);
}
