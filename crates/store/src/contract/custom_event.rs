//! Contract of `custom_events`.

use super::fixture::{Fixture, Sample, day};
use crate::Record;
use crate::tables::custom_event;

pub(super) async fn counts_by_name_and_ignores_repeats(f: &Fixture) {
    let event = |n, name| Record::Custom(Sample(n).custom(name));
    f.record([event(0, "signup"), event(1, "download"), event(2, "signup")], None).await;
    f.record([event(0, "signup"), event(3, "download"), event(4, "buy")], None).await;
    let names = custom_event::count_by_name(f.insight(), &day(), 2).await.unwrap();
    let counts: Vec<_> = names.iter().map(|n| (&*n.name, n.count, n.visitors)).collect();
    assert_eq!(counts, [("download", 2, 1), ("signup", 2, 1)]);
}

pub(super) async fn an_event_id_counts_once_whatever_page_it_names(f: &Fixture) {
    let elsewhere = custom_event::Row { id: Sample(0).event_id(), ..Sample(1).custom("signup") };
    f.record([Record::Custom(Sample(0).custom("signup"))], Some(Sample(0).touch(1))).await;
    f.record([Record::Custom(elsewhere)], Some(Sample(1).touch(1))).await;
    let names = custom_event::count_by_name(f.insight(), &day(), 9).await.unwrap();
    assert_eq!(names.iter().map(|n| n.count).collect::<Vec<_>>(), [1]);
    assert_eq!(super::user_session::find(f, 1).await.custom_events, 1);
}
