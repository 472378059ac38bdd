//! Tests of keys that the two engines would put in different orders, or that one of them does not take.

use mainstay_base::{Coded as _, ErrorCode};

use super::*;

impl Move {
    async fn keep_cache_entries(&self, keys: &[&str]) {
        let mut core = self.files(File::Core).await;
        for key in keys {
            let text = "INSERT INTO cache_entries (cache_key, content_hash, data, created_at, expires_at, last_accessed)
                VALUES ($1, 'hash', x'00', 1, 2, 3)";
            sqlx::query(text).bind((*key).to_owned()).execute(&mut core).await.unwrap();
        }
        core.close().await.unwrap();
    }

    /// A database whose texts are in the order of a language.
    async fn in_english_order(mut self) -> Self {
        let url = self.server.superuser_url(&self.name);
        self.name.push_str("_en");
        let text = "OWNER mainstay LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0";
        sql(&url, &format!("CREATE DATABASE {} {text}", self.name)).await;
        self.database.primary = Some(self.server.primary_url(&self.name));
        self
    }
}

#[tokio::test]
async fn a_database_in_the_order_of_a_language_is_walked_in_that_of_the_files() {
    let it = Move::new().await.in_english_order().await;
    it.fill_every_table().await;
    let more = ["a", "B", "_c", "é", "A", "b", "Z", "z", "-", "ä", "aa", "Ab", "á", "10", "9"];
    it.keep_cache_entries(&more).await;
    let mut core = it.files(File::Core).await;
    // Not the order of their keys: bytes are compared, and each language mixes small and large letters.
    let ends: Vec<String> =
        sqlx::query_scalar("SELECT cache_key FROM cache_entries ORDER BY 1 DESC LIMIT 2")
            .fetch_all(&mut core)
            .await
            .unwrap();
    assert_eq!(ends, ["é", "ä"]);
    core.close().await.unwrap();
    let report = it.copy().await.unwrap();
    assert!(report.is_equal(), "{:?}", differing(&report));
    assert_eq!(of(&report, "cache_entries").target.rows, u64::from(ROWS) + more.len() as u64);
    assert_eq!(report.passes, 2);
    assert_eq!(it.copy().await.unwrap().changed, 0);
    it.sql("UPDATE mainstay.cache_entries SET hit_count = 7 WHERE cache_key IN ('B', 'é')").await;
    assert_eq!(it.copy().await.unwrap().changed, 2);
    it.from.finish().await;
}

/// The zero byte comes first in the files, and what stands for it in the database nearly last: between two chunks, and over
/// several of them.
#[tokio::test]
async fn no_row_is_passed_over_beside_a_zero_byte() {
    let it = Move::new().await;
    let mut keys: Vec<String> = (0..5).map(|n| format!("a{n}")).collect();
    keys.extend(["k", "k\0", "k\u{1}", "k\0z"].map(str::to_owned));
    keys.extend((0..20).map(|n| format!("k{n:02}")));
    keys.extend(["l\0", "m", "n", "n\0\0", "o"].map(str::to_owned));
    it.keep_cache_entries(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let report = it.copy().await.unwrap();
    assert!(report.is_equal(), "{:?}", differing(&report));
    let held = of(&report, "cache_entries");
    assert_eq!((held.source.rows, held.target.rows), (keys.len() as u64, keys.len() as u64));
    assert_eq!(it.sql("SELECT 1 FROM mainstay.cache_entries").await, keys.len() as u64);
    assert_eq!((report.passes, it.copy().await.unwrap().changed), (2, 0));
    it.from.finish().await;
}

#[tokio::test]
async fn what_the_database_never_takes_is_not_to_be_started_again() {
    let it = Move::new().await;
    // Two rows whose keys are one there.
    it.keep_cache_entries(&["x\0", "x\u{fffd}"]).await;
    let refused = it.copy().await.unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
    assert_eq!(refused.code(), ErrorCode::Conflict);
    assert!(!refused.to_string().contains("start it again"), "{refused}");
    let mut core = it.files(File::Core).await;
    for text in [
        "DELETE FROM cache_entries",
        "PRAGMA ignore_check_constraints = ON",
        "INSERT INTO scaling_events (id, action, target_instances, inputs, reason, timestamp)
            VALUES (x'00', 'x', 1, '{}', 'x', 1)",
    ] {
        sqlx::query(text).execute(&mut core).await.unwrap();
    }
    core.close().await.unwrap();
    let refused = it.copy().await.unwrap_err();
    assert!(matches!(refused, Error::Row { table: "scaling_events", .. }), "{refused}");
    assert_eq!(refused.code(), ErrorCode::Conflict);
    it.from.finish().await;
}

/// Somebody writes the files although no server owns them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_walk_has_not_seen_is_no_proof() {
    let it = Move::new().await;
    it.keep_cache_entries(&["a"]).await;
    let mut n = 0;
    let mut write = |progress: Progress| {
        if progress.table == "rollup_dirty" && progress.is_done {
            n += 1;
            let key = format!("b{n}");
            let keys = [key.as_str()];
            let writing = it.keep_cache_entries(&keys);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(writing));
        }
    };
    let report = run(&it.transfer(), &mut write).await.unwrap();
    assert_eq!(differing(&report), ["cache_entries"]);
    assert_eq!(it.sql("SELECT 1 FROM mainstay.transfers WHERE proven_at IS NULL").await, 1);
    assert!(it.copy().await.unwrap().is_equal());
    it.from.finish().await;
}
