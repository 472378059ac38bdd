//! Halves of a large group, for two connections: a server's process uses one core, and neither half is to wait for the
//! other's rows.

use crate::recorder::Record;
use crate::recorder::spool::Sealed;

/// A group of so many batches is worth two transactions.
const HALVED_FROM: usize = 32;

/// The parts that are written at a time. What belongs to one visit stays together. A group with reports is not divided: when
/// it has to be repeated, they are known by the name of their batch, which is another one then.
pub(super) fn halves<'s, 'b>(sealed: &[&'s Sealed<'b>]) -> Vec<Vec<&'s Sealed<'b>>> {
    let has_reports = |sealed: &&Sealed<'_>| {
        sealed.batch.records.iter().any(|record| matches!(record, Record::Report(_)))
    };
    if sealed.len() < HALVED_FROM || sealed.iter().any(has_reports) {
        return vec![sealed.to_vec()];
    }
    let is_first = |sealed: &&&Sealed<'_>| {
        sealed.batch.visit.as_ref().is_none_or(|visit| visit.session_id.as_u128() % 2 == 0)
    };
    let (first, second): (Vec<_>, Vec<_>) = sealed.iter().partition(is_first);
    [first, second].into_iter().filter(|half| !half.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::contract::Sample;
    use crate::recorder::Batch;

    fn sealed(n: u32, record: Record) -> Sealed<'static> {
        let batch = Batch { records: vec![record], visit: Some(Sample(0).touch(n % 50)) };
        Sealed { id: n.to_string(), batch: Cow::Owned(batch) }
    }

    #[test]
    fn a_large_group_is_divided_by_visits() {
        let all: Vec<_> = (0..100).map(|n| sealed(n, Record::PageView(Sample(n).view()))).collect();
        let all: Vec<&Sealed<'_>> = all.iter().collect();
        let halves = halves(&all);
        let visits = |half: &[&Sealed<'_>]| -> std::collections::BTreeSet<_> {
            let visits = half.iter().filter_map(|sealed| sealed.batch.visit.as_ref());
            visits.map(|visit| visit.session_id).collect()
        };
        assert_eq!(halves.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50]);
        assert!(visits(&halves[0]).is_disjoint(&visits(&halves[1])));
    }

    #[test]
    fn a_small_group_and_one_with_reports_stay_whole() {
        let views = |count| (0..count).map(|n| sealed(n, Record::PageView(Sample(n).view())));
        let report = sealed(0, Record::Report(Sample(0).report(0)));
        let small: Vec<_> = views(31).collect();
        let reported: Vec<_> = views(100).chain([report]).collect();
        for group in [small, reported] {
            let group: Vec<&Sealed<'_>> = group.iter().collect();
            assert_eq!(halves(&group).iter().map(Vec::len).collect::<Vec<_>>(), [group.len()]);
        }
    }
}
