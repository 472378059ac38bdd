//! Whoever looks at jobs reads no more of them than he shows: every question is answered in the order of an index.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};

use super::{Fixture, NOON, connect_to_planner};
use crate::Ts;
use crate::tables::job::Status;
use crate::tables::job::look::LOOK;
use crate::tables::job::read::{OLDEST, page_of};

#[tokio::test]
async fn pages_ages_and_looks_are_read_from_an_index_of_a_file() {
    let f = Fixture::sqlite().await;
    let texts = Status::ALL.map(page_of).into_iter().chain([OLDEST, LOOK]);
    for text in texts.map(|text| text.sqlite) {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
        let readers = f.core().file().readers();
        let steps: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(readers).await.unwrap();
        for (.., step) in steps {
            let walks = ["SCAN j", "SCAN job ", "SCAN last", "TEMP B-TREE"];
            let of_queues = step == "SCAN q" || step == "SCAN job_queue";
            assert!(
                of_queues || !walks.iter().any(|walk| step.contains(walk)),
                "{step}\nin {text}"
            );
        }
    }
    f.finish().await;
}

#[tokio::test]
async fn pages_ages_and_looks_are_read_from_an_index_of_a_server() {
    let mut conn = connect_to_planner().await;
    for status in Status::ALL {
        let plan = plan(&mut conn, page_of(status).postgres, |query| {
            query.bind(1_i32).bind(7_i64).bind(9_i64)
        });
        let plan = plan.await;
        // What has equal times is put in order by the number, and no more than that.
        let sorts = plan.replace("Incremental Sort", "").contains("Sort");
        assert!(!sorts && !plan.contains("Seq Scan"), "{status:?}: {plan}");
    }
    let oldest = plan(&mut conn, OLDEST.postgres, |query| query.bind(1_i32)).await;
    assert!(!oldest.contains("Sort") && !oldest.contains("Seq Scan"), "{oldest}");
    let look = plan(&mut conn, LOOK.postgres, |query| {
        let query = query.bind(Ts(NOON)).bind(true).bind(1_i64).bind(1_i64);
        query.bind(100_i64).bind(50_i64)
    });
    let look = look.await.replace("Seq Scan on job_queue q", "");
    assert!(!look.contains("Sort") && !look.contains("Seq Scan"), "{look}");
}

type Asked<'q> = Query<'q, Postgres, PgArguments>;

async fn plan(
    conn: &mut PgConnection,
    text: &str,
    bind: impl FnOnce(Asked<'static>) -> Asked<'static>,
) -> String {
    use sqlx::Row as _;
    let explain = AssertSqlSafe(format!("EXPLAIN {text}"));
    let rows = bind(sqlx::query(explain)).fetch_all(conn).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}
