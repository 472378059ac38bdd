//! Tests of `owner`.

use std::time::Duration;

use mainstay_base::{Clock, Entropy, Timestamp};
use mainstay_store::{Place, Store};

use super::{Error, Owner};
use crate::Settings;

async fn owner() -> (Owner, Clock, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("tempdir");
    let clock = Clock::fixed(Timestamp::from_seconds(1_800_000_000));
    let store =
        Store::open(Place::files(&mainstay_store::Settings::default(), dir.path(), clock.clone()))
            .await
            .expect("store");
    (Owner::new(Settings::default(), store, clock.clone(), Entropy::System), clock, dir)
}

#[tokio::test]
async fn a_link_opens_exactly_one_session() {
    let (owner, _clock, _dir) = owner().await;
    let link = owner.create_link().await.expect("link");
    let (cookie, session) = owner.spend_link(link.expose()).await.expect("session");
    assert_eq!(owner.find_session(cookie.expose()).await.expect("store"), Some(session));
    assert!(matches!(owner.spend_link(link.expose()).await, Err(Error::Spent)));
    assert!(matches!(owner.spend_link("never-made").await, Err(Error::Spent)));
}

#[tokio::test]
async fn links_and_sessions_end_by_themselves() {
    let (owner, clock, _dir) = owner().await;
    let link = owner.create_link().await.expect("link");
    clock.advance(Duration::from_secs(30 * 60));
    assert!(matches!(owner.spend_link(link.expose()).await, Err(Error::Spent)));

    let link = owner.create_link().await.expect("link");
    let (cookie, _) = owner.spend_link(link.expose()).await.expect("session");
    clock.advance(Duration::from_secs(8 * 3_600));
    assert_eq!(owner.find_session(cookie.expose()).await.expect("store"), None);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let (owner, _clock, _dir) = owner().await;
    let link = owner.create_link().await.expect("link");
    let (cookie, _) = owner.spend_link(link.expose()).await.expect("session");
    owner.end_session(cookie.expose()).await.expect("store");
    assert_eq!(owner.find_session(cookie.expose()).await.expect("store"), None);
}
