//! What the events of a group say about their visits, given which of them are new. Nothing here touches the database.

use super::visits::Visits;
use super::{Batch, Record};

/// What the batches say about visits. A batch that only repeats what is known says nothing.
pub(super) fn add_up<'a>(
    batches: &[&'a Batch],
    new_views: &[bool],
    new_customs: &[bool],
) -> Visits<'a> {
    let mut visits = Visits::default();
    let (mut new_views, mut new_customs) = (new_views.iter(), new_customs.iter());
    for batch in batches {
        let (mut views, mut names, mut alive) = (0, Vec::new(), batch.records.is_empty());
        for record in &batch.records {
            match record {
                Record::PageView(_) => views += i64::from(new_views.next() == Some(&true)),
                Record::Custom(row) if new_customs.next() == Some(&true) => {
                    names.push(row.name.as_str());
                }
                Record::Custom(_) | Record::Report(_) => {}
                Record::Engagement(_) | Record::Vital(_) | Record::Error(_) => alive = true,
            }
        }
        if let Some(touch) =
            batch.visit.as_ref().filter(|_| alive || views > 0 || !names.is_empty())
        {
            visits.touch(touch, views, &names);
        }
    }
    visits
}
