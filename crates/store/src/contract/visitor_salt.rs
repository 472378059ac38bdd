//! Contract of `visitor_salt`.

use super::fixture::Fixture;
use sqlx::Connection as _;

use crate::Engine;
use crate::ask::ask;
use crate::sql::{Sql, sql};
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
    assert!(is_on_disk(f, &salt(1)).await);
    assert_eq!(visitor_salt::delete_before(f.core(), 2).await.unwrap(), 2);
    assert!(!is_on_disk(f, &salt(1)).await && !is_on_disk(f, &salt(2)).await);
    assert!(is_on_disk(f, &salt(3)).await);
}

/// Whether one of the files of `core.db`, or the table's file, holds these bytes.
async fn is_on_disk(f: &Fixture, bytes: &[u8]) -> bool {
    match f.core() {
        Engine::Sqlite(_) => {
            let files =
                ["core.db", "core.db-wal"].map(|name| std::fs::read(f.dir.path().join(name)));
            let mut files = files.into_iter().filter_map(Result::ok);
            files.any(|file| file.windows(bytes.len()).any(|window| window == bytes))
        }
        Engine::Postgres(_) => {
            const NAME: Sql = sql!("SELECT current_database()::text");
            let name: String = ask!(f.core(), "test", query_scalar(NAME).fetch_one).unwrap();
            // Files are a superuser's to read.
            let url = mainstay_testkit::Postgres::shared().superuser_url(&name);
            let mut conn = sqlx::PgConnection::connect(&url).await.unwrap();
            sqlx::raw_sql("CHECKPOINT").execute(&mut conn).await.unwrap();
            let find = "SELECT position($1 IN pg_read_binary_file(pg_relation_filepath('mainstay.visitor_salt'))) > 0";
            sqlx::query_scalar(find).bind(bytes).fetch_one(&mut conn).await.unwrap()
        }
    }
}
