//! Contract of `console_link`.

use super::fixture::{Fixture, Sample};
use crate::error::Kind;
use crate::tables::console_link;

pub(super) async fn is_spent_once_by_whoever_comes_first(f: &Fixture) {
    let hash = [7; 32];
    console_link::create(f.core(), &hash, Sample(0).at(), Sample(10).at()).await.unwrap();
    let again = console_link::create(f.core(), &hash, Sample(0).at(), Sample(10).at()).await;
    assert_eq!(again.unwrap_err().kind, Kind::Conflict);
    let spend = || console_link::spend(f.core(), &hash, Sample(1).at());
    let (a, b, c) = tokio::join!(spend(), spend(), spend());
    let spent = [a.unwrap(), b.unwrap(), c.unwrap()];
    assert_eq!(spent.iter().filter(|won| **won).count(), 1);
    assert!(!console_link::spend(f.core(), &[8; 32], Sample(1).at()).await.unwrap());
}

pub(super) async fn expires_and_is_forgotten(f: &Fixture) {
    let hash = [7; 32];
    console_link::create(f.core(), &hash, Sample(0).at(), Sample(10).at()).await.unwrap();
    assert!(!console_link::spend(f.core(), &hash, Sample(10).at()).await.unwrap());
    assert_eq!(console_link::delete_expired(f.core(), Sample(9).at()).await.unwrap(), 0);
    assert_eq!(console_link::delete_expired(f.core(), Sample(10).at()).await.unwrap(), 1);
}
