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

    use mainstay_base::Entropy;

    use super::*;
    use crate::contract::{Fixture, Sample};
    use crate::recorder::Batch;
    use crate::recorder::sink::SinkContext;
    use crate::recorder::sink_postgres::PostgresSink;
    use crate::{Engine, Settings};

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
            let view = |n: u32| Record::PageView(Sample(n).view());
            let who = |n: u32| Some(Sample(0).touch(n - from));
            (from..from + VIEWS).map(|n| Batch { records: vec![view(n)], visit: who(n) }).collect()
        };
        let (first, second) = (views(0), views(VIEWS));
        let written = sink.commit(&first.iter().collect::<Vec<_>>()).await.unwrap();
        assert!(!written.waits);
        // One visit of the odd ones is in somebody's hands for longer than the recorder waits.
        let mut holder = db.begin("test").await.unwrap();
        let odd = Sample(0).touch(1).session_id;
        let hold = "SELECT FROM mainstay.user_sessions WHERE session_id = $1 FOR UPDATE";
        sqlx::query(hold).bind(odd).execute(holder.conn()).await.unwrap();
        let written = sink.commit(&second.iter().collect::<Vec<_>>()).await.unwrap();
        assert!(written.waits && sink.spooled() > 0, "it is safe on the disk");
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
        while sink.spooled() > 0 {
            sink.tend().await.unwrap();
        }
        assert_eq!(seen_twice(holder.conn()).await, i64::from(VIEWS), "each once");
        holder.give_back();
        fixture.finish().await;
    }
}
