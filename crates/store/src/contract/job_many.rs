//! Contract of `job` where there are many: pages of them, the oldest, and several lines at once.

use std::time::Duration;

use super::fixture::Fixture;
use super::job_line::{LEASE, Line};
use crate::tables::job::{self, Ack, Claimed, Cursor, Filter, New, Outcome, Status, Unique};

pub(super) async fn pages_go_on_after_the_last_row(f: &Fixture) {
    let line = Line::open(f).await;
    let added = line.queue.add((0..5).map(|_| line.job("1")).collect()).await.unwrap();
    let seqs: Vec<i64> = added.iter().map(|added| added.seq).collect();
    let page = async |status, after: Option<i64>| {
        let filter = Filter { queue: line.number, status };
        let rows = job::list(f.core(), filter, after.map(Cursor), 2).await.unwrap();
        rows.into_iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    assert_eq!(page(Status::Waiting, None).await, seqs[..2]);
    assert_eq!(page(Status::Waiting, Some(seqs[1])).await, seqs[2..4]);
    assert_eq!(page(Status::Waiting, Some(seqs[3])).await, seqs[4..]);
    let oldest = job::oldest_waiting(f.core(), line.number).await.unwrap();
    assert_eq!(oldest, Some(line.find(seqs[0]).await.run_at));
    for job in line.claim_many(3).await {
        line.complete(&job).await;
        line.pass(Duration::from_secs(1)).await;
    }
    assert_eq!(page(Status::Completed, None).await, [seqs[2], seqs[1]]);
    assert_eq!(page(Status::Completed, Some(seqs[1])).await, [seqs[0]]);
    line.close().await;
}

/// Waiting and delayed ones are listed as they will begin, and a page does not need the last row of the one before it.
pub(super) async fn a_page_is_in_the_order_in_which_they_begin(f: &Fixture) {
    let line = Line::open(f).await;
    let rows = [5, 0, 1, 0].map(|priority| New { priority, ..line.job("1") });
    let waiting = line.queue.add(rows.into()).await.unwrap();
    let delayed = [3, 1, 2].map(|delay| New { delay: delay * LEASE, ..line.job("1") });
    let delayed = line.queue.add(delayed.into()).await.unwrap();
    let page = async |status, after: Option<i64>| {
        let filter = Filter { queue: line.number, status };
        let rows = job::list(f.core(), filter, after.map(Cursor), 2).await.unwrap();
        rows.into_iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    let [w, d] = [waiting, delayed].map(|rows| rows.iter().map(|row| row.seq).collect::<Vec<_>>());
    assert_eq!(page(Status::Waiting, None).await, [w[1], w[3]]);
    assert_eq!(page(Status::Waiting, Some(w[3])).await, [w[2], w[0]]);
    assert_eq!(page(Status::Delayed, None).await, [d[1], d[2]]);
    assert_eq!(page(Status::Delayed, Some(d[2])).await, [d[0]]);
    line.queue.remove(line.number, w[1]).await.unwrap();
    assert_eq!(page(Status::Waiting, Some(w[1])).await, [w[3], w[2]]);
    line.close().await;
}

/// Also where it comes after others, or was put off before it waited.
pub(super) async fn the_oldest_is_found_among_all_that_wait(f: &Fixture) {
    let line = Line::open(f).await;
    let oldest = async || job::oldest_waiting(f.core(), line.number).await.unwrap();
    assert_eq!(oldest().await, None);
    let late = line.add(New { priority: 3, ..line.job("1") }).await;
    line.pass(LEASE).await;
    let sooner = line.add(New { priority: 1, ..line.job("1") }).await;
    assert_eq!(oldest().await, Some(line.find(late.seq).await.run_at));
    line.queue.remove(line.number, late.seq).await.unwrap();
    assert_eq!(oldest().await, Some(line.find(sooner.seq).await.run_at));
    line.close().await;
}

pub(super) async fn nobody_gets_the_job_of_another(f: &Fixture) {
    // Lines of their own, as processes have them: what meets in one line is one transaction.
    let line = Line::open(f).await;
    let mut lines = Vec::new();
    for _ in 0..8 {
        lines.push(Line::open(f).await);
    }
    line.queue.add((0..60).map(|_| line.job("1")).collect()).await.unwrap();
    let claims = lines.iter().map(|line| line.claim_many(10));
    let mut claimed = futures_util::future::join_all(claims).await.concat();
    // Who met another's lock passed by.
    claimed.extend(line.claim_many(60).await);
    let mut seqs: Vec<i64> = claimed.iter().map(|job| job.seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!((claimed.len(), seqs.len()), (60, 60));
    let acks = claimed.chunks(10).map(async |jobs| {
        let ack = |job: &Claimed| Ack {
            seq: job.seq,
            token: job.token,
            outcome: Outcome::Completed { result: None },
        };
        line.queue.finish(jobs.iter().map(ack).collect()).await.unwrap()
    });
    let settled = futures_util::future::join_all(acks).await.concat();
    assert_eq!(settled, [Some(Status::Completed); 60]);
    for other in lines {
        other.close().await;
    }
    line.close().await;
}

/// Of processes that add by one name at a time one adds.
pub(super) async fn one_of_two_lines_adds_by_a_name(f: &Fixture) {
    let lines = [Line::open(f).await, Line::open(f).await];
    for round in 0..20 {
        let unique = || Some(Unique::Keep(round.to_string()));
        let adds = lines.iter().map(|line| {
            let id = Some(format!("id {round}"));
            let named = New { custom_id: id, ..line.job("1") };
            line.queue.add(vec![named, New { unique: unique(), ..line.job("1") }])
        });
        let added = futures_util::future::join_all(adds).await;
        let added: Vec<_> = added.into_iter().map(Result::unwrap).collect();
        assert_eq!([added[0][0].seq, added[0][1].seq], [added[1][0].seq, added[1][1].seq]);
        let new = added.concat().into_iter().filter(|added| added.is_new).count();
        assert_eq!(new, 2);
    }
    for line in lines {
        line.close().await;
    }
}
