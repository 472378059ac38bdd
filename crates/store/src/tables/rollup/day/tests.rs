//! Tests of `rollup/day`.

use mainstay_base::units::Span;
use sqlx::AssertSqlSafe;

use super::vitals::{HOUR_ROWS_MAX, HOUR_VITALS};
use super::*;
use crate::contract::{Fixture, NOON, connect_to_planner};
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

/// What comes in the order of the hour's key need not be read to its end.
#[tokio::test]
async fn no_vital_of_an_hour_is_sorted_by_the_database() {
    let f = Fixture::sqlite().await;
    let text = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", HOUR_VITALS.sqlite));
    let plan: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(text).fetch_all(f.insight().file().readers()).await.unwrap();
    assert!(plan.iter().any(|(.., step)| step.contains("hour=? AND key>?")), "{plan:?}");
    assert!(plan.iter().all(|(.., step)| !step.contains("TEMP B-TREE")), "{plan:?}");
    f.finish().await;

    let mut conn = connect_to_planner().await;
    let text = AssertSqlSafe(format!("EXPLAIN {}", HOUR_VITALS.postgres));
    let plan: Vec<String> = sqlx::query_scalar(text)
        .bind("default")
        .bind("page")
        .bind(Ts(NOON.floor_to(DAY)))
        .bind(Ts(NOON))
        .bind(false)
        .bind("/")
        .bind(i64::from(HOUR_ROWS_MAX))
        .bind(1_i64)
        .bind(1_i64)
        .fetch_all(&mut conn)
        .await
        .unwrap();
    let plan = plan.join("\n");
    assert!(!plan.contains("Sort") && plan.contains("rollup_vital_pkey"), "{plan}");
}
