//! Read your writes: who shows the token of a change sees it, whatever replica is late.

use std::time::Duration;

use mainstay_testkit::Postgres;

use super::house::{always, count, database, view};
use super::*;
use crate::{Written, page_view};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_with_a_token_sees_the_past_and_the_others_stay_on_replicas() {
    pairs(300).await;
}

/// Write, then read with the token, beside others that read without.
async fn pairs(count_of: u32) {
    let (servers, _, house) = House::with_replicas(2).await;
    servers.replicas()[0].set_apply_delay(Duration::from_secs(2));
    servers.replicas()[1].set_apply_delay(Duration::from_secs(2));
    let others = Load::reads(house.store.insight(), 2);
    let mut stale_without = 0;
    for n in 0..count_of {
        let written = house.recorder.record(view(n)).await.unwrap();
        let token = house.store.seal(written).expect("a token");
        let reading = house.store.reading_since(&[&token]);
        let seen = page_view::total(&reading, &always()).await.unwrap().pageviews;
        assert_eq!(seen, i64::from(n) + 1, "stale with the token of write {n}");
        if count(house.store.insight()).await.unwrap() <= i64::from(n) {
            stale_without += 1;
        }
    }
    assert!(stale_without > count_of / 2, "{stale_without}: the replicas were not late");
    let (asked, failed, _) = others.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    let of_others = asked + u64::from(count_of);
    let on_replicas = house.answered("replica");
    assert!(on_replicas * 100 >= of_others * 95, "{on_replicas} of {of_others}");
    let by_token = house.answered("token");
    assert!(by_token >= u64::from(count_of) * 9 / 10, "{by_token}");
    assert_eq!(house.answered("no_replica"), 0);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_has_come_far_enough_answers_and_a_dead_one_costs_nothing() {
    let servers = Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    let mut database = database(&servers, &name);
    database.catch_up = mainstay_base::units::Span(Duration::from_millis(500));
    let house = House::open(&database).await;
    servers.wait_replicated(LONG);
    for n in 0..50 {
        let written = house.recorder.record(view(n)).await.unwrap();
        let reading = house.store.reading_since(&[&house.store.seal(written).unwrap()]);
        assert_eq!(count(&reading).await.unwrap(), i64::from(n) + 1);
    }
    assert!(house.answered("replica") >= 45, "{}", house.answered("replica"));
    // Stopped: a read that must have seen a change waits for it no longer than it would for a late one.
    servers.replicas()[0].pause();
    servers.replicas()[1].pause();
    for n in 50..60 {
        let written = house.recorder.record(view(n)).await.unwrap();
        let reading = house.store.reading_since(&[&house.store.seal(written).unwrap()]);
        let began = std::time::Instant::now();
        assert_eq!(count(&reading).await.unwrap(), i64::from(n) + 1);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    servers.replicas()[0].resume();
    servers.replicas()[1].resume();
    house.is_fit(1).await;
    house.is_fit(2).await;
    // Killed: ejected by the first token read that is refused.
    servers.replicas()[0].kill();
    servers.replicas()[1].kill();
    let written = house.recorder.record(view(60)).await.unwrap();
    let reading = house.store.reading_since(&[&house.store.seal(written).unwrap()]);
    assert_eq!(count(&reading).await.unwrap(), 61);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_an_old_history_and_forged_ones() {
    let (servers, _, house) = House::with_replicas(2).await;
    let written = house.recorder.record(view(0)).await.unwrap();
    let old = house.store.seal(written).unwrap();
    servers.wait_replicated(LONG);
    servers.primary().kill();
    until("the loss is noticed", LONG, || house.db().cluster.primary().is_none()).await;
    servers.replicas()[0].promote();
    servers.replicas()[1].follow(&servers.replicas()[0]);
    house.primary_is(1).await;
    until("the other follows", LONG, || {
        let at = house.node(2).state();
        at.position.timeline == 2 && !at.suspect && at.ejected.is_none()
    })
    .await;
    let before = house.answered("token");
    assert_eq!(count(&house.store.reading_since(&[&old])).await.unwrap(), 1);
    assert_eq!(house.answered("token"), before + 1, "only the primary can tell");
    // One that is not ours says nothing.
    let before = house.answered("replica");
    let forged = old.replace(['0', '1'], "7");
    count(&house.store.reading_since(&[&forged])).await.unwrap();
    assert_eq!(house.answered("replica"), before + 1);
    assert_eq!(house.store.seal(Written::default()), None);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_two_tokens_sees_what_both_speak_of() {
    let (servers, _, house) = House::with_replicas(1).await;
    let early = house.recorder.record(view(0)).await.unwrap();
    let early = house.store.seal(early).unwrap();
    servers.wait_replicated(LONG);
    servers.replicas()[0].set_apply_delay(Duration::from_secs(3_600));
    let late = house.recorder.record(view(1)).await.unwrap();
    let late = house.store.seal(late).unwrap();
    for tokens in [[&*early, &*late], [&*late, &*early], [&*late, "invented"]] {
        assert_eq!(count(&house.store.reading_since(&tokens)).await.unwrap(), 2, "{tokens:?}");
    }
    assert_eq!(count(&house.store.reading_since(&[&early])).await.unwrap(), 1);
    assert_eq!(count(&house.store.reading_since(&[])).await.unwrap(), 1);
    // A change that the recorder did not make.
    let now = house.store.seal_latest().await.unwrap();
    assert_eq!(count(&house.store.reading_since(&[&now])).await.unwrap(), 2);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_waited_for_in_vain_keeps_its_connection() {
    let (servers, _, house) = House::with_replicas(1).await;
    servers.replicas()[0].set_apply_delay(Duration::from_secs(3_600));
    count(house.store.insight()).await.unwrap();
    assert_eq!(house.node(1).pool.count(), (0, 1));
    let written = house.recorder.record(view(0)).await.unwrap();
    let reading = house.store.reading_since(&[&house.store.seal(written).expect("a token")]);
    assert_eq!(count(&reading).await.unwrap(), 1);
    assert!(house.node(1).state().slow, "it was waited for");
    assert_eq!(house.node(1).pool.count(), (0, 1));
    house.finish().await;
}
