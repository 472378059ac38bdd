//! Tests of the salts of visitor ids in a copy: they come last, and go for good.

use super::*;
use crate::tables::visitor_salt;

/// Bytes that nothing else holds.
fn salt(n: u8) -> [u8; 16] {
    std::array::from_fn(|i| n ^ (i as u8).wrapping_mul(37))
}

impl Move {
    /// Three days' salts in the files.
    async fn with_salts() -> Self {
        let it = Self::new().await;
        it.from.record([Record::PageView(Sample(1).view())], Some(Sample(1).touch(1))).await;
        for day in 0..3_u8 {
            let kept = visitor_salt::find_or_create(it.from.core(), day.into(), salt(day)).await;
            assert_eq!(kept.unwrap(), salt(day));
        }
        it
    }

    async fn copy_online(&self) -> Report {
        let busy = Transfer { quiet: false, ..self.transfer() };
        run(&busy, &mut |_| {}).await.unwrap()
    }

    async fn destroy_before(&self, day: i64) {
        visitor_salt::delete_before(self.from.core(), day).await.unwrap();
    }

    async fn salts(&self) -> u64 {
        self.sql("SELECT 1 FROM mainstay.visitor_salt").await
    }

    /// Whether the table's file holds it, deleted or not.
    async fn is_on_disk(&self, n: u8) -> bool {
        // Files are a superuser's to read.
        let url = self.server.superuser_url(&self.name);
        sql(&url, "CHECKPOINT").await;
        let hex: String = salt(n).iter().map(|byte| format!("{byte:02x}")).collect();
        let file = "pg_read_binary_file(pg_relation_filepath('mainstay.visitor_salt'))";
        sql(&url, &format!("SELECT 1 WHERE position('\\x{hex}'::bytea IN {file}) > 0")).await == 1
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn salts_are_copied_last_and_only_when_a_server_may_follow() {
    let it = Move::with_salts().await;
    let online = it.copy_online().await;
    assert!(online.is_equal(), "{:?}", differing(&online));
    assert!(online.tables.iter().all(|table| table.table != "visitor_salt"));
    assert_eq!(it.salts().await, 0);

    let last = it.copy().await.unwrap();
    assert!(last.is_equal(), "{:?}", differing(&last));
    assert_eq!((of(&last, "visitor_salt").target.rows, it.salts().await), (3, 3));

    // The move is put off: a salt is destroyed, and the next copy is made beside the server again.
    it.destroy_before(2).await;
    assert!(it.copy_online().await.is_equal());
    assert_eq!(it.salts().await, 0);
    for day in 0..3 {
        assert!(!it.is_on_disk(day).await, "{day}");
    }

    let url = it.server.primary_url(&it.name);
    let mut looked = 0;
    let mut look = |progress: Progress| {
        if progress.table != "visitor_salt" {
            looked += 1;
            let salts = sql(&url, "SELECT 1 FROM mainstay.visitor_salt");
            let salts =
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(salts));
            assert_eq!(salts, 0, "while {} is copied", progress.table);
        }
    };
    let last = run(&it.transfer(), &mut look).await.unwrap();
    assert!(last.is_equal() && looked > 10, "{looked}: {:?}", differing(&last));
    assert_eq!(it.salts().await, 1);
    it.from.finish().await;
}

#[tokio::test]
async fn a_salt_that_was_destroyed_between_two_last_copies_leaves_no_trace() {
    let it = Move::with_salts().await;
    it.copy().await.unwrap();
    assert!(it.is_on_disk(0).await);
    it.destroy_before(2).await;
    let again = it.copy().await.unwrap();
    assert!(again.is_equal(), "{:?}", differing(&again));
    assert_eq!((of(&again, "visitor_salt").changed, it.salts().await), (2, 1));
    assert_eq!(
        [it.is_on_disk(0).await, it.is_on_disk(1).await, it.is_on_disk(2).await],
        [false, false, true]
    );
    it.from.finish().await;
}
