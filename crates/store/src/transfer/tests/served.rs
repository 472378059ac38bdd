//! Tests of a copy and a server that want the same database.

use mainstay_base::{Coded as _, ErrorCode};

use super::*;
use crate::{Place, Store, open};

impl Move {
    /// A server's start on the database, as the machine of the files would make it.
    async fn try_arrive(&self) -> Result<Store, open::Error> {
        let place = Place {
            settings: &Settings::default(),
            database: Some(&self.database),
            data_dir: self.from.dir.path(),
            clock: self.from.clock.clone(),
            entropy: Entropy::System,
        };
        Store::open_or_away(place).await
    }
}

/// An acknowledged event of a server that makes its secret while rows are copied.
const TAKEN: &str = "INSERT INTO mainstay.shared_secret (name, secret) VALUES ('read token', sha256('x'));
    INSERT INTO mainstay.page_views
    SELECT (jsonb_populate_record(p, '{\"id\": \"acknowledged-0000001\"}')).* FROM mainstay.page_views p LIMIT 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_to_use_the_database_ends_the_copy() {
    let it = Move::new().await;
    it.fill_every_table().await;
    it.copy().await.unwrap();
    let mut is_taken = false;
    let url = it.server.primary_url(&it.name);
    let mut take = |_| {
        if !std::mem::replace(&mut is_taken, true) {
            let taking = sql(&url, TAKEN);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(taking));
        }
    };
    let refused = run(&it.transfer(), &mut take).await;
    assert_eq!(
        it.sql("SELECT 1 FROM mainstay.page_views WHERE id = 'acknowledged-0000001'").await,
        1
    );
    assert!(matches!(refused, Err(Error::InUse)), "{refused:?}");
    it.from.finish().await;
}

#[tokio::test]
async fn a_copy_is_served_only_once_it_is_proven() {
    let it = Move::new().await;
    it.fill_every_table().await;
    // A server may write the files meanwhile: what is equal now is not so for good.
    let busy = Transfer { quiet: false, ..it.transfer() };
    assert!(run(&busy, &mut |_| {}).await.unwrap().is_equal());
    let refused = it.try_arrive().await.map(drop).unwrap_err();
    assert!(matches!(refused, open::Error::HalfCopied), "{refused}");
    assert_eq!(refused.code(), ErrorCode::Conflict);
    assert!(refused.to_string().contains("finish `mainstay migrate --to`"), "{refused}");

    assert!(it.copy().await.unwrap().is_equal());
    it.try_arrive().await.unwrap().close().await.unwrap();
    // Whoever serves it already, goes on.
    assert_eq!(it.sql("UPDATE mainstay.transfers SET proven_at = NULL").await, 1);
    it.try_arrive().await.unwrap().close().await.unwrap();
    it.from.finish().await;
}

/// A copy that is begun while a server starts.
#[tokio::test]
async fn a_server_and_a_copy_never_take_the_same_database() {
    let it = Move::new().await;
    it.copy().await.unwrap();
    let url = it.server.primary_url(&it.name);
    let mut copying = PgConnection::connect(&url).await.unwrap();
    let begin = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('mainstay use', 0));
        UPDATE mainstay.transfers SET proven_at = NULL";
    sqlx::raw_sql(begin).execute(&mut copying).await.unwrap();
    let waiting = async {
        let waits = "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted";
        while it.sql(waits).await == 0 {}
    };
    let mut arriving = Box::pin(it.try_arrive());
    tokio::select! {
        arrived = &mut arriving => panic!("it did not wait: {:?}", arrived.map(drop)),
        () = waiting => {}
    }
    sqlx::raw_sql("COMMIT").execute(&mut copying).await.unwrap();
    let arrived = arriving.await.map(drop);
    assert!(matches!(arrived, Err(open::Error::HalfCopied)), "{arrived:?}");
    copying.close().await.unwrap();
    it.from.finish().await;
}
