//! Tests of `rollup/day`.

use mainstay_base::units::Span;
use sqlx::AssertSqlSafe;

use super::vitals::{HOUR_ROWS_MAX, HOUR_VITALS};
use super::*;
use crate::contract::{Fixture, NOON, connect_to_planner, replace_hour};
use crate::rollup::{HourRollup, TotalRow};
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

#[tokio::test]
async fn the_clock_of_a_process_takes_no_day_from_another() {
    let f = Fixture::postgres().await;
    let total =
        TotalRow { bot: false, pageviews: 1, visitors: 1, sessions: 1, bounces: 1, engaged_ms: 0 };
    let counted = HourRollup { totals: vec![total], ..HourRollup::default() };
    replace_hour(f.insight(), NOON, &counted).await;
    let list = async || list_unfolded(f.insight(), "default", NOON.plus(DAY), 1).await.unwrap()[0];
    let claim_at = async |clock: &Clock| {
        let listed = list().await;
        let claimed = claim_day(f.insight(), clock, &Entropy::System, "default", &listed);
        claimed.await.unwrap().is_some()
    };
    let five_minutes = Duration::from_secs(300);
    let (ahead, behind) =
        (Clock::fixed(NOON.plus(five_minutes)), Clock::fixed(NOON.minus(five_minutes)));
    assert!(claim_at(&f.clock).await);
    assert!(!claim_at(&ahead).await && !claim_at(&behind).await);
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
