//! Halves of a large group, for two connections: a server's process uses one core. What has to do with each other stays
//! together, in its order, so that neither half waits for the other's visits, pages or events, and the first report of a page
//! is the first one. (Both may note the same late hour to be counted anew, for which one waits until the other is done.)

use std::collections::HashMap;

use uuid::Uuid;

use crate::recorder::Record;
use crate::recorder::spool::Sealed;

/// A group of so many batches is worth two transactions.
const HALVED_FROM: usize = 32;

/// What batches may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shared<'s> {
    Visit(Uuid),
    Page(&'s str, &'s str),
    Event(&'s str, &'s str),
}

/// The parts that are written at a time. A group with reports is not divided: when it has to be repeated, they are known by
/// the name of their batch, which is another one then.
pub(super) fn halves<'s, 'b>(sealed: &[&'s Sealed<'b>]) -> Vec<Vec<&'s Sealed<'b>>> {
    if sealed.len() < HALVED_FROM || sealed.iter().any(|sealed| has_reports(sealed)) {
        return vec![sealed.to_vec()];
    }
    let belongs_to = sort_out(sealed);
    let mut sizes = vec![0_usize; sealed.len()];
    belongs_to.iter().for_each(|first| sizes[*first] += 1);
    // Whatever belongs together goes where there is less so far.
    let (mut is_second, mut taken) = (vec![false; sealed.len()], [0, 0]);
    for (first, size) in sizes.iter().enumerate().filter(|(_, size)| **size > 0) {
        is_second[first] = taken[1] < taken[0];
        taken[usize::from(is_second[first])] += size;
    }
    let mut halves = [Vec::new(), Vec::new()];
    for (sealed, first) in sealed.iter().zip(belongs_to) {
        halves[usize::from(is_second[first])].push(*sealed);
    }
    halves.into_iter().filter(|half| !half.is_empty()).collect()
}

fn has_reports(sealed: &Sealed<'_>) -> bool {
    sealed.batch.records.iter().any(|record| matches!(record, Record::Report(_)))
}

/// For each batch the place of the first one that it has to do with, be it through others.
fn sort_out(sealed: &[&Sealed<'_>]) -> Vec<usize> {
    let mut belongs_to: Vec<usize> = (0..sealed.len()).collect();
    let mut seen: HashMap<Shared<'_>, usize> = HashMap::new();
    for (place, sealed) in sealed.iter().enumerate() {
        for shared in list_shared(sealed) {
            let other = *seen.entry(shared).or_insert(place);
            let (one, other) = (find(&mut belongs_to, place), find(&mut belongs_to, other));
            belongs_to[one.max(other)] = one.min(other);
        }
    }
    (0..sealed.len()).map(|place| find(&mut belongs_to, place)).collect()
}

/// Of a chain of places the first, to which all that were met point from then on.
fn find(belongs_to: &mut [usize], mut place: usize) -> usize {
    while belongs_to[place] != place {
        belongs_to[place] = belongs_to[belongs_to[place]];
        place = belongs_to[place];
    }
    place
}

fn list_shared<'s>(sealed: &'s Sealed<'_>) -> impl Iterator<Item = Shared<'s>> {
    let visit = sealed.batch.visit.iter().map(|visit| Shared::Visit(visit.session_id));
    let records = sealed.batch.records.iter().filter_map(|record| {
        let (site, page, id) = match record {
            Record::PageView(row) => (&row.site, &row.page_id, &row.id),
            Record::Custom(row) => (&row.site, &row.page_id, &row.id),
            Record::Error(row) => (&row.site, &row.page_id, &row.id),
            Record::Engagement(row) => (&row.site, &row.page_id, &row.id),
            Record::Vital(row) => (&row.site, &row.page_id, &row.id),
            Record::Report(_) => return None,
        };
        Some([Shared::Page(site, page), Shared::Event(site, id)])
    });
    visit.chain(records.flatten())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::future::pending;
    use std::time::Duration;

    use mainstay_base::Entropy;

    use super::*;
    use crate::contract::{Fixture, Sample};
    use crate::recorder::Batch;
    use crate::recorder::sink::{Committed, SinkContext};
    use crate::recorder::sink_postgres::PostgresSink;
    use crate::{Engine, Settings, page_view};

    /// A view of a page of its own, in one of fifty visits.
    fn view(n: u32) -> page_view::Row {
        page_view::Row {
            page_id: format!("page-{n:016}"),
            id: Sample(n).event_id(),
            ..Sample(n).view()
        }
    }

    fn sealed(n: u32, record: Record) -> Sealed<'static> {
        let batch = Batch { records: vec![record], visit: Some(Sample(0).touch(n % 50)) };
        Sealed { id: n.to_string(), batch: Cow::Owned(batch) }
    }

    #[test]
    fn a_large_group_is_divided_and_what_belongs_together_is_not() {
        let all: Vec<_> = (0..100).map(|n| sealed(n, Record::PageView(view(n)))).collect();
        let all: Vec<&Sealed<'_>> = all.iter().collect();
        let halves = halves(&all);
        let visits = |half: &[&Sealed<'_>]| -> std::collections::BTreeSet<_> {
            let visits = half.iter().filter_map(|sealed| sealed.batch.visit.as_ref());
            visits.map(|visit| visit.session_id).collect()
        };
        assert_eq!(halves.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50]);
        assert!(visits(&halves[0]).is_disjoint(&visits(&halves[1])));
        for half in &halves {
            let ids: Vec<u32> = half.iter().map(|sealed| sealed.id.parse().unwrap()).collect();
            assert!(ids.is_sorted(), "in their order: {ids:?}");
        }
    }

    #[test]
    fn a_page_an_event_and_what_is_joined_through_others_stay_together() {
        let page = |of: u32, n: u32| page_view::Row { page_id: view(of).page_id, ..view(n) };
        let event = |of: u32, n: u32| page_view::Row { id: view(of).id, ..view(n) };
        let mut all: Vec<_> = (0..50).map(|n| sealed(n, Record::PageView(view(n)))).collect();
        // By a page, by an event, and by a visit of one of those.
        all.push(sealed(100 + 1, Record::PageView(page(0, 51))));
        all.push(sealed(100 + 2, Record::PageView(event(1, 52))));
        all.push(sealed(100 + 3, Record::PageView(page(2, 53))));
        let all: Vec<&Sealed<'_>> = all.iter().collect();
        let halves = halves(&all);
        let half_of = |id: &str| halves.iter().position(|half| half.iter().any(|one| one.id == id));
        for together in
            [["0", "101"], ["1", "101"], ["1", "102"], ["2", "102"], ["2", "103"], ["3", "103"]]
        {
            assert_eq!(half_of(together[0]), half_of(together[1]), "{together:?}");
        }
        assert_eq!(halves.len(), 2);
    }

    #[test]
    fn a_small_group_and_one_with_reports_stay_whole() {
        let views = |count| (0..count).map(|n| sealed(n, Record::PageView(view(n))));
        let report = sealed(0, Record::Report(Sample(0).report(0)));
        let small: Vec<_> = views(31).collect();
        let reported: Vec<_> = views(100).chain([report]).collect();
        for group in [small, reported] {
            let group: Vec<&Sealed<'_>> = group.iter().collect();
            assert_eq!(halves(&group).iter().map(Vec::len).collect::<Vec<_>>(), [group.len()]);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn half_of_a_group_that_is_held_up_waits_on_the_disk_and_the_other_half_does_not() {
        const VIEWS: u32 = 64;
        let fixture = Fixture::postgres().await;
        let Engine::Postgres(db) = fixture.insight().clone() else { panic!("a database") };
        let context = SinkContext {
            store: fixture.store.clone(),
            clock: fixture.clock.clone(),
            entropy: Entropy::System,
            spool_dir: fixture.dir.path().join("halves"),
        };
        let mut sink = PostgresSink::new(db.clone(), context, &Settings::default());
        sink.prepare().await.unwrap();
        let views = |from: u32| -> Vec<Batch> {
            let view = |n: u32| Record::PageView(view(n));
            let who = |n: u32| Some(Sample(0).touch(n - from));
            (from..from + VIEWS).map(|n| Batch { records: vec![view(n)], visit: who(n) }).collect()
        };
        let (first, second) = (views(0), views(VIEWS));
        let written = sink.commit(&first.iter().collect::<Vec<_>>(), pending()).await.unwrap();
        assert!(matches!(written, Committed::Alike(written) if !written.waits), "{written:?}");
        // One visit of the odd ones is in somebody's hands for longer than the recorder waits.
        let mut holder = db.begin("test").await.unwrap();
        let odd = Sample(0).touch(1).session_id;
        let hold = "SELECT FROM mainstay.user_sessions WHERE session_id = $1 FOR UPDATE";
        sqlx::query(hold).bind(odd).execute(holder.conn()).await.unwrap();
        let written = sink.commit(&second.iter().collect::<Vec<_>>(), pending()).await.unwrap();
        assert!(sink.spooled() > 0, "it is safe on the disk");
        let Committed::Each(each) = written else { panic!("told all the same: {written:?}") };
        assert_eq!(each.len(), second.len());
        for (batch, written) in second.iter().zip(&each) {
            let is_odd = batch.visit.as_ref().is_some_and(|visit| visit.session_id == odd);
            // Those of the half that waits wait, the others are there and read it at once.
            assert!(!is_odd || written.waits);
        }
        let waiting = each.iter().filter(|written| written.waits).count();
        assert_eq!(waiting, second.len() / 2);
        let visits = "SELECT count(*) FROM mainstay.user_sessions WHERE page_views = 2";
        let seen_twice = async |conn: &mut sqlx::PgConnection| -> i64 {
            sqlx::query_scalar(visits).fetch_one(conn).await.unwrap()
        };
        assert_eq!(
            seen_twice(holder.conn()).await,
            i64::from(VIEWS / 2),
            "the other half is there"
        );
        sqlx::query("COMMIT").execute(holder.conn()).await.unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while sink.spooled() > 0 {
            assert!(std::time::Instant::now() < deadline, "it still waits");
            // It may count as away until a probe has found it well: a pause between two looks.
            drop(sink.tend(pending()).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(seen_twice(holder.conn()).await, i64::from(VIEWS), "each once");
        holder.give_back();
        fixture.finish().await;
    }
}
