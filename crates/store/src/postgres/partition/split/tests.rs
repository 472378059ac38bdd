//! What is found once everybody waits.

use super::*;
use crate::Engine;
use crate::contract::Fixture;

const VIEWS: Pieces = Pieces { table: "page_views", at: "recorded_at" };

/// Rows of a day without a partition.
async fn stray(db: &Db, from: i64, to: i64) {
    let text = "INSERT INTO mainstay.page_views (id, site, recorded_at, page_id, path, device_type)
        SELECT 'stray-' || to_char(n, 'FM00000000000'), 'default', '2026-12-22T12:00:00Z'::timestamptz, 'page', '/', 'desktop'
        FROM generate_series($1, $2) AS n";
    let mut leased = db.begin("test").await.unwrap();
    sqlx::query(text).bind(from).bind(to).execute(leased.conn()).await.unwrap();
    sqlx::query("COMMIT").execute(leased.conn()).await.unwrap();
    leased.give_back();
}

#[tokio::test]
async fn what_came_before_the_lock_was_had_is_worked_off_without_it() {
    let fixture = Fixture::postgres().await;
    let Engine::Postgres(db) = fixture.insight().clone() else { panic!("a database") };
    stray(&db, 1, 30).await;
    assert_eq!(step(&db, VIEWS).await.unwrap(), Step::Begun);
    // All is copied.
    assert_eq!(step(&db, VIEWS).await.unwrap(), Step::Went);
    stray(&db, 31, 31 + KEYS).await;
    let mut leased = db.begin("test").await.unwrap();
    for text in BEGIN {
        run_text(leased.conn(), text).await.unwrap();
    }
    let step = Names::of(VIEWS).replace_default(leased.conn()).await.unwrap();
    assert_eq!(step, Step::Went, "everybody waited for more than a few");
    drop(leased);
    run(&db, VIEWS, || true).await.unwrap();
    let text = "SELECT count(*) FROM mainstay.page_views_p20261222";
    let mut leased = db.begin("test").await.unwrap();
    let rows: i64 = sqlx::query_scalar(text).fetch_one(leased.conn()).await.unwrap();
    assert_eq!(rows, 31 + KEYS);
    drop(leased);
    fixture.finish().await;
}
