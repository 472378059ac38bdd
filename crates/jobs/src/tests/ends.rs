//! How jobs end: well, not well, not by themselves.

use super::*;

on_both! {
    what_fails_is_tried_again_until_no_attempt_is_left,
    what_is_not_to_be_tried_again_is_dead_with_its_reason,
    a_kind_for_any_does_what_no_other_is_named_for,
    whoever_takes_too_long_or_panics_has_failed,
    a_running_job_is_cancelled_within_a_second,
    a_cancelled_job_of_another_process_is_heard_of_by_renewal,
    a_handler_that_blocks_its_thread_keeps_its_lease,
    a_lost_job_runs_again_and_the_loser_is_refused,
    what_is_claimed_ahead_is_given_back_at_a_stop,
    who_lost_his_job_is_told,
    who_blocks_his_thread_is_told_that_his_time_is_over,
    an_answer_that_cannot_be_stored_spoils_no_other,
}

fn quick() -> Settings {
    Settings { backoff: Span(Duration::from_millis(20)), ..settings() }
}

async fn what_fails_is_tried_again_until_no_attempt_is_left(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(quick()).await;
    let id = house.add("1").await;
    for attempt in 0..3 {
        let begun = house.next().await;
        assert_eq!(begun.work.job.attempts_made, attempt);
        begun.say(Err(Failure::Again(format!("no {attempt}"))));
    }
    let row = house.wait(&id, Status::Failed).await;
    assert_eq!((row.error.as_deref(), row.attempts_made), (Some("no 2"), 3));
    house.jobs.retry("one", &id).await.expect("retried");
    let begun = house.next().await;
    assert_eq!(begun.work.job.attempts_made, 0);
    begun.say(Ok(None));
    house.wait(&id, Status::Completed).await;
    assert!(matches!(house.jobs.retry("one", &id).await, Err(Error::NoJob(_))));
    assert_eq!(house.jobs.remove("one", &id).await.expect("removed"), Status::Completed);
    house.close().await;
}

async fn what_is_not_to_be_tried_again_is_dead_with_its_reason(
    open: impl AsyncFn(Settings) -> House,
) {
    let mut house = open(quick()).await;
    let id = house.add("1").await;
    house.next().await.say(Err(Failure::Dead("unreadable".into())));
    let row = house.wait(&id, Status::Dead).await;
    assert_eq!((row.error.as_deref(), row.attempts_made), (Some("unreadable"), 1));
    let id = house.add_with(Add::new("stranger", "1")).await;
    let row = house.wait(&id, Status::Dead).await;
    let reason = row.error.expect("a reason");
    assert_eq!(reason, r#"no handler of queue one knows the kind "stranger""#);
    let dead = house.jobs.list("one", Status::Dead, None, 10).await.expect("a list");
    assert_eq!(dead.len(), 2);
    house.close().await;
}

async fn a_kind_for_any_does_what_no_other_is_named_for(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(quick()).await;
    for (queue, kind, by) in [
        ("two", "welcome", ANY),
        ("two", "puppet", "puppet"),
        ("two", ANY, ANY),
        ("one", "puppet", "puppet"),
    ] {
        let added = house.jobs.add(queue, Add::new(kind, "1")).await.expect("added");
        let begun = house.next().await;
        assert_eq!((begun.work.job.seq, begun.by), (added.seq, by), "{queue} {kind}");
        begun.say(Ok(None));
    }
    house.close().await;
}

async fn whoever_takes_too_long_or_panics_has_failed(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(quick()).await;
    let timeout = Some(Duration::from_millis(50));
    let slow = Add { timeout, attempts: Some(1), ..Add::new("puppet", "1") };
    let id = house.add_with(slow).await;
    let begun = house.next().await;
    let row = house.wait(&id, Status::Failed).await;
    assert_eq!(row.error.as_deref(), Some("it took longer than 50ms"));
    assert!(begun.say.is_closed(), "its handler goes on");
    let id = house.add_with(Add { attempts: Some(2), ..Add::new("bomb", "1") }).await;
    let row = house.wait(&id, Status::Failed).await;
    assert_eq!((row.error.as_deref(), row.attempts_made), (Some("its handler panicked"), 2));
    house.close().await;
}

async fn a_running_job_is_cancelled_within_a_second(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(settings()).await;
    let id = house.add("1").await;
    let begun = house.next().await;
    let asked = std::time::Instant::now();
    assert_eq!(house.jobs.cancel("one", &id).await.expect("cancelled"), Status::Active);
    tokio::time::timeout(LONG, begun.work.cancel.cancelled()).await.expect("never heard of");
    assert!(asked.elapsed() < Duration::from_secs(1));
    let row = house.wait(&id, Status::Dead).await;
    assert_eq!((row.error.as_deref(), row.attempts_made), (Some("cancelled"), 0));
    house.close().await;
}

async fn a_cancelled_job_of_another_process_is_heard_of_by_renewal(
    open: impl AsyncFn(Settings) -> House,
) {
    let mut house = open(settings()).await;
    let id = house.add("1").await;
    let begun = house.next().await;
    let row = house.jobs.get("one", &id).await.expect("a job");
    // As another process asks: nobody here is told.
    house.jobs.0.queue.cancel(row.queue, row.seq).await.expect("cancelled");
    tokio::time::timeout(LONG, begun.work.cancel.cancelled()).await.expect("never heard of");
    house.wait(&id, Status::Dead).await;
    house.close().await;
}

async fn a_handler_that_blocks_its_thread_keeps_its_lease(open: impl AsyncFn(Settings) -> House) {
    let lease = Span(Duration::from_millis(400));
    let sweep = Span(Duration::from_millis(20));
    let house = open(Settings { lease, sweep, threads: 1, ..settings() }).await;
    let id = house.add_with(Add::new("blocker", "1")).await;
    house.wait(&id, Status::Active).await;
    // The time itself is what is tested: more than three leases.
    tokio::time::sleep(lease.0 * 4).await;
    let row = house.jobs.get("one", &id).await.expect("a job");
    assert_eq!((row.status, row.stalled), (Status::Active, 0));
    house.let_go.send(()).expect("a handler that waits");
    let row = house.wait(&id, Status::Completed).await;
    assert_eq!((row.stalled, row.attempts_made), (0, 1));
    house.close().await;
}

async fn a_lost_job_runs_again_and_the_loser_is_refused(open: impl AsyncFn(Settings) -> House) {
    let sweep = Span(Duration::from_millis(20));
    let mut house = open(Settings { sweep, ..settings() }).await;
    house.jobs.pause("one").await.expect("paused");
    let id = house.add("1").await;
    let row = house.jobs.get("one", &id).await.expect("a job");
    house.jobs.resume("one").await.expect("resumed");
    let begun = house.next().await;
    // Another process's lease of no time: it stands still for longer than that.
    let held = (begun.work.job.seq, begun.work.job.token);
    house.jobs.0.leases.release([held].into_iter());
    house.jobs.0.queue.renew(&[(held.0, held.1, true)], Duration::ZERO).await.expect("renewed");
    let second = house.next().await;
    assert_eq!((second.id(), second.work.job.stalled), (id.clone(), 1));
    assert!(second.work.fencing_token() > begun.work.fencing_token());
    let late = Ack { seq: held.0, token: held.1, outcome: Outcome::Completed { result: None } };
    assert_eq!(house.jobs.0.queue.finish(vec![late]).await.expect("answered"), [None]);
    begun.say(Ok(Some("1".into())));
    second.say(Ok(Some("2".into())));
    let done = house.wait(&id, Status::Completed).await;
    assert_eq!((done.result.as_deref(), done.queue), (Some("2"), row.queue));
    house.close().await;
}

async fn who_lost_his_job_is_told(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(settings()).await;
    let id = house.add("1").await;
    let first = house.next().await;
    // Somebody else says that it did not begin; nobody here is told.
    let (seq, token) = (first.work.job.seq, first.work.job.token);
    let back = Ack { seq, token, outcome: Outcome::GivenBack };
    house.jobs.0.queue.finish(vec![back]).await.expect("answered");
    let second = house.next().await;
    assert_eq!(second.id(), id);
    tokio::time::timeout(LONG, first.work.cancel.cancelled()).await.expect("never told");
    assert!(!second.work.cancel.is_cancelled());
    second.say(Ok(Some("2".into())));
    assert_eq!(house.wait(&id, Status::Completed).await.result.as_deref(), Some("2"));
    house.close().await;
}

async fn who_blocks_his_thread_is_told_that_his_time_is_over(
    open: impl AsyncFn(Settings) -> House,
) {
    let house = open(settings()).await;
    let timeout = Some(Duration::from_millis(50));
    let id = house.add_with(Add { timeout, ..Add::new("stubborn", "1") }).await;
    let row = house.wait(&id, Status::Completed).await;
    assert_eq!((row.attempts_made, row.stalled), (1, 0));
    house.close().await;
}

async fn an_answer_that_cannot_be_stored_spoils_no_other(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(quick()).await;
    let jobs = ["1", "2", "3"].map(|payload| Add::new("puppet", payload));
    house.jobs.add_many("one", jobs.into()).await.expect("added");
    let begun = [house.next().await, house.next().await, house.next().await];
    let said = ["1", "\0", "3"];
    let acks = begun.iter().zip(said).map(|(begun, said)| Ack {
        seq: begun.work.job.seq,
        token: begun.work.job.token,
        outcome: Outcome::Completed { result: Some(said.into()) },
    });
    let (untold, was_told) = crate::tell::tell(house.jobs.clone(), acks.collect()).await;
    assert_eq!((untold, was_told), (vec![], true));
    for (begun, said) in begun.into_iter().zip(said) {
        // A file takes it, a server does not.
        let is_fine = said != "\0" || !house.store.core().is_shared();
        let status = if is_fine { Status::Completed } else { Status::Dead };
        let row = house.jobs.get("one", &begun.id()).await.expect("a job");
        assert_eq!((row.status, row.error.is_some()), (status, !is_fine));
    }
    for (said, status, reason) in [
        (Ok(Some("{".into())), Status::Dead, "its answer is not JSON"),
        (Ok(Some(format!("\"{}\"", "x".repeat(300_000)))), Status::Dead, "jobs.result_max"),
        (Err(Failure::Dead("a\0b".into())), Status::Dead, "a\u{fffd}b"),
        (Err(Failure::Again("ä".repeat(9_000))), Status::Failed, "ää…"),
    ] {
        let id = house.add_with(Add { attempts: Some(1), ..Add::new("puppet", "1") }).await;
        let begun = house.next().await;
        assert!(begun.work.progress("{".into()).await.is_err());
        begun.say(said);
        let error = house.wait(&id, status).await.error.expect("a reason");
        assert!(error.contains(reason) && error.len() < 4_200, "{error}");
    }
    house.close().await;
}

async fn what_is_claimed_ahead_is_given_back_at_a_stop(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(Settings { concurrency: 2, ..settings() }).await;
    let jobs = (0..6).map(|n| Add::new("puppet", n.to_string())).collect();
    let added = house.jobs.add_many("one", jobs).await.expect("added");
    let (ends, _stays) = (house.next().await, house.next().await);
    let id = ends.id();
    let stopping = house.workers.clone();
    // No member is there any more once this is answered, also of those that run: they had no time.
    let stopped = tokio::join!(stopping.finish(Duration::from_millis(200), LONG), async {
        ends.say(Ok(None));
    });
    assert_eq!((stopped.0, house.workers.crashes()), (0, vec![]));
    let counts = house.jobs.counts("one").await.expect("counts");
    assert_eq!(counts.of(Status::Completed), 1);
    assert_eq!((counts.of(Status::Waiting), counts.of(Status::Active)), (5, 0));
    for added in added.iter().filter(|added| added.seq.to_string() != id) {
        let row = house.jobs.get("one", &added.seq.to_string()).await.expect("a job");
        assert_eq!((row.attempts_made, row.stalled), (0, 0));
    }
    assert!(house.begun.try_recv().is_err(), "more began");
    house.close().await;
}
