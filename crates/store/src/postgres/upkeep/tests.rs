//! Who has heard of whom, on a real database.

use super::*;
use crate::contract::{Fixture, NOON};

/// The same database as another process has it.
fn process(of: &Db, name: u128) -> Db {
    Db { node: Uuid::from_u128(name).to_string().into(), ..of.clone() }
}

#[tokio::test]
async fn who_listed_before_somebody_came_has_not_heard_of_it_however_late_it_says_so() {
    let fixture = Fixture::postgres().await;
    let store = &fixture.store;
    let Engine::Postgres(db) = store.core() else { panic!("a database") };
    let (old, new) = (process(db, 1), process(db, 2));
    let mut part = Budget::default();
    let mut divided = async || {
        let heard = hear(store).await.unwrap();
        part.divide(own_id(&new), heard.at, &heard.processes);
        part.sharers()
    };
    say(store, &old, NOON, None).await.unwrap();
    let without_new = hear(store).await.unwrap();
    say(store, &new, NOON, None).await.unwrap();
    let not_heard = Budget::default().sharers();
    assert_eq!(divided().await, not_heard);
    say(store, &old, NOON, Some(&without_new)).await.unwrap();
    assert_eq!(divided().await, not_heard, "the old one still has all");
    let both = hear(store).await.unwrap();
    assert_eq!(both.processes.len(), 2);
    say(store, &old, NOON, Some(&both)).await.unwrap();
    assert_eq!(divided().await, 2);
    fixture.finish().await;
}

#[tokio::test]
async fn what_a_process_says_is_as_of_when_it_listed_the_others() {
    let fixture = Fixture::postgres().await;
    let store = &fixture.store;
    let Engine::Postgres(db) = store.core() else { panic!("a database") };
    let own = async || {
        let listed = list_processes(store).await.unwrap();
        listed.into_iter().find(|one| one.id == own_id(db)).expect("it is listed").seen_at
    };
    let told = || db.cluster.lock_budget().told().expect("others were told");
    say_here(store, db, NOON).await.unwrap();
    let first = told();
    assert!(own().await < first, "said before anybody was listed");
    let before = hear(store).await.unwrap().at;
    say_here(store, db, NOON).await.unwrap();
    assert!(own().await > before, "as of the second list");
    // Whoever has listed since the first one has heard of it, however often this one looks.
    assert_eq!(told(), first);
    let heard = hear(store).await.unwrap();
    say(store, db, NOON, Some(&heard)).await.unwrap();
    assert_eq!(own().await, heard.at);
    fixture.finish().await;
}
