//! The reads of one answer: none sees less than an earlier one did.

use mainstay_testkit::Postgres;

use super::house::{count, database};
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_read_from_one_server_and_the_rest_of_it_from_the_primary() {
    let servers = Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    servers.wait_replicated(LONG);
    house.is_fit(1).await;
    house.is_fit(2).await;
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
