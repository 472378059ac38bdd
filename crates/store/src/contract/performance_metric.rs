//! Contract of `performance_metrics`.

use super::fixture::{Fixture, Sample, day};
use crate::tables::performance_metric::{self, Value};
use crate::{Group, Record, Span};

async fn list(f: &Fixture, span: &Span<'_>, group: Group) -> Vec<Value> {
    let mut values = performance_metric::stream_values(f.insight(), span, group);
    let mut all = Vec::new();
    loop {
        let page = values.next_page().await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(super) async fn the_last_report_wins(f: &Fixture) {
    let report = |at, value, page_ms| {
        let mut row = Sample(at).vital("LCP", value, page_ms);
        row.id = format!("report-{page_ms:09}");
        row.page_id = Sample(0).page_id();
        Record::Vital(row)
    };
    // In one batch, then later; by the page's clock, not by arrival; equal is a repeat or a correction.
    f.record([report(0, 800.0, 100), report(0, 900.0, 200), report(0, 700.0, 50)], None).await;
    let value =
        async |f| list(f, &day(), Group::Site).await.iter().map(|v| v.value).collect::<Vec<_>>();
    assert_eq!(value(f).await, [900.0]);
    f.record([report(70, 950.0, 300)], None).await;
    f.record([report(71, 1.0, 299)], None).await;
    assert_eq!(value(f).await, [950.0]);
    // It stays where it was first heard of.
    let first_hour = Span { to: Sample(60).at(), ..day() };
    assert_eq!(list(f, &first_hour, Group::Site).await.len(), 1);
    let mut other = Sample(2).vital("LCP", 5.0, 1);
    other.navigation = "back-forward-cache".into();
    f.record([Record::Vital(other), Record::Vital(Sample(3).vital("INP", 8.0, 1))], None).await;
    assert_eq!(value(f).await.len(), 3);
}

pub(super) async fn an_event_id_counts_once_whatever_page_it_names(f: &Fixture) {
    let first = Sample(0).vital("LCP", 800.0, 1);
    let elsewhere =
        performance_metric::Row { id: first.id.clone(), ..Sample(1).vital("LCP", 900.0, 1) };
    let again = performance_metric::Row { value: 700.0, page_ms: 9, ..first.clone() };
    f.record([Record::Vital(first)], None).await;
    f.record([Record::Vital(elsewhere), Record::Vital(again)], None).await;
    let values: Vec<_> = list(f, &day(), Group::Site).await.iter().map(|v| v.value).collect();
    assert_eq!(values, [800.0]);
}

pub(super) async fn values_come_page_by_page_with_their_key(f: &Fixture) {
    // More than a page of 4,096 rows, most of them received in the same instant.
    let rows = (0..5_000).map(|n| {
        let mut row = Sample(n).vital("CLS", f64::from(n), 1);
        row.timestamp = Sample(n / 4_999).at();
        row.url = format!("/{}", n % 2);
        row.release = (n % 4 == 0).then(|| "v1".into());
        Record::Vital(row)
    });
    f.record(rows, None).await;
    let all = list(f, &day(), Group::Page).await;
    let mut values: Vec<_> = all.iter().map(|v| v.value).collect();
    values.sort_by(f64::total_cmp);
    assert_eq!(values, (0..5_000).map(f64::from).collect::<Vec<_>>());
    let odd = |v: &Value| (v.value as i64) % 2;
    assert!(all.iter().all(|v| v.key.as_deref() == Some(&*format!("/{}", odd(v)))));
    let keys = |rows: Vec<Value>| {
        let mut keys: Vec<_> = rows.into_iter().map(|v| v.key).collect();
        keys.sort();
        keys.dedup();
        keys
    };
    assert_eq!(keys(list(f, &day(), Group::Device).await), [Some("mobile".into())]);
    assert_eq!(keys(list(f, &day(), Group::Release).await), [None, Some("v1".into())]);
    assert_eq!(keys(list(f, &day(), Group::Site).await), [None]);
    assert_eq!(list(f, &Span { site: "other", ..day() }, Group::Site).await, []);
}
