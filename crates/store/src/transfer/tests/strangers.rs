//! Tests of a database that another installation's copy has taken, with rows or without.

use super::*;
use crate::open;

/// Another installation's mark, as an older version may have let it in beside ours.
const MARK: &str =
    "INSERT INTO mainstay.transfers (source, begun_at) VALUES (gen_random_uuid(), now())";

impl Move {
    /// Files of their own, and the same database.
    async fn beside(&self) -> Self {
        let Self { name, database, .. } = self;
        Self { name: name.clone(), database: database.clone(), ..Self::new().await }
    }

    async fn try_compare(&self) -> Result<Report, Error> {
        compare(&self.transfer(), &mut |_| {}).await
    }
}

fn is_marked(outcome: &Result<Report, Error>) -> bool {
    matches!(outcome, Err(Error::Foreign { table: "transfers", rows: 1 }))
}

#[tokio::test]
async fn a_copy_that_was_begun_without_rows_keeps_others_away() {
    let other = Move::new().await;
    assert!(other.copy().await.unwrap().is_equal());
    let it = other.beside().await;
    it.from.record([Record::PageView(Sample(2).view())], None).await;
    for outcome in [it.try_compare().await, it.copy().await] {
        assert!(is_marked(&outcome), "{outcome:?}");
    }
    assert_eq!(it.sql("SELECT 1 FROM mainstay.page_views").await, 0);
    // Nor does a server take what another's copy has begun.
    it.sql("UPDATE mainstay.transfers SET proven_at = NULL").await;
    let refused = it.try_arrive().await.map(drop).unwrap_err();
    assert!(matches!(refused, open::Error::HalfCopied), "{refused}");
    assert!(refused.to_string().contains("DROP SCHEMA mainstay CASCADE"), "{refused}");
    for fixture in [it.from, other.from] {
        fixture.finish().await;
    }
}

#[tokio::test]
async fn rows_beside_another_copy_are_never_removed() {
    let it = Move::new().await;
    assert!(it.copy().await.unwrap().is_equal());
    it.sql(MARK).await;
    let row = "INSERT INTO mainstay.console_link (token_hash, created_at, expires_at)
        VALUES (sha256('x'), now(), now())";
    assert_eq!(it.sql(row).await, 1);
    for outcome in [it.try_compare().await, it.copy().await] {
        assert!(is_marked(&outcome), "{outcome:?}");
    }
    assert_eq!(it.sql("SELECT 1 FROM mainstay.console_link").await, 1);
    it.from.finish().await;
}

#[tokio::test]
async fn of_two_copies_that_begin_together_one_has_the_database() {
    let it = Move::new().await;
    let other = it.beside().await;
    for (from, n) in [(&it.from, 1), (&other.from, 2)] {
        from.record([Record::PageView(Sample(n).view())], None).await;
    }
    let (one, two) = futures_util::future::join(it.copy(), other.copy()).await;
    let (winner, refused) = match (one, two) {
        (Ok(report), Err(refused)) | (Err(refused), Ok(report)) => (report, refused),
        both => panic!("{both:?}"),
    };
    assert!(winner.is_equal(), "{:?}", differing(&winner));
    assert!(matches!(refused, Error::Busy | Error::Foreign { .. }), "{refused}");
    assert_eq!(it.sql("SELECT 1 FROM mainstay.page_views").await, 1);
    assert_eq!(it.sql("SELECT 1 FROM mainstay.transfers WHERE proven_at IS NOT NULL").await, 1);
    for fixture in [it.from, other.from] {
        fixture.finish().await;
    }
}

/// The newest step is missing, and a column with it.
#[tokio::test]
async fn what_an_older_version_has_begun_is_not_compared_before_its_schema_is_ours() {
    let it = Move::new().await;
    it.from.record([Record::PageView(Sample(1).view())], None).await;
    it.copy().await.unwrap();
    let newest = schema::newest(crate::postgres::migrate::known());
    it.sql("ALTER TABLE mainstay.page_views RENAME COLUMN bot_reason TO later").await;
    let step = format!("DELETE FROM mainstay._sqlx_migrations WHERE version = {newest}");
    assert_eq!(it.sql(&step).await, 1);
    let refused = it.try_compare().await.unwrap_err();
    assert!(matches!(refused, Error::Older), "{refused}");
    it.from.finish().await;
}
