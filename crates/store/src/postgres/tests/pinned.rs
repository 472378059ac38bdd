//! The reads of one answer: none sees less than an earlier one did.

use std::sync::Arc;

use super::house::count;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_read_from_one_server_and_the_rest_of_it_from_the_primary() {
    let (servers, _, house) = House::with_replicas(2).await;
    // One replica has nothing of it.
    let held_back = &servers.replicas()[1];
    held_back.set_apply_delay(std::time::Duration::from_secs(3_600));
    assert!(house.record(0).await);
    let at = servers.primary().query("postgres", "SELECT pg_current_wal_lsn()");
    servers.replicas()[0].wait_replayed(&at, LONG);
    let mut seen = [0; 2];
    for _ in 0..20 {
        let pinned = house.store.insight().pinned();
        let first = count(&pinned).await.unwrap();
        seen[usize::try_from(first).unwrap()] += 1;
        for _ in 0..5 {
            assert_eq!(count(&pinned).await.unwrap(), first);
        }
    }
    assert!(seen[0] > 2 && seen[1] > 2, "both replicas have their turns: {seen:?}");
    // The one that has it is lost in the middle: the other one would say that there is nothing.
    let pinned = loop {
        let pinned = house.store.insight().pinned();
        if count(&pinned).await.unwrap() == 1 {
            break pinned;
        }
    };
    servers.replicas()[0].kill();
    for _ in 0..5 {
        assert_eq!(count(&pinned).await.unwrap(), 1);
    }
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_went_on_at_the_primary_ends_there() {
    let (servers, _, house) = House::with_replicas(1).await;
    let replica = &servers.replicas()[0];
    // From here it will begin again: with the delay it would not replay again what lies before.
    let _ = servers.primary().query("postgres", "CHECKPOINT");
    servers.wait_replicated(LONG);
    let _ = replica.query("postgres", "CHECKPOINT");
    replica.set_apply_delay(std::time::Duration::from_secs(3_600));
    assert!(house.record(0).await);
    let pinned = house.store.insight().pinned();
    assert_eq!(count(&pinned).await.unwrap(), 0, "the replica has nothing of it");
    replica.kill();
    assert_eq!(count(&pinned).await.unwrap(), 1, "the primary has");
    replica.restart();
    house.is_fit(1).await;
    assert_eq!(count(house.store.insight()).await.unwrap(), 0, "it is back, and still behind");
    assert_eq!(count(&pinned).await.unwrap(), 1);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_lost_before_it_answers_has_told_nothing() {
    let (servers, _, house) = House::with_replicas(2).await;
    let pinned = house.db().pinned();
    let mut attempts = pinned.attempts("test.ask");
    let mut leased = attempts.lease().await.unwrap();
    let lost = Arc::clone(leased.node());
    let place = 1 + usize::from(Arc::ptr_eq(&lost, house.node(2)));
    servers.replicas()[place - 1].kill();
    let answer = attempts.within(sqlx::query("SELECT 1").execute(leased.conn())).await;
    assert!(attempts.settle(leased, answer).is_none(), "it is put once more");
    let mut leased = attempts.lease().await.unwrap();
    let other = Arc::clone(house.node(3 - place));
    assert!(Arc::ptr_eq(leased.node(), &other), "{}", leased.node().target.name);
    let answer = attempts.within(sqlx::query("SELECT 1").execute(leased.conn())).await;
    attempts.settle(leased, answer).unwrap().unwrap();
    // From its first answer on it is the only one.
    servers.replicas()[place - 1].restart();
    house.is_fit(place).await;
    for _ in 0..5 {
        let leased = pinned.attempts("test.ask").lease().await.unwrap();
        assert!(Arc::ptr_eq(leased.node(), &other), "{}", leased.node().target.name);
        leased.give_back();
    }
    house.finish().await;
}
