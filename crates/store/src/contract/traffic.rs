//! Contract of `traffic_samples`.

use mainstay_base::Timestamp;

use super::fixture::{Fixture, Sample, day};
use crate::tables::traffic::{self, Compaction, Row};

fn row(t: Timestamp, requests: i64) -> Row {
    Row { t, requests, errors: 1, refused: 2, bytes: 3, latency_sketch: vec![9, 9] }
}

pub(super) async fn fill(f: &Fixture, times: &[Timestamp]) {
    let rows: Vec<_> = times.iter().map(|t| row(*t, 1)).collect();
    traffic::insert(f.insight(), "default", 10, &rows).await.unwrap();
}

pub(super) async fn steps_are_replaced_and_compacted(f: &Fixture) {
    let db = f.insight();
    fill(f, &[Sample(0).at(), Sample(1).at(), Sample(5).at()]).await;
    traffic::insert(db, "default", 10, &[row(Sample(1).at(), 7)]).await.unwrap();
    let fine = traffic::list(db, &day(), 10).await.unwrap();
    assert_eq!(fine, [row(Sample(0).at(), 1), row(Sample(1).at(), 7), row(Sample(5).at(), 1)]);
    let what = Compaction {
        site: "default",
        from_step_s: 10,
        to_step_s: 300,
        from: Sample(0).at(),
        to: Sample(5).at(),
    };
    assert_eq!(traffic::compact(db, what, &[row(Sample(0).at(), 8)]).await.unwrap(), 2);
    assert_eq!(traffic::list(db, &day(), 10).await.unwrap(), [row(Sample(5).at(), 1)]);
    assert_eq!(traffic::list(db, &day(), 300).await.unwrap(), [row(Sample(0).at(), 8)]);
}
