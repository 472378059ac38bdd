//! Contract of `reports`.

use std::time::Duration;

use super::fixture::{Fixture, Sample, day};
use crate::tables::report::{self, After, Row};
use crate::tables::retain::{self, Table};
use crate::{Record, Span};

fn reported(n: u32, print: u32) -> Row {
    Sample(n).report(print)
}

async fn list(f: &Fixture, span: &Span<'_>) -> Vec<report::Group> {
    report::list_groups(f.insight(), span, 100, None).await.unwrap()
}

pub(super) async fn alike_ones_are_one_row_and_a_count(f: &Fixture) {
    let mut many = reported(5, 7);
    many.count = 9_998;
    many.document = "/latest".into();
    let rows = [reported(1, 7), reported(2, 7), reported(3, 8)].map(Record::Report);
    f.record(rows, None).await;
    f.record([Record::Report(many)], None).await;
    let seen: Vec<_> = list(f, &day())
        .await
        .into_iter()
        .map(|g| (g.fingerprint, g.count, g.document, g.first_seen, g.last_seen))
        .collect();
    let at = |n| Sample(n).at();
    assert_eq!(
        seen,
        [
            (Sample(7).id(), 10_000, "/latest".into(), at(1), at(5)),
            (Sample(8).id(), 1, "/".into(), at(3), at(3)),
        ]
    );
}

pub(super) async fn hours_and_sites_are_kept_apart(f: &Fixture) {
    let mut other = reported(1, 7);
    other.site = "other".into();
    let rows = [reported(1, 7), reported(59, 7), reported(61, 7), reported(130, 7), other];
    f.record(rows.map(Record::Report), None).await;
    assert_eq!(list(f, &day()).await[0].count, 4);
    assert_eq!(list(f, &Span { site: "other", ..day() }).await[0].count, 1);
    // Counted by whole hours: the first one has the report of minute 1 too, the third lies behind the span.
    let span = Span { from: Sample(30).at(), to: Sample(120).at(), ..day() };
    let [group] = &list(f, &span).await[..] else { panic!("not one row") };
    assert_eq!(
        (group.count, group.first_seen, group.last_seen),
        (3, Sample(1).at(), Sample(61).at())
    );
    // An hour whose last report came before the span is none of it.
    let late = Span { from: Sample(62).at(), to: Sample(120).at(), ..day() };
    assert_eq!(list(f, &late).await, []);
}

pub(super) async fn pages_go_on_after_the_last_row(f: &Fixture) {
    let rows = [(1, 30), (2, 20), (2, 10), (3, 40)].map(|(n, print)| reported(n, print));
    f.record(rows.map(Record::Report), None).await;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = report::list_groups(f.insight(), &day(), 1, after).await.unwrap();
        let Some(group) = page.into_iter().next() else { break };
        after = Some(After { last_seen: group.last_seen, fingerprint: group.fingerprint });
        seen.push(group.fingerprint);
    }
    assert_eq!(seen, [40, 10, 20, 30].map(|print| Sample(print).id()));
}

pub(super) async fn old_hours_go_whole(f: &Fixture) {
    f.record([reported(1, 7), reported(61, 7)].map(Record::Report), None).await;
    let before = Sample(1).at().plus(Duration::from_secs(600));
    assert_eq!(retain::delete_before(f.insight(), Table::Reports, before, 10).await.unwrap(), 1);
    assert_eq!(list(f, &day()).await[0].count, 1);
}
