//! Tests of a copy and a server that want the same database.

use mainstay_base::task::Group as TaskGroup;
use mainstay_base::{Coded as _, ErrorCode};
use mainstay_telemetry::metrics::Registry;

use super::*;
use crate::error::Kind;
use crate::tables::{console_link, rollup, visitor_salt};
use crate::{Batch, Place, Store, open};

impl Move {
    /// A server's start on the database, as the machine of the files would make it.
    pub(super) async fn try_arrive(&self) -> Result<Store, open::Error> {
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

impl Move {
    /// A server's start on the files, and its end.
    async fn serve_files(&self) {
        let settings = Settings::default();
        let place = Place::files(&settings, self.from.dir.path(), self.from.clock.clone());
        Store::open_or_away(place).await.unwrap().close().await.unwrap();
    }
}

#[tokio::test]
async fn files_that_were_served_after_the_proof_are_copied_again_first() {
    let mut it = Move::new().await;
    it.from.record([Record::PageView(Sample(1).view())], None).await;
    assert!(it.copy().await.unwrap().is_equal());
    it.serve_files().await;
    it.from.record([Record::PageView(Sample(2).view())], None).await;
    let refused = it.try_arrive().await.map(drop).unwrap_err();
    assert!(matches!(refused, open::Error::HalfCopied), "{refused}");

    // A copy that is whole elsewhere says nothing about this one.
    it.from.clock.advance(Duration::from_secs(60));
    let here = it.database.clone();
    let other = it.server.create_database();
    it.database.primary = Some(it.server.primary_url(&other));
    assert!(it.copy().await.unwrap().is_equal());
    let elsewhere = std::mem::replace(&mut it.database, here);
    let refused = it.try_arrive().await.map(drop).unwrap_err();
    assert!(matches!(refused, open::Error::HalfCopied), "{refused}");

    // Both are whole now, and each may be served.
    it.from.clock.advance(Duration::from_secs(60));
    assert!(it.copy().await.unwrap().is_equal());
    it.try_arrive().await.unwrap().close().await.unwrap();
    it.database = elsewhere;
    it.try_arrive().await.unwrap().close().await.unwrap();
    it.from.finish().await;
}

const LONG: Duration = Duration::from_secs(30);

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let waiting = async {
        while !is() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

/// Rows of every table.
async fn list_counts(it: &Move) -> Vec<(&'static str, u64)> {
    let mut counts = Vec::new();
    for table in &TABLES {
        counts.push((table.name, it.sql(&format!("SELECT 1 FROM mainstay.{}", table.name)).await));
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_waits_for_a_proof_writes_nothing_into_the_copy() {
    let it = Move::new().await;
    it.fill_every_table().await;
    let busy = Transfer { quiet: false, ..it.transfer() };
    assert!(run(&busy, &mut |_| {}).await.unwrap().is_equal());
    let before = list_counts(&it).await;

    let network = it.network();
    network.cut();
    let database = it.database_through(&network);
    let reopen_every = mainstay_base::units::Span(Duration::from_millis(50));
    let settings = Settings { reopen_every, ..Settings::default() };
    let place = Place {
        settings: &settings,
        database: Some(&database),
        data_dir: it.from.dir.path(),
        clock: it.from.clock.clone(),
        entropy: Entropy::System,
    };
    let store = Store::open_or_away(place).await.unwrap();
    let registry =
        Registry::new(&mainstay_telemetry::settings::Metrics::default(), it.from.clock.clone());
    let group = TaskGroup::new();
    store.start_reopening(&group);
    let recorder = store.start_recorder(&settings, &group, &registry);
    network.heal();
    let reason = || store.list_away().first().map(|away| away.reason.clone()).unwrap_or_default();
    until("the copy is found", || reason().contains("that is not finished")).await;

    let soon = NOON.plus(Duration::from_secs(60));
    let salt = visitor_salt::find_or_create(store.core(), 20_000, [1; 16]).await.map(drop);
    let link = console_link::create(store.core(), &[1; 32], NOON, soon).await;
    let dirty = rollup::mark_dirty(store.insight(), "default", NOON).await.map(drop);
    for outcome in [salt, link, dirty] {
        let error = outcome.unwrap_err();
        assert_eq!((error.kind, error.retryable), (Kind::Unavailable, true), "{error}");
    }
    let mut view = Sample(7).view();
    view.id = "waited-for-the-proof".into();
    let batch = Batch { records: vec![Record::PageView(view)], visit: None };
    assert!(recorder.record(batch).await.unwrap().waits);
    assert_eq!(list_counts(&it).await, before);

    assert!(it.copy().await.unwrap().is_equal());
    until("it is served", || store.is_open() && recorder.spooled() == 0).await;
    let arrived = "SELECT 1 FROM mainstay.page_views WHERE id = 'waited-for-the-proof'";
    assert_eq!(it.sql(arrived).await, 1);
    visitor_salt::find_or_create(store.core(), 20_000, [1; 16]).await.unwrap();
    assert_eq!(group.finish(LONG, LONG).await, 0);
    assert_eq!(group.crashes(), []);
    store.close().await.unwrap();
    it.from.finish().await;
}

#[tokio::test]
async fn a_network_that_falls_silent_ends_a_copy_that_the_next_one_finishes() {
    let it = Move::new().await;
    it.fill_every_table().await;
    let network = it.network();
    let database = it.database_through(&network);
    let through = Transfer { database: &database, ..it.transfer() };
    let mut silence = |progress: Progress| {
        if progress.table == "user_sessions" {
            network.half_open();
        }
    };
    let lost = run(&through, &mut silence).await.unwrap_err();
    assert_eq!(lost.code(), ErrorCode::Unavailable, "{lost}");
    assert!(it.sql("SELECT 1 FROM mainstay.user_sessions").await > 0);
    assert_eq!(it.sql("SELECT 1 FROM mainstay.rollup_dirty").await, 0);
    network.heal();
    let next = run(&through, &mut |_| {}).await.unwrap();
    assert!(next.is_equal(), "{:?}", differing(&next));
    it.from.finish().await;
}
