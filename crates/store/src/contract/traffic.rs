//! Contract of `traffic_samples`.

use mainstay_base::Timestamp;

use super::fixture::{Fixture, Sample, day};
use crate::tables::traffic::{self, Compaction, Row};

fn row(t: Timestamp, requests: i64) -> Row {
    Row { requests, errors: 1, refused: 2, bytes: 3, latency_sketch: vec![9, 9], ..Row::empty(t) }
}

/// A step in which an app answered.
fn proxied(t: Timestamp) -> Row {
    Row { upstream_sketch: Some(vec![7]), ours_sketch: Some(vec![8, 8]), ..row(t, 1) }
}

pub(super) async fn fill(f: &Fixture, times: &[Timestamp]) {
    let rows: Vec<_> = times.iter().map(|t| ("default", row(*t, 1))).collect();
    traffic::insert(f.insight(), 10, &rows).await.unwrap();
}

pub(super) async fn steps_are_replaced_and_compacted(f: &Fixture) {
    let db = f.insight();
    fill(f, &[Sample(0).at(), Sample(1).at(), Sample(5).at()]).await;
    traffic::insert(db, 10, &[("default", row(Sample(1).at(), 7))]).await.unwrap();
    traffic::insert(db, 30, &[("default", row(Sample(3).at(), 6))]).await.unwrap();
    assert_eq!(traffic::list_steps(db, "default").await.unwrap(), [10, 30]);
    assert!(traffic::list_steps(db, "nobody").await.unwrap().is_empty());
    let fine = traffic::list(db, &day(), 10).await.unwrap();
    assert_eq!(fine, [row(Sample(0).at(), 1), row(Sample(1).at(), 7), row(Sample(5).at(), 1)]);
    let what =
        Compaction { site: "default", to_step_s: 300, from: Sample(0).at(), to: Sample(5).at() };
    assert_eq!(traffic::compact(db, what, &[row(Sample(0).at(), 8)]).await.unwrap(), 3);
    assert_eq!(traffic::list_steps(db, "default").await.unwrap(), [10, 300]);
    assert_eq!(traffic::list(db, &day(), 10).await.unwrap(), [row(Sample(5).at(), 1)]);
    assert_eq!(traffic::list(db, &day(), 300).await.unwrap(), [row(Sample(0).at(), 8)]);
}

pub(super) async fn sites_are_kept_apart_and_refusals_with_the_whole(f: &Fixture) {
    let (db, t) = (f.insight(), Sample(0).at());
    let quiet = Row { refused: 0, ..row(Sample(1).at(), 9) };
    let rows = [
        ("app", proxied(t)),
        ("default", row(t, 2)),
        (traffic::WHOLE, row(t, 3)),
        (traffic::WHOLE, quiet),
    ];
    traffic::insert(db, 10, &rows).await.unwrap();
    assert_eq!(traffic::list(db, &day(), 10).await.unwrap(), [row(t, 2)]);
    let app = crate::Span { site: "app", ..day() };
    assert_eq!(traffic::list(db, &app, 10).await.unwrap(), [proxied(t)]);
    let refused = traffic::list_refused(db, (day().from, day().to), 10).await.unwrap();
    assert_eq!(refused, [(t, 2)], "of the whole, and only where there were some");
    assert_eq!(traffic::list_sites(db).await.unwrap(), ["", "app", "default"]);
}
