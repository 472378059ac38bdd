//! Contract of `visitor_salt`.

use super::fixture::Fixture;
use crate::tables::visitor_salt;

pub(super) async fn everybody_gets_the_same_salt(f: &Fixture) {
    let find = |fresh: u8| visitor_salt::find_or_create(f.core(), 20_000, [fresh; 16]);
    let (a, b) = tokio::join!(find(1), find(2));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a, b);
    assert!(a == [1; 16] || a == [2; 16]);
    assert_eq!(find(3).await.unwrap(), a);
    assert_eq!(visitor_salt::find_or_create(f.core(), 20_001, [4; 16]).await.unwrap(), [4; 16]);
}

pub(super) async fn destroyed_salts_leave_no_trace(f: &Fixture) {
    let salt = |n: u8| std::array::from_fn::<u8, 16, _>(|i| n ^ (i as u8).wrapping_mul(37));
    for day in 0..3_u8 {
        visitor_salt::find_or_create(f.core(), i64::from(day), salt(day + 1)).await.unwrap();
    }
    assert_eq!(on_disk(f, &salt(1)), 1);
    assert_eq!(visitor_salt::delete_before(f.core(), 2).await.unwrap(), 2);
    assert_eq!([1, 2, 3].map(|n| on_disk(f, &salt(n))), [0, 0, 1]);
}

/// How many of the files of `core.db` hold these bytes.
fn on_disk(f: &Fixture, bytes: &[u8]) -> usize {
    ["core.db", "core.db-wal"]
        .iter()
        .filter_map(|name| std::fs::read(f.dir.path().join(name)).ok())
        .filter(|file| file.windows(bytes.len()).any(|window| window == bytes))
        .count()
}
