//! Every hot question is answered through an index. SQLite only: plans are an engine's own. What a test of PostgreSQL's plans begins with.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::Fixture;
use crate::tables::{
    custom_event, engagement, error_event, metric_series, page_view, performance_metric, report,
    retain, rollup, traffic, user_session,
};
use crate::{Database, Engine, Settings};

/// A connection to a database of its own with every table, whose planner takes an index wherever one will do: of empty
/// tables any plan is a good one.
pub(crate) async fn connect_to_planner() -> PgConnection {
    let server = mainstay_testkit::Postgres::shared();
    let url = server.primary_url(&server.create_database());
    let database = Database { primary: Some(url.clone()), pool_min: 0, ..Database::default() };
    Fixture::open(&Settings::default(), &database).await.finish().await;
    let mut conn = PgConnection::connect(&url).await.unwrap();
    for scan in ["seqscan", "bitmapscan"] {
        let text = AssertSqlSafe(format!("SET enable_{scan} = off"));
        sqlx::query(text).execute(&mut conn).await.unwrap();
    }
    conn
}

#[tokio::test]
async fn no_question_reads_more_than_its_time_span() {
    let f = Fixture::sqlite().await;
    let texts = [
        page_view::list_texts(),
        user_session::list_texts(),
        engagement::list_texts(),
        performance_metric::list_texts(),
        error_event::list_texts(),
        custom_event::list_texts(),
        report::list_texts(),
        metric_series::list_texts(),
        traffic::list_texts(),
        rollup::list_texts(),
        retain::list_texts(),
    ];
    for text in texts.concat().iter().map(|text| text.sqlite) {
        let db = if text.contains("security_events") || text.contains("scaling_events") {
            f.core()
        } else {
            f.insight()
        };
        for step in explain(db, text).await {
            assert!(is_bounded(&step), "{step}\nin {text}");
        }
    }
    f.finish().await;
}

/// Only common table expressions and what others were put together of may be walked from end to end, and a site's rows only through an index that goes on
/// with the time (or where a site has a single row).
fn is_bounded(step: &str) -> bool {
    let walked = step.strip_prefix("SCAN ").map(|s| s.split(' ').next().unwrap_or(s));
    match walked {
        Some(name) => {
            ["sites", "steps", "hours", "parts", "g", "CONSTANT"].contains(&name)
                || name.starts_with('(')
        }
        None => !step.ends_with("(site=?)") || step.contains("_time") || step.contains("watermark"),
    }
}

async fn explain(db: &Engine, text: &str) -> Vec<String> {
    let db = db.file();
    let text = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
    let rows: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(text).fetch_all(db.readers()).await.unwrap();
    rows.into_iter().map(|(.., detail)| detail).collect()
}
