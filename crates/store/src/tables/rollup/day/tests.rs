//! Tests of `rollup/day`.

use mainstay_base::units::Span;

use super::*;
use crate::contract::Fixture;
use crate::{Database, Settings};

#[tokio::test]
async fn a_lease_lasts_for_longer_than_a_step() {
    let server = mainstay_testkit::Postgres::shared();
    for (statement, least) in [(1, 30), (5, 30), (60, 300)] {
        let database = Database {
            primary: Some(server.primary_url(&server.create_database())),
            pool_min: 0,
            statement_timeout: Span::seconds(statement),
            ..Database::default()
        };
        let f = Fixture::open(&Settings::default(), &database).await;
        let lease = lease(f.insight()).as_secs();
        assert!((least..least + 10).contains(&lease), "{lease} s for {statement} s");
        f.finish().await;
    }
    let f = Fixture::sqlite().await;
    assert_eq!(lease(f.insight()), LEASE);
    f.finish().await;
}
