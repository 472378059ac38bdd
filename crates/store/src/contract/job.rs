//! Contract of `job`: what may be claimed, by whom, and what becomes of what he says.

use std::time::Duration;

use super::fixture::Fixture;
use super::job_line::{HOUR, LEASE, Line};
use crate::ask::change;
use crate::queue::Error;
use crate::sql::{Sql, sql};
use crate::tables::job::{
    self, Added, Backoff, Claimed, Filter, New, Outcome, Renewed, Status, Unique, add,
};
use crate::tables::job_queue;

pub(super) async fn are_claimed_by_priority_and_then_by_number(f: &Fixture) {
    let line = Line::open(f).await;
    let mut rows: Vec<New> = (0..5).map(|n| line.job(&n.to_string())).collect();
    for (row, priority) in rows.iter_mut().zip([10, 0, 1, 0, 1]) {
        row.priority = priority;
    }
    let added = line.queue.add(rows).await.unwrap();
    assert!(added.iter().all(|added| added.is_new));
    assert!(added.is_sorted_by_key(|added| added.seq));
    let of = |jobs: Vec<Claimed>| jobs.into_iter().map(|job| job.payload).collect::<Vec<_>>();
    assert_eq!(of(line.claim_many(3).await), ["1", "3", "2"]);
    assert_eq!(of(line.claim_many(9).await), ["4", "0"]);
    assert_eq!(of(line.claim_many(9).await), [""; 0]);
    line.close().await;
}

pub(super) async fn a_claim_has_what_was_added(f: &Fixture) {
    let line = Line::open(f).await;
    let row = New {
        priority: 7,
        attempts_max: 5,
        timeout: Duration::from_millis(1_500),
        custom_id: Some("mine".into()),
        trace: Some("00-trace".into()),
        written: Some("token".into()),
        ..line.job(r#"{"a":"ä"}"#)
    };
    let added = line.add(row).await;
    let job = line.claim().await;
    assert_eq!((job.seq, job.attempts_made), (added.seq, 0));
    assert_eq!((job.kind.as_str(), job.payload.as_str()), ("kind", r#"{"a":"ä"}"#));
    assert_eq!((job.priority, job.attempts_max, job.timeout.as_millis()), (7, 5, 1_500));
    assert_eq!(job.custom_id.as_deref(), Some("mine"));
    assert_eq!((job.trace.as_deref(), job.written.as_deref()), (Some("00-trace"), Some("token")));
    assert!(line.queue.note_progress((job.seq, job.token), "0.5".into()).await.unwrap());
    assert!(!line.queue.note_progress((job.seq, job.token + 1), "9".into()).await.unwrap());
    let row = job::find(f.core(), line.number, "mine").await.unwrap().unwrap();
    assert_eq!((row.status, row.progress.as_deref()), (Status::Active, Some("0.5")));
    assert_eq!((row.seq, row.worker.as_deref()), (job.seq, Some("worker")));
    assert_eq!(line.complete(&job).await, Some(Status::Completed));
    let row = line.find(job.seq).await;
    assert_eq!((row.status, row.result.as_deref()), (Status::Completed, Some("1")));
    assert_eq!((row.attempts_made, row.finished_at.is_some()), (1, true));
    line.close().await;
}

pub(super) async fn who_lost_his_lease_is_refused(f: &Fixture) {
    let line = Line::open(f).await;
    line.add(line.job("1")).await;
    let first = line.claim().await;
    assert!(!line.look().await.is_to_be_tended);
    line.pass(LEASE * 2).await;
    assert!(line.look().await.is_to_be_tended);
    assert_eq!(line.queue.tend().await.unwrap().stalled, 1);
    let second = line.claim().await;
    assert_eq!((second.seq, second.stalled), (first.seq, 1));
    assert!(second.token > first.token);
    let renew = async |job: &Claimed| {
        line.queue.renew(&[(job.seq, job.token, true)], LEASE).await.unwrap()[0]
    };
    assert_eq!((renew(&first).await, renew(&second).await), (Renewed::Lost, Renewed::Held));
    let held = [&first, &second].map(|job| (job.seq, job.token));
    let asked = job::ask_after(f.core(), &held).await.unwrap();
    assert_eq!(asked, [Renewed::Lost, Renewed::Held]);
    for outcome in [
        Outcome::Completed { result: None },
        Outcome::Failed { error: "late".into(), spread: 1.0 },
        Outcome::Dead { reason: "late".into() },
        Outcome::GivenBack,
    ] {
        assert_eq!(line.say(&first, outcome).await, None);
    }
    assert_eq!(line.find(first.seq).await.status, Status::Active);
    assert_eq!(line.complete(&second).await, Some(Status::Completed));
    assert_eq!(line.complete(&second).await, None, "said twice");
    line.close().await;
}

pub(super) async fn who_stalls_once_too_often_is_buried(f: &Fixture) {
    let line = Line::open(f).await;
    line.add(line.job("1")).await;
    for status in [Status::Waiting, Status::Dead] {
        let job = line.claim().await;
        line.pass(LEASE / 2).await;
        line.queue.renew(&[(job.seq, job.token, true)], LEASE).await.unwrap();
        line.pass(LEASE * 2 / 3).await;
        assert_eq!(line.queue.tend().await.unwrap().stalled, 0, "a lease that was renewed");
        line.pass(LEASE).await;
        line.queue.tend().await.unwrap();
        let row = line.find(job.seq).await;
        assert_eq!((row.status, row.attempts_made), (status, 0));
    }
    let row = line.claim_many(1).await;
    assert_eq!(row, []);
    let dead = Filter { queue: line.number, status: Status::Dead };
    let dead = job::list(f.core(), dead, None, 9).await.unwrap();
    assert!(dead[0].error.as_deref().unwrap().starts_with("stalled"));
    line.close().await;
}

pub(super) async fn attempts_are_put_off_until_none_is_left(f: &Fixture) {
    let line = Line::open(f).await;
    let second = Duration::from_secs(1);
    for (backoff, waits) in [
        (Backoff::Exponential(10 * second), [10, 20, 40]),
        (Backoff::Fixed(10 * second), [10, 10, 10]),
    ] {
        let added = line.add(New { backoff, attempts_max: 4, ..line.job("1") }).await;
        for (made, wait) in (1..).zip(waits) {
            let job = line.claim().await;
            assert_eq!(line.fail(&job).await, Some(Status::Delayed));
            let row = line.find(added.seq).await;
            assert_eq!((row.attempts_made, row.error.as_deref()), (made, Some("no")));
            line.pass(wait * second - second / 2).await;
            assert_eq!(line.claim_many(1).await, [], "too soon");
            line.pass(second / 2).await;
        }
        let job = line.claim().await;
        assert_eq!(line.fail(&job).await, Some(Status::Failed));
        let row = line.find(added.seq).await;
        assert_eq!((row.attempts_made, row.finished_at.is_some()), (4, true));
    }
    let backoff = Backoff::Exponential(10 * second);
    line.add(New { backoff, ..line.job("1") }).await;
    let job = line.claim().await;
    line.say(&job, Outcome::Failed { error: "no".into(), spread: 0.5 }).await;
    line.pass(5 * second).await;
    assert_eq!(line.claim().await.attempts_made, 1);
    line.close().await;
}

pub(super) async fn delayed_ones_wait_for_their_time(f: &Fixture) {
    let line = Line::open(f).await;
    let minute = Duration::from_secs(60);
    line.add(New { delay: 2 * minute, ..line.job("2") }).await;
    line.add(New { delay: minute, ..line.job("1") }).await;
    assert_eq!(line.statuses().await, [0, 2, 0, 0, 0, 0]);
    let hand = line.queue.claim(line.number, (5, 5), &"w".into(), LEASE).await.unwrap();
    let due = hand.next_due.expect("a delayed one");
    assert!(hand.jobs.is_empty() && due <= minute && due > minute - LEASE, "{due:?}");
    let next = async || {
        let due = line.look().await.due;
        due.iter().find(|(queue, _)| *queue == line.number).map(|(_, due)| *due)
    };
    assert!(next().await.is_some_and(|due| due <= minute && due > minute - LEASE));
    line.pass(minute).await;
    assert_eq!(line.claim_many(5).await.len(), 1);
    line.pass(minute).await;
    line.add(line.job("3")).await;
    assert_eq!(next().await, Some(Duration::ZERO));
    let rest: Vec<_> = line.claim_many(5).await.into_iter().map(|job| job.payload).collect();
    assert_eq!(rest, ["2", "3"]);
    assert_eq!(next().await, None);
    line.close().await;
}

pub(super) async fn given_back_counts_no_attempt(f: &Fixture) {
    let line = Line::open(f).await;
    let added = line.queue.add(vec![line.job("1"), line.job("2")]).await.unwrap();
    let job = line.claim().await;
    assert_eq!(line.say(&job, Outcome::GivenBack).await, Some(Status::Waiting));
    let again = line.claim().await;
    assert_eq!((again.seq, again.attempts_made, again.stalled), (added[0].seq, 0, 0));
    assert!(again.token > job.token);
    let dead = Outcome::Dead { reason: "never".into() };
    assert_eq!(line.say(&again, dead).await, Some(Status::Dead));
    assert_eq!(line.find(again.seq).await.error.as_deref(), Some("never"));
    line.close().await;
}

pub(super) async fn a_name_that_is_taken_is_the_one_that_has_it(f: &Fixture) {
    let line = Line::open(f).await;
    let named = |payload: &str| New { custom_id: Some("mine".into()), ..line.job(payload) };
    let first = line.queue.add(vec![named("1"), line.job("x"), named("2")]).await.unwrap();
    assert_eq!((first[0].seq, first[2].is_new), (first[2].seq, false));
    assert!(first[0].is_new && first[1].is_new);
    assert_eq!(line.find(first[0].seq).await.payload, "1");
    let unique = |unique: Unique, payload: &str| New {
        unique: Some(unique),
        delay: Duration::from_secs(60),
        ..line.job(payload)
    };
    let keep = || Unique::Keep("u".into());
    let one = line.add(unique(keep(), "1")).await;
    assert!(one.is_new);
    assert_eq!(line.add(unique(keep(), "2")).await, Added { is_new: false, ..one.clone() });
    assert_eq!(line.find(one.seq).await.payload, "1");
    let before = line.find(one.seq).await.run_at;
    line.pass(Duration::from_secs(30)).await;
    let debounced = line.add(unique(Unique::Debounce("u".into()), "3")).await;
    assert_eq!(debounced.seq, one.seq);
    let row = line.find(one.seq).await;
    assert_eq!((row.payload.as_str(), row.status), ("3", Status::Delayed));
    line.pass(Duration::from_secs(45)).await;
    let claimed = line.claim_many(5).await;
    assert!(claimed.iter().all(|job| job.seq != one.seq), "its delay began anew, after {before}");
    line.pass(Duration::from_secs(15)).await;
    let job = line.claim().await;
    assert_eq!(line.add(unique(keep(), "4")).await.seq, one.seq, "while it runs");
    line.complete(&job).await;
    let next = line.add(unique(keep(), "5")).await;
    assert!(next.is_new && next.seq != one.seq, "the first is finished");
    line.close().await;
}

pub(super) async fn an_idempotency_key_outlives_its_job(f: &Fixture) {
    let line = Line::open(f).await;
    let keyed = || New { idempotency: Some(("k".into(), 24 * HOUR)), ..line.job("1") };
    let first = line.add(keyed()).await;
    assert_eq!(line.add(keyed()).await, Added { is_new: false, ..first.clone() });
    let job = line.claim().await;
    line.complete(&job).await;
    assert_eq!(line.queue.remove(line.number, job.seq).await.unwrap(), Some(Status::Completed));
    line.pass(23 * HOUR).await;
    line.queue.tend().await.unwrap();
    let again = line.add(keyed()).await;
    assert_eq!((again.seq, again.is_new, again.result.as_deref()), (first.seq, false, Some("1")));
    line.pass(2 * HOUR).await;
    let later = line.add(keyed()).await;
    assert!(later.is_new && later.seq > first.seq && later.result.is_none());
    line.close().await;
}

pub(super) async fn what_is_finished_is_kept_by_count_and_age(f: &Fixture) {
    let line = Line::open(f).await;
    line.queue.add((0..12).map(|n| line.job(&n.to_string())).collect()).await.unwrap();
    let jobs = line.claim_many(12).await;
    for job in &jobs[..6] {
        line.complete(job).await;
    }
    for job in &jobs[6..] {
        line.say(job, Outcome::Dead { reason: "no".into() }).await;
    }
    line.queue.tend().await.unwrap();
    assert_eq!(line.statuses().await, [0, 0, 0, 3, 0, 2]);
    let kept = Filter { queue: line.number, status: Status::Completed };
    let kept = job::list(f.core(), kept, None, 9).await.unwrap();
    assert!(kept.iter().all(|row| row.seq >= jobs[3].seq), "the oldest go");
    assert!(!line.look().await.is_to_be_tended);
    line.pass(HOUR * 2).await;
    assert!(line.look().await.is_to_be_tended);
    assert_eq!(line.queue.tend().await.unwrap().forgotten, 5);
    assert_eq!(line.statuses().await, [0; 6]);
    assert!(!line.look().await.is_to_be_tended);
    line.close().await;
}

pub(super) async fn a_paused_queue_gives_nothing(f: &Fixture) {
    let line = Line::open(f).await;
    line.add(line.job("1")).await;
    assert!(job_queue::pause(f.core(), line.number).await.unwrap());
    assert_eq!(line.claim_many(1).await, []);
    assert_eq!(line.look().await.due, [], "nobody is woken for it");
    assert!(job_queue::list(f.core()).await.unwrap()[0].paused);
    assert!(job_queue::resume(f.core(), line.number).await.unwrap());
    let job = line.claim().await;
    assert!(job_queue::pause(f.core(), line.number).await.unwrap());
    let renewed = line.queue.renew(&[(job.seq, job.token, false)], LEASE).await.unwrap();
    assert_eq!(renewed, [Renewed::Paused]);
    let asked = job::ask_after(f.core(), &[(job.seq, job.token)]).await.unwrap();
    assert_eq!(asked, [Renewed::Paused]);
    assert!(!job_queue::pause(f.core(), line.number + 1).await.unwrap());
    line.close().await;
}

pub(super) async fn a_person_cancels_retries_and_removes(f: &Fixture) {
    let line = Line::open(f).await;
    let added = line.queue.add((0..3).map(|_| line.job("1")).collect()).await.unwrap();
    let (queue, number) = (&line.queue, line.number);
    let job = line.claim().await;
    assert_eq!(queue.cancel(number, added[1].seq).await.unwrap(), Some(Status::Dead));
    assert_eq!(line.find(added[1].seq).await.error.as_deref(), Some("cancelled"));
    assert_eq!(queue.cancel(number, job.seq).await.unwrap(), Some(Status::Active));
    assert_eq!(queue.remove(number, job.seq).await.unwrap(), None, "somebody works on it");
    let renewed = queue.renew(&[(job.seq, job.token, true)], LEASE).await.unwrap();
    assert_eq!(renewed, [Renewed::Cancelled]);
    let asked = job::ask_after(f.core(), &[(job.seq, job.token)]).await.unwrap();
    assert_eq!(asked, [Renewed::Cancelled]);
    assert_eq!(line.say(&job, Outcome::GivenBack).await, Some(Status::Dead));
    assert_eq!(queue.cancel(number, job.seq).await.unwrap(), None, "it is finished");
    assert_eq!(queue.retry(number, added[2].seq).await.unwrap(), None, "it waits");
    assert_eq!(queue.retry(number, job.seq).await.unwrap(), Some(Status::Waiting));
    let again = line.claim().await;
    assert_eq!((again.seq, again.attempts_made), (job.seq, 0));
    assert_eq!(line.fail(&again).await, Some(Status::Delayed), "it is cancelled no more");
    assert_eq!(queue.remove(number, added[1].seq).await.unwrap(), Some(Status::Dead));
    assert_eq!(job::find(f.core(), number, &added[1].seq.to_string()).await.unwrap(), None);
    assert_eq!(queue.remove(number + 1, added[2].seq).await.unwrap(), None, "another queue");
    line.close().await;
}

pub(super) async fn there_is_none_of_a_transaction_that_was_rolled_back(f: &Fixture) {
    let line = Line::open(f).await;
    let rows = || {
        vec![
            line.job("1"),
            New { custom_id: Some("mine".into()), ..line.job("2") },
            New {
                unique: Some(Unique::Debounce("u".into())),
                idempotency: Some(("k".into(), HOUR)),
                delay: HOUR,
                ..line.job("3")
            },
        ]
    };
    let mut tx = f.core().transaction("test").await.unwrap();
    let added = add::add_in(&mut tx, &f.clock, &rows()).await.unwrap();
    assert!(added.iter().all(|added| added.is_new));
    drop(tx);
    assert_eq!(line.statuses().await, [0; 6]);
    let mut tx = f.core().transaction("test").await.unwrap();
    let added = add::add_in(&mut tx, &f.clock, &rows()).await.unwrap();
    tx.commit().await.unwrap();
    assert!(added.iter().all(|added| added.is_new));
    assert_eq!(line.statuses().await, [2, 1, 0, 0, 0, 0]);
    let mut tx = f.core().transaction("test").await.unwrap();
    let again = add::add_in(&mut tx, &f.clock, &rows()[1..]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!([again[0].seq, again[1].seq], [added[1].seq, added[2].seq]);
    assert!(again.iter().all(|added| !added.is_new));
    let alike = line.queue.add(rows()[1..].to_vec()).await.unwrap();
    assert_eq!(alike, again, "both ways find the same");
    let payloads: Vec<_> = line.claim_many(9).await.into_iter().map(|job| job.payload).collect();
    assert_eq!(payloads, ["1", "2"]);
    line.close().await;
}

pub(super) async fn what_breaks_a_rule_fails_alone(f: &Fixture) {
    let line = Line::open(f).await;
    // No database takes text in place of a number as far as the type goes; this breaks the table's own rule.
    const RULE: Sql = sql!(
        sqlite: "CREATE TRIGGER rule BEFORE INSERT ON job WHEN NEW.payload = 'bad'
            BEGIN SELECT RAISE(ABORT, 'a rule'); END",
        postgres: "ALTER TABLE mainstay.job ADD CONSTRAINT rule CHECK (payload <> 'bad')"
    );
    change!(f.core(), "test", RULE).unwrap();
    let adds = ["1", "bad", "2"].map(|payload| line.queue.add(vec![line.job(payload)]));
    let [first, bad, last] = futures_util::future::join_all(adds).await.try_into().unwrap();
    assert_eq!(bad, Err(Error::Refused));
    assert!(first.unwrap()[0].is_new && last.unwrap()[0].is_new);
    assert_eq!(line.queue.add(vec![line.job("3"), line.job("bad")]).await, Err(Error::Refused));
    assert_eq!(line.statuses().await, [2, 0, 0, 0, 0, 0]);
    line.close().await;
}

pub(super) async fn a_transaction_of_which_a_step_failed_does_not_commit(f: &Fixture) {
    let line = Line::open(f).await;
    const RULE: Sql = sql!(
        sqlite: "CREATE TRIGGER rule BEFORE INSERT ON job WHEN NEW.payload = 'bad'
            BEGIN SELECT RAISE(ABORT, 'a rule'); END",
        postgres: "ALTER TABLE mainstay.job ADD CONSTRAINT rule CHECK (payload <> 'bad')"
    );
    change!(f.core(), "test", RULE).unwrap();
    let mut tx = f.core().transaction("test").await.unwrap();
    add::add_in(&mut tx, &f.clock, &[line.job("1")]).await.unwrap();
    add::add_in(&mut tx, &f.clock, &[line.job("bad")]).await.unwrap_err();
    tx.commit().await.unwrap_err();
    assert_eq!(line.statuses().await, [0; 6]);
    let mut tx = f.core().transaction("test").await.unwrap();
    let number = job_queue::find_in(&mut tx, "two", f.clock.now()).await.unwrap();
    add::add_in(&mut tx, &f.clock, &[New::of(number, "kind", "1")]).await.unwrap();
    tx.commit().await.unwrap();
    let queues = job_queue::list(f.core()).await.unwrap();
    assert!(queues.iter().any(|row| (row.id, &*row.name) == (number, "two")));
    line.close().await;
}
