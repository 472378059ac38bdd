//! Contract of `console_session`.

use super::fixture::{Fixture, Sample};
use crate::tables::console_session::{self, Row};

pub(super) async fn lives_until_it_expires_or_is_revoked(f: &Fixture) {
    let db = f.core();
    let (first, second) = ([1; 32], [2; 32]);
    for hash in [&first, &second] {
        console_session::create(db, hash, "owner", Sample(0).at(), Sample(10).at()).await.unwrap();
    }
    console_session::touch(db, &first, Sample(4).at()).await.unwrap();
    console_session::touch(db, &first, Sample(3).at()).await.unwrap();
    let expected = Row {
        role: "owner".into(),
        created_at: Sample(0).at(),
        expires_at: Sample(10).at(),
        last_seen: Sample(4).at(),
    };
    let find = async |hash, n| console_session::find_live(db, hash, Sample(n).at()).await.unwrap();
    assert_eq!(find(&first, 9).await, Some(expected));
    assert_eq!(find(&first, 10).await, None);
    assert!(console_session::revoke(db, &second, Sample(5).at()).await.unwrap());
    assert!(!console_session::revoke(db, &second, Sample(6).at()).await.unwrap());
    assert_eq!(find(&second, 5).await, None);
    assert_eq!(find(&[3; 32], 5).await, None);
    assert_eq!(console_session::delete_expired(db, Sample(10).at()).await.unwrap(), 2);
}
