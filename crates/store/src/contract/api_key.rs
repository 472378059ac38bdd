//! Contract of `api_key`.

use super::fixture::{Fixture, Sample};
use crate::error::Kind;
use crate::tables::api_key::{self, Row};

fn row(id: &str) -> Row {
    Row {
        id: id.into(),
        name: "the shop's worker".into(),
        token_hash: [7; 32],
        scopes: "jobs,record".into(),
        created_at: Sample(0).at(),
        expires_at: Some(Sample(10).at()),
        last_used: None,
        revoked_at: None,
    }
}

async fn find(f: &Fixture, id: &str) -> Option<Row> {
    let rows = api_key::list(f.core(), "", 9).await.unwrap();
    rows.into_iter().find(|row| row.id == id)
}

pub(super) async fn is_kept_as_it_was_made_and_found_by_its_id(f: &Fixture) {
    let db = f.core();
    let (first, second) = (row("aaaaaaaa"), Row { expires_at: None, ..row("bbbbbbbb") });
    for key in [&first, &second] {
        api_key::create(db, key).await.unwrap();
    }
    let again = api_key::create(db, &row("aaaaaaaa")).await;
    assert_eq!(again.unwrap_err().kind, Kind::Conflict);
    assert_eq!(find(f, "aaaaaaaa").await, Some(first));
    assert_eq!(find(f, "bbbbbbbb").await, Some(second));
    assert_eq!(find(f, "aaaaaaab").await, None);
}

pub(super) async fn is_revoked_once_and_its_use_only_moves_on(f: &Fixture) {
    let db = f.core();
    api_key::create(db, &row("aaaaaaaa")).await.unwrap();
    api_key::create(db, &row("cccccccc")).await.unwrap();
    for (minute, other) in [(4, 2), (3, 3)] {
        let uses = [("aaaaaaaa", minute), ("bbbbbbbb", 4), ("cccccccc", other)];
        let uses = uses.map(|(id, minute)| (id.into(), Sample(minute).at())).into();
        api_key::touch(db, &uses).await.unwrap();
    }
    let other = find(f, "cccccccc").await.unwrap();
    assert_eq!(other.last_used, Some(Sample(3).at()), "each has its own time");
    assert!(api_key::revoke(db, "aaaaaaaa", Sample(5).at()).await.unwrap());
    assert!(!api_key::revoke(db, "aaaaaaaa", Sample(6).at()).await.unwrap());
    assert!(!api_key::revoke(db, "bbbbbbbb", Sample(6).at()).await.unwrap());
    let expected = Row {
        last_used: Some(Sample(4).at()),
        revoked_at: Some(Sample(5).at()),
        ..row("aaaaaaaa")
    };
    assert_eq!(find(f, "aaaaaaaa").await, Some(expected));
}

pub(super) async fn all_are_listed_a_page_at_a_time(f: &Fixture) {
    let db = f.core();
    for id in ["cccccccc", "aaaaaaaa", "bbbbbbbb"] {
        api_key::create(db, &row(id)).await.unwrap();
    }
    let page = async |after| {
        let rows = api_key::list(db, after, 2).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(page("").await, ["aaaaaaaa", "bbbbbbbb"]);
    assert_eq!(page("bbbbbbbb").await, ["cccccccc"]);
    assert!(page("cccccccc").await.is_empty());
}

pub(super) async fn the_latest_are_those_that_count_and_then_those_that_ended(f: &Fixture) {
    let db = f.core();
    let made = |id, minute| Row { created_at: Sample(minute).at(), expires_at: None, ..row(id) };
    let expired = Row { expires_at: Some(Sample(8).at()), ..made("dddddddd", 4) };
    for key in [made("aaaaaaaa", 1), made("bbbbbbbb", 2), made("cccccccc", 3), expired] {
        api_key::create(db, &key).await.unwrap();
    }
    assert!(api_key::revoke(db, "cccccccc", Sample(5).at()).await.unwrap());
    let latest = async |ended| {
        let rows = api_key::list_latest(db, Sample(8).at(), ended).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(latest(9).await, ["bbbbbbbb", "aaaaaaaa", "dddddddd", "cccccccc"]);
    assert_eq!(latest(1).await, ["bbbbbbbb", "aaaaaaaa", "dddddddd"]);
    assert_eq!(latest(0).await, ["bbbbbbbb", "aaaaaaaa"], "none that counts is left out");
}

pub(super) async fn ended_ones_are_not_counted_and_forgotten_later(f: &Fixture) {
    let db = f.core();
    let endless = |id| Row { expires_at: None, ..row(id) };
    for key in [row("aaaaaaaa"), endless("bbbbbbbb"), endless("cccccccc")] {
        api_key::create(db, &key).await.unwrap();
    }
    assert!(api_key::revoke(db, "cccccccc", Sample(5).at()).await.unwrap());
    let count = async |n| api_key::count_live(db, Sample(n).at()).await.unwrap();
    assert_eq!((count(9).await, count(10).await), (2, 1));
    let forget = async |n| api_key::delete_ended(db, Sample(n).at()).await.unwrap();
    assert_eq!((forget(5).await, forget(6).await, forget(10).await), (0, 1, 0));
    assert_eq!(forget(11).await, 1);
    let left = api_key::list(db, "", 9).await.unwrap();
    assert_eq!(left, [endless("bbbbbbbb")]);
}
