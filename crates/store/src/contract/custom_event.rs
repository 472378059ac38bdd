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
