//! Which jobs begin, when, and how many at a time.

use super::*;

on_both! {
    what_a_handler_answers_is_kept,
    no_more_run_than_may,
    a_queue_that_is_not_configured_is_named,
    what_is_committed_is_begun_and_what_is_not_is_not,
    what_nobody_spoke_of_is_found_by_looking,
    delayed_ones_begin_when_they_are_due,
    a_paused_queue_rests_until_it_is_resumed,
    a_pause_is_for_what_was_claimed_ahead_too,
    what_does_not_begin_soon_is_left_to_others,
    a_queue_for_others_is_left_to_them,
    the_sooner_priority_comes_first,
}

async fn what_a_handler_answers_is_kept(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(settings()).await;
    let id = house.add(r#"{"a":1}"#).await;
    let begun = house.next().await;
    assert_eq!((begun.id(), begun.work.job.payload.as_str()), (id.clone(), r#"{"a":1}"#));
    assert!(begun.work.fencing_token() > 0);
    assert!(begun.work.progress("50".into()).await.expect("noted"));
    assert_eq!(house.wait(&id, Status::Active).await.progress.as_deref(), Some("50"));
    begun.say(Ok(Some("[7]".into())));
    let row = house.wait(&id, Status::Completed).await;
    assert_eq!((row.result.as_deref(), row.attempts_made), (Some("[7]"), 1));
    house.close().await;
}

async fn no_more_run_than_may(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(Settings { concurrency: 2, ..settings() }).await;
    let jobs = (0..6).map(|n| Add::new("puppet", n.to_string())).collect();
    let added = house.jobs.add_many("one", jobs).await.expect("added");
    assert!(added.iter().all(|added| added.is_new));
    let mut running = vec![house.next().await, house.next().await];
    for expected in 2..6 {
        // What was claimed ahead would have begun by the time a change of another kind has gone through the store.
        house.jobs.counts("one").await.expect("counts");
        assert!(house.begun.try_recv().is_err(), "a third one runs");
        running.remove(0).say(Ok(None));
        let next = house.next().await;
        assert_eq!(next.work.job.payload, expected.to_string());
        running.push(next);
    }
    running.into_iter().for_each(|begun| begun.say(Ok(None)));
    house.wait(&added[5].seq.to_string(), Status::Completed).await;
    house.close().await;
}

async fn a_queue_that_is_not_configured_is_named(open: impl AsyncFn(Settings) -> House) {
    let house = open(settings()).await;
    let error = house.jobs.add("nope", Add::new("puppet", "1")).await.expect_err("no such queue");
    assert_eq!(error.to_string(), "Queue nope not found");
    assert!(matches!(house.jobs.get("one", "77").await, Err(Error::NoJob(id)) if id == "77"));
    house.close().await;
}

async fn what_is_committed_is_begun_and_what_is_not_is_not(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(settings()).await;
    let store = house.store.clone();
    for (payload, commits) in [("1", false), ("2", true)] {
        let mut tx = store.core().transaction("test").await.expect("a transaction");
        let jobs = vec![Add::new("puppet", payload)];
        house.jobs.add_in(&mut tx, "one", jobs).await.expect("added");
        if commits {
            tx.commit().await.expect("committed");
        } else {
            drop(tx);
        }
        house.jobs.wake("one");
    }
    let begun = house.next().await;
    assert_eq!(begun.work.job.payload, "2");
    let id = begun.id();
    begun.say(Ok(None));
    house.wait(&id, Status::Completed).await;
    assert!(house.begun.try_recv().is_err());
    house.close().await;
}

async fn what_nobody_spoke_of_is_found_by_looking(open: impl AsyncFn(Settings) -> House) {
    let poll_every = Span(Duration::from_millis(20));
    let mut house = open(Settings { poll_every, ..settings() }).await;
    let store = house.store.clone();
    let mut tx = store.core().transaction("test").await.expect("a transaction");
    let jobs = vec![Add::new("puppet", "1")];
    house.jobs.add_in(&mut tx, "one", jobs).await.expect("added");
    tx.commit().await.expect("committed");
    house.next().await.say(Ok(None));
    house.close().await;
}

async fn delayed_ones_begin_when_they_are_due(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(settings()).await;
    let added_at = std::time::Instant::now();
    let delay = Duration::from_millis(300);
    house.add_with(Add { delay, ..Add::new("puppet", "1") }).await;
    house.add("2").await;
    let soon = house.next().await;
    assert_eq!(soon.work.job.payload, "2");
    soon.say(Ok(None));
    let late = house.next().await;
    assert!(added_at.elapsed() >= delay);
    late.say(Ok(None));
    house.close().await;
}

async fn a_paused_queue_rests_until_it_is_resumed(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(settings()).await;
    house.jobs.pause("one").await.expect("paused");
    let id = house.add("1").await;
    house.jobs.0.queue.tend().await.expect("tended");
    house.wait(&id, Status::Waiting).await;
    assert!(house.begun.try_recv().is_err());
    house.jobs.resume("one").await.expect("resumed");
    house.next().await.say(Ok(None));
    house.wait(&id, Status::Completed).await;
    house.close().await;
}

/// Three, of which one runs and two were claimed ahead.
async fn one_and_two_ahead(house: &mut House) -> (Begun, [String; 2]) {
    let jobs = (0..3).map(|n| Add::new("puppet", n.to_string())).collect();
    let added = house.jobs.add_many("one", jobs).await.expect("added");
    let begun = house.next().await;
    let ids = [added[1].seq.to_string(), added[2].seq.to_string()];
    (begun, ids)
}

async fn a_pause_is_for_what_was_claimed_ahead_too(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(Settings { concurrency: 1, ..settings() }).await;
    let (first, ids) = one_and_two_ahead(&mut house).await;
    // As another process does it: nobody here is told, but by a renewal.
    let number = house.jobs.number("one").await.expect("a number");
    mainstay_store::job_queue::pause(house.store.core(), number).await.expect("paused");
    for id in &ids {
        house.wait(id, Status::Waiting).await;
    }
    assert!(!first.work.cancel.is_cancelled(), "it has begun");
    let id = first.id();
    first.say(Ok(None));
    house.wait(&id, Status::Completed).await;
    assert!(house.begun.try_recv().is_err(), "it begins though it is paused");
    house.jobs.resume("one").await.expect("resumed");
    for id in &ids {
        let next = house.next().await;
        assert_eq!((&next.id(), next.work.job.stalled), (id, 0));
        next.say(Ok(None));
    }
    house.close().await;
}

async fn what_does_not_begin_soon_is_left_to_others(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(Settings { concurrency: 1, ..settings() }).await;
    let (first, ids) = one_and_two_ahead(&mut house).await;
    house.wait(&ids[1], Status::Active).await;
    house.jobs.cancel("one", &ids[1]).await.expect("cancelled");
    let row = house.wait(&ids[1], Status::Dead).await;
    assert_eq!(row.error.as_deref(), Some("cancelled"));
    let row = house.wait(&ids[0], Status::Waiting).await;
    assert_eq!((row.attempts_made, row.stalled), (0, 0));
    first.say(Ok(None));
    let second = house.next().await;
    assert_eq!(second.id(), ids[0]);
    second.say(Ok(None));
    house.close().await;
}

async fn a_queue_for_others_is_left_to_them(open: impl AsyncFn(Settings) -> House) {
    let queue = vec![
        Queue { name: "two".into(), concurrency: Some(0) },
        Queue { name: "one".into(), concurrency: None },
    ];
    let mut house = open(Settings { queue, ..settings() }).await;
    let added = house.jobs.add("two", Add::new("puppet", "1")).await.expect("added");
    house.add("2").await;
    let begun = house.next().await;
    assert_eq!(begun.work.job.payload, "2");
    begun.say(Ok(None));
    let row = house.jobs.get("two", &added.seq.to_string()).await.expect("a job");
    assert_eq!(row.status, Status::Waiting);
    let counts = house.jobs.counts("two").await.expect("counts");
    assert_eq!((counts.of(Status::Waiting), counts.of(Status::Active)), (1, 0));
    assert_eq!(house.jobs.oldest_waiting("two").await.expect("asked"), Some(row.run_at));
    house.close().await;
}

async fn the_sooner_priority_comes_first(open: impl AsyncFn(Settings) -> House) {
    let mut house = open(Settings { concurrency: 1, ..settings() }).await;
    house.jobs.pause("one").await.expect("paused");
    let jobs = [5, 0, 1].map(|priority| Add { priority, ..Add::new("puppet", "1") });
    house.jobs.add_many("one", jobs.into()).await.expect("added");
    house.jobs.resume("one").await.expect("resumed");
    for expected in [0, 1, 5] {
        let begun = house.next().await;
        assert_eq!(begun.work.job.priority, expected);
        begun.say(Ok(None));
    }
    house.close().await;
}
