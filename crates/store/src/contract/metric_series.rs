//! Contract of `metrics_timeseries`.

use mainstay_base::Timestamp;

use super::fixture::{Fixture, Sample};
use crate::Ts;
use crate::ask::ask;
use crate::sql::{Sql, sql};
use crate::tables::metric_series::{self, Range};

fn sample(at: Timestamp, name: &str, metric_value: f64) -> metric_series::Sample {
    metric_series::Sample {
        metric_name: name.into(),
        metric_value,
        tags: Some(r#"{"core": "0"}"#.into()),
        recorded_at: Ts(at),
    }
}

pub(super) async fn fill(f: &Fixture, times: &[Timestamp]) {
    let samples: Vec<_> = times.iter().map(|at| sample(*at, "cpu", 0.5)).collect();
    metric_series::insert_samples(f.insight(), 10, &samples).await.unwrap();
}

pub(super) async fn fine_samples_give_way_to_coarse_ones(f: &Fixture) {
    let db = f.insight();
    fill(f, &[Sample(0).at(), Sample(1).at(), Sample(5).at()]).await;
    metric_series::insert_samples(db, 30, &[sample(Sample(1).at(), "rss", 1e11)]).await.unwrap();
    let range = |step_s, to: u32| Range { step_s, from: Sample(0).at(), to: Sample(to).at() };
    assert_eq!(metric_series::list_all(db, range(300, 5), 10).await.unwrap().len(), 3);
    let coarse = [sample(Sample(0).at(), "cpu", 0.5), sample(Sample(0).at(), "rss", 1e11)];
    assert_eq!(metric_series::compact(db, range(300, 5), &coarse).await.unwrap(), 3);
    let left = metric_series::list(db, "cpu", range(10, 60), 10).await.unwrap();
    assert_eq!(left, [sample(Sample(5).at(), "cpu", 0.5)]);
    for one in &coarse {
        let kept = metric_series::list(db, &one.metric_name, range(300, 60), 10).await.unwrap();
        assert_eq!(kept, std::slice::from_ref(one));
    }
    const NAMED: Sql = sql!(
        "SELECT count(*), count(DISTINCT id) FROM mainstay.axiom_metrics_timeseries WHERE metric_value > 1e10"
    );
    let (named, ids): (i64, i64) = ask!(db, "test", query_as(NAMED).fetch_one).unwrap();
    assert_eq!((named, ids), (1, 1));
}
