//! Contract of the line to `job`: who waits for whom, and who never does.

use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::poll;

use super::fixture::Fixture;
use super::job_line::{HOUR, LEASE, Line};
use crate::Transaction;
use crate::ask::{change, run};
use crate::queue::Error;
use crate::sql::{Sql, sql};
use crate::tables::job::{Ack, Added, New, Outcome, Renewed, Status, add};

const LONG: Duration = Duration::from_secs(20);

/// Nobody else can change a job while it is there.
async fn hold(f: &Fixture) -> Transaction<'_> {
    const HOLD: Sql =
        sql!(sqlite: "SELECT 1", postgres: "LOCK TABLE mainstay.job IN EXCLUSIVE MODE");
    let mut tx = f.core().transaction("test").await.unwrap();
    run!(tx.0, HOLD).unwrap();
    tx
}

pub(super) async fn whoever_works_is_not_refused_for_those_who_add(f: &Fixture) {
    let line = Line::open(f).await;
    line.add(line.job("1")).await;
    let job = line.claim().await;
    let held = hold(f).await;
    let (queue, one) = (line.queue.clone(), line.job("2"));
    let adds = join_all((0..400).map(|_| queue.add(vec![one.clone()])));
    let mut adds = std::pin::pin!(adds);
    assert!(poll!(&mut adds).is_pending());
    let mine = [(job.seq, job.token, true)];
    let mut renewed = std::pin::pin!(queue.renew(&mine, LEASE));
    assert!(poll!(&mut renewed).is_pending(), "it waits for the store");
    held.commit().await.unwrap();
    let (added, renewed) = join(adds, renewed).await;
    assert_eq!(renewed, Ok(vec![Renewed::Held]));
    assert!(added.iter().any(Result::is_ok) && added.contains(&Err(Error::Full)));
    line.close().await;
}

pub(super) async fn what_a_claimant_does_not_wait_for_is_given_back(f: &Fixture) {
    let line = Line::open(f).await;
    let added = line.add(line.job("1")).await;
    let held = hold(f).await;
    {
        let mut claim = std::pin::pin!(line.claim_many(1));
        assert!(poll!(&mut claim).is_pending());
    }
    held.commit().await.unwrap();
    let begun = std::time::Instant::now();
    loop {
        let row = line.find(added.seq).await;
        if row.worker.is_some() && row.status == Status::Waiting {
            assert_eq!((row.attempts_made, row.stalled), (0, 0));
            break;
        }
        assert!(begun.elapsed() < LONG, "nobody gave it back: {row:?}");
        // Between two looks.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    line.claim().await;
    line.close().await;
}

/// On files there is one writer: there everybody waits for whoever has it.
pub(super) async fn nobody_waits_for_the_name_of_another(f: &Fixture) {
    if !f.core().is_shared() {
        return;
    }
    let line = Line::open(f).await;
    line.queue.add(vec![line.job("1"), line.job("2")]).await.unwrap();
    let job = line.claim().await;
    let named = |id: &str| New { custom_id: Some(id.into()), ..line.job("n") };
    let mut tx = f.core().transaction("test").await.unwrap();
    let mine = add::add_in(&mut tx, &f.clock, &[named("mine")]).await.unwrap().remove(0);
    let keyed = New { idempotency: Some(("k".into(), HOUR)), ..named("mine") };
    let queue = line.queue.clone();
    let mut waits = std::pin::pin!(queue.add(vec![keyed]));
    assert!(poll!(&mut waits).is_pending());
    let other = line.queue.add(vec![named("other")]);
    let acks = vec![Ack { seq: job.seq, token: job.token, outcome: Outcome::GivenBack }];
    let rest = async {
        assert!(other.await.unwrap()[0].is_new);
        assert!(line.queue.add(vec![line.job("3")]).await.unwrap()[0].is_new);
        assert_eq!(line.queue.finish(acks).await.unwrap(), [Some(Status::Waiting)]);
        assert_eq!(line.claim_many(9).await.len(), 4);
    };
    tokio::time::timeout(LONG, rest).await.expect("somebody waits for a name");
    assert!(poll!(&mut waits).is_pending(), "it has not waited for the name");
    tx.commit().await.unwrap();
    assert_eq!(waits.await.unwrap(), [Added { is_new: false, ..mine }]);
    line.close().await;
}

/// As where a primary is lost with a claim that its replica has not heard of, and the replica gives the job away anew.
pub(super) async fn a_claim_that_was_lost_has_not_the_token_of_the_next(f: &Fixture) {
    const LOSE: Sql = sql!("UPDATE mainstay.job SET status = 0, token = 0");
    let line = Line::open(f).await;
    line.add(line.job("1")).await;
    let lost = line.claim().await;
    change!(f.core(), "test", LOSE).unwrap();
    line.pass(Duration::from_millis(1)).await;
    let next = line.claim().await;
    assert!(next.token > lost.token);
    assert_eq!(line.complete(&lost).await, None);
    assert_eq!(line.complete(&next).await, Some(Status::Completed));
    line.close().await;
}

/// Said in one group, where the two meet.
pub(super) async fn the_word_of_a_loser_does_not_count_beside_the_winners(f: &Fixture) {
    let line = Line::open(f).await;
    line.add(New { idempotency: Some(("k".into(), HOUR)), ..line.job("1") }).await;
    let first = line.claim().await;
    line.say(&first, Outcome::GivenBack).await;
    let second = line.claim().await;
    let held = [&first, &second].map(|job| (job.seq, job.token, true));
    let renewed = line.queue.renew(&held, LEASE).await.unwrap();
    assert_eq!(renewed, [Renewed::Lost, Renewed::Held]);
    let ack = |job: &crate::tables::job::Claimed, result: &str| Ack {
        seq: job.seq,
        token: job.token,
        outcome: Outcome::Completed { result: Some(result.into()) },
    };
    let settled = line.queue.finish(vec![ack(&first, "1"), ack(&second, "2")]).await.unwrap();
    assert_eq!(settled, [None, Some(Status::Completed)]);
    let again = line.add(New { idempotency: Some(("k".into(), HOUR)), ..line.job("1") }).await;
    assert_eq!(again.result.as_deref(), Some("2"));
    line.close().await;
}

pub(super) async fn a_key_is_kept_also_where_another_name_was_found(f: &Fixture) {
    let line = Line::open(f).await;
    let mine = line.add(New { custom_id: Some("mine".into()), ..line.job("1") }).await;
    let key = || Some(("k".to_owned(), HOUR));
    let both = New { custom_id: Some("mine".into()), idempotency: key(), ..line.job("2") };
    assert_eq!(line.add(both).await, Added { is_new: false, ..mine.clone() });
    let job = line.claim().await;
    line.complete(&job).await;
    line.queue.remove(line.number, job.seq).await.unwrap();
    let again = line.add(New { idempotency: key(), ..line.job("3") }).await;
    assert_eq!((again.seq, again.is_new), (mine.seq, false));
    assert_eq!(again.result.as_deref(), Some("1"));
    let mut tx = f.core().transaction("test").await.unwrap();
    let unique = |key| New {
        unique: Some(crate::tables::job::Unique::Keep("u".into())),
        idempotency: key,
        ..line.job("4")
    };
    let first = add::add_in(&mut tx, &f.clock, &[unique(None)]).await.unwrap().remove(0);
    let key = Some(("l".to_owned(), HOUR));
    add::add_in(&mut tx, &f.clock, &[unique(key.clone())]).await.unwrap();
    tx.commit().await.unwrap();
    let again = line.add(New { idempotency: key, ..line.job("5") }).await;
    assert_eq!((again.seq, again.is_new), (first.seq, false));
    line.close().await;
}

pub(super) async fn a_round_does_a_part_and_says_so(f: &Fixture) {
    let line = Line::open(f).await;
    let many = || (0..600).map(|_| New { delay: LEASE, ..line.job("1") }).collect::<Vec<_>>();
    line.queue.add(many()).await.unwrap();
    line.queue.add(many()).await.unwrap();
    line.pass(LEASE).await;
    assert_eq!(line.claim_many(2_000).await.len(), 1_000, "all at once");
    let rest = line.claim_many(2_000).await;
    assert_eq!(rest.len(), 200);
    line.pass(LEASE * 2).await;
    let rounds = [line.queue.tend().await.unwrap(), line.queue.tend().await.unwrap()];
    assert_eq!(rounds.map(|round| round.stalled), [1_000, 200]);
    assert_eq!(rounds.map(|round| round.is_unfinished()), [true, false]);
    line.close().await;
}

pub(super) async fn what_was_only_claimed_ahead_does_not_stall(f: &Fixture) {
    let line = Line::open(f).await;
    line.queue.add(vec![line.job("1"), line.job("2"), line.job("3")]).await.unwrap();
    for _ in 0..3 {
        let hand = line.queue.claim(line.number, (3, 0), &"w".into(), LEASE).await.unwrap();
        assert_eq!(hand.jobs.iter().map(|job| job.stalled).collect::<Vec<_>>(), [0; 3]);
        line.pass(LEASE * 2).await;
        assert_eq!(line.queue.tend().await.unwrap().stalled, 3);
    }
    // Of three the first begins at once, and the second later.
    let hand = line.queue.claim(line.number, (3, 1), &"w".into(), LEASE).await.unwrap();
    assert_eq!(hand.jobs.iter().map(|job| &*job.payload).collect::<Vec<_>>(), ["1", "2", "3"]);
    let held = [(&hand.jobs[1], true), (&hand.jobs[2], false)];
    let held = held.map(|(job, begun)| (job.seq, job.token, begun));
    assert_eq!(line.queue.renew(&held, LEASE).await.unwrap(), [Renewed::Held; 2]);
    line.pass(LEASE * 2).await;
    line.queue.tend().await.unwrap();
    let again = line.claim_many(3).await;
    assert_eq!(again.iter().map(|job| job.stalled).collect::<Vec<_>>(), [1, 1, 0]);
    line.close().await;
}
