//! Contract of `error_events`.

use super::fixture::{Fixture, Sample, day};
use crate::Record;
use crate::tables::error_event::{self, After};

pub(super) async fn groups_carry_the_words_of_the_latest(f: &Fixture) {
    let error = |n, fingerprint, message| Record::Error(Sample(n).error(fingerprint, message));
    f.record([error(1, "aa", "old"), error(5, "aa", "new"), error(3, "bb", "other")], None).await;
    f.record([error(5, "aa", "new")], None).await;
    let groups = error_event::list_groups(f.insight(), &day(), 10, None).await.unwrap();
    let seen: Vec<_> = groups
        .iter()
        .map(|g| (&*g.fingerprint, &*g.message, g.count, g.visitors, g.first_seen, g.last_seen))
        .collect();
    assert_eq!(
        seen,
        [
            ("aa", "new", 2, 2, Sample(1).at(), Sample(5).at()),
            ("bb", "other", 1, 1, Sample(3).at(), Sample(3).at()),
        ]
    );
    assert!(groups.iter().all(|g| g.error_type == "TypeError" && !g.resolved));
}

pub(super) async fn the_worst_come_first(f: &Fixture) {
    let error = |n: u32, by: u32, fingerprint| {
        let visitor_id = Sample(by).error("", "").visitor_id;
        Record::Error(error_event::Row { visitor_id, ..Sample(n).error(fingerprint, "m") })
    };
    let rows = [
        // Three visitors, long ago.
        (0, 1, "many"),
        (1, 2, "many"),
        (2, 3, "many"),
        // One visitor, often.
        (3, 1, "often"),
        (4, 1, "often"),
        (5, 1, "often"),
        (6, 1, "often"),
        // One visitor, twice each; one of them later.
        (7, 1, "earlier"),
        (8, 1, "earlier"),
        (8, 2, "later"),
        (9, 2, "later"),
    ];
    let rows = rows.into_iter().enumerate().map(|(i, (n, by, print))| match error(n, by, print) {
        Record::Error(row) => {
            let id = Sample(u32::try_from(i).unwrap()).event_id();
            Record::Error(error_event::Row { id, ..row })
        }
        other => other,
    });
    f.record(rows, None).await;
    let worst = async |limit| {
        let groups = error_event::list_worst(f.insight(), &day(), limit).await.unwrap();
        groups.into_iter().map(|g| g.fingerprint).collect::<Vec<_>>()
    };
    assert_eq!(worst(9).await, ["many", "often", "later", "earlier"]);
    assert_eq!(worst(2).await, ["many", "often"], "cut after ranking");
}

pub(super) async fn pages_go_on_after_the_last_row(f: &Fixture) {
    // Two groups share the instant they were last seen at.
    let rows = [(1, "cc"), (2, "bb"), (2, "aa"), (3, "dd")].into_iter().enumerate().map(
        |(i, (n, print))| {
            let mut row = Sample(n).error(print, "m");
            row.id = Sample(u32::try_from(i).unwrap()).event_id();
            Record::Error(row)
        },
    );
    f.record(rows, None).await;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = error_event::list_groups(f.insight(), &day(), 1, after).await.unwrap();
        let Some(group) = page.into_iter().next() else { break };
        after = Some(After { last_seen: group.last_seen, fingerprint: group.fingerprint.clone() });
        seen.push(group.fingerprint);
    }
    assert_eq!(seen, ["dd", "aa", "bb", "cc"]);
}

pub(super) async fn an_event_id_counts_once_whatever_page_it_names(f: &Fixture) {
    let elsewhere = error_event::Row { id: Sample(0).event_id(), ..Sample(1).error("aa", "m") };
    f.record([Record::Error(Sample(0).error("aa", "m"))], None).await;
    f.record([Record::Error(elsewhere)], None).await;
    let groups = error_event::list_groups(f.insight(), &day(), 10, None).await.unwrap();
    assert_eq!(groups.iter().map(|g| g.count).collect::<Vec<_>>(), [1]);
}
