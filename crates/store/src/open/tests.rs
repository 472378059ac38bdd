//! Tests of `open`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use mainstay_base::task::Group;
use mainstay_base::{Clock, Coded as _, ErrorCode};
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::settings::Metrics;

use super::{Error, Place, Store};
use crate::contract::NOON;
use crate::error::Kind;
use crate::{Settings, rollup, schema, visitor_salt};

const LONG: Duration = Duration::from_secs(20);

fn place<'a>(settings: &'a Settings, dir: &'a Path) -> Place<'a> {
    Place::files(settings, dir, Clock::System)
}

async fn open(dir: &Path) -> Result<Store, Error> {
    Store::open(place(&Settings::default(), dir)).await
}

#[tokio::test]
async fn files_are_private_and_open_again() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let store = open(dir.path()).await.unwrap();
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", file.file_name());
        }
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn connections_are_shown_in_use_and_idle() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let registry = Registry::new(&Metrics::default(), Clock::System);
    store.register(&registry);
    let seen = || {
        let text = registry.encode_text();
        ["core", "insight"].map(|name| {
            ["active", "idle"].map(|kind| {
                let series =
                    format!("database_connections_active{{database=\"{name}\",type=\"{kind}\"}} ");
                text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().to_owned()
            })
        })
    };
    // The writers; readers are connected when they are first needed.
    assert_eq!(seen(), [["0", "1"], ["0", "2"]]);
    let db = store.insight().file();
    let writer = db.writer().await;
    let reader = db.readers().acquire().await.unwrap();
    assert_eq!(seen(), [["0", "1"], ["2", "0"]]);
    drop((writer, reader));
    // A reader goes back to its pool on a task.
    while seen()[1] != ["0", "3"] {
        tokio::task::yield_now().await;
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_writer_is_durable_and_readers_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    for (engine, secure_delete) in [(store.core(), 1), (store.insight(), 0)] {
        let db = engine.file();
        let mut writer = db.writer().await;
        let conn = writer.conn().await.unwrap();
        let pragma = async |conn: &mut sqlx::SqliteConnection, name: &str| -> i64 {
            let text = sqlx::AssertSqlSafe(format!("PRAGMA {name}"));
            sqlx::query_scalar(text).fetch_one(conn).await.unwrap()
        };
        assert_eq!(pragma(conn, "synchronous").await, 2);
        assert_eq!(pragma(conn, "foreign_keys").await, 1);
        assert_eq!(pragma(conn, "busy_timeout").await, 5_000);
        assert_eq!(pragma(conn, "journal_size_limit").await, 64 << 20);
        assert_eq!(pragma(conn, "secure_delete").await, secure_delete);
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(conn).await.unwrap();
        assert_eq!(mode, "wal");
        let refused = sqlx::query("CREATE TABLE x (y)").execute(db.readers()).await;
        assert!(refused.unwrap_err().to_string().contains("readonly"));
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_name_and_version() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let db = store.insight().file();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of tomorrow', 1, x'00', 0)",
    )
    .execute(db.writer().await.conn().await.unwrap())
    .await
    .unwrap();
    store.close().await.unwrap();
    let error = open(dir.path()).await.unwrap_err();
    let Error::Newer { path, version } = error else { panic!("{error}") };
    assert_eq!((path, version), (dir.path().join("insight.db"), 9_999));
}

#[tokio::test]
async fn a_step_in_other_words_is_refused_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let db = store.insight().file();
    sqlx::query("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 3")
        .execute(db.writer().await.conn().await.unwrap())
        .await
        .unwrap();
    store.close().await.unwrap();
    let settings = Settings::default();
    let looked = schema::look(&place(&settings, dir.path())).await.unwrap_err();
    let waited = Store::open_or_away(place(&settings, dir.path())).await.unwrap_err();
    for error in [looked, waited] {
        let Error::Changed { path, version } = &error else { panic!("{error}") };
        assert_eq!((path.file_name().unwrap().to_str(), version), (Some("insight.db"), &3));
        assert!(error.to_string().contains("step 3 of the schema"), "{error}");
        assert_eq!(error.code(), ErrorCode::Conflict);
    }
}

#[tokio::test]
async fn what_is_no_database_and_a_missing_folder_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let missing = open(&dir.path().join("nowhere")).await.unwrap_err();
    assert!(matches!(missing, Error::File { .. }), "{missing}");
    std::fs::write(dir.path().join("core.db"), vec![b'x'; 8_192]).unwrap();
    let garbage = open(dir.path()).await.unwrap_err();
    assert!(matches!(garbage, Error::Damaged { .. }), "{garbage}");
}

#[tokio::test]
async fn an_empty_file_does_not_cost_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let (file, log) = (dir.path().join("insight.db"), dir.path().join("insight.db-wal"));
    std::fs::write(&file, "").unwrap();
    std::fs::write(&log, "what was committed").unwrap();
    let error = open(dir.path()).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(std::fs::read(&log).unwrap(), b"what was committed");
}

async fn open_or_away(dir: &Path, clock: Clock) -> Result<Store, Error> {
    let every = mainstay_base::units::Span(Duration::from_millis(10));
    let settings = Settings { reopen_every: every, ..Settings::default() };
    Store::open_or_away(Place { clock, ..place(&settings, dir) }).await
}

#[tokio::test]
async fn a_damaged_file_is_away_until_somebody_mends_it_and_never_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (file, noise) = (dir.path().join("insight.db"), "no database. ".repeat(900));
    std::fs::write(&file, &noise).unwrap();
    let store = open_or_away(dir.path(), Clock::fixed(NOON)).await.unwrap();
    let [away] = &store.list_away()[..] else { panic!("{:?}", store.list_away()) };
    assert_eq!((away.part, away.since), ("insight.db", NOON));
    assert!(away.reason.contains("not a database"), "{}", away.reason);

    // Questions and changes are refused as unavailable; the other file works.
    let asked = rollup::watermark(store.insight(), "default").await.unwrap_err();
    let changed = rollup::mark_dirty(store.insight(), "default", NOON).await.unwrap_err();
    let begun = rollup::advance_watermark(store.insight(), "default", NOON).await.unwrap_err();
    for error in [asked, changed, begun] {
        assert_eq!((error.kind, error.retryable), (Kind::Unavailable, true), "{error}");
    }
    visitor_salt::find_or_create(store.core(), 1, [1; 16]).await.unwrap();

    let group = Group::new();
    store.start_reopening(&group);
    tokio::time::timeout(LONG, async {
        assert_eq!(std::fs::read_to_string(&file).unwrap(), noise);
        std::fs::rename(&file, dir.path().join("mended")).unwrap();
        assert!(store.wait_insight(group.stop()).await);
    })
    .await
    .unwrap();
    assert_eq!(store.list_away(), []);
    rollup::mark_dirty(store.insight(), "default", NOON).await.unwrap();
    assert_eq!(rollup::list_dirty(store.insight(), None, 9).await.unwrap().len(), 1);
    assert_eq!(group.finish(LONG, LONG).await, 0);
    assert_eq!(group.crashes(), []);
    store.close().await.unwrap();
}

#[tokio::test]
async fn nobody_waits_for_a_file_longer_than_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("insight.db"), vec![b'x'; 8_192]).unwrap();
    let store = open_or_away(dir.path(), Clock::System).await.unwrap();
    let group = Group::new();
    store.start_reopening(&group);
    group.stop_softly();
    assert!(!store.wait_insight(group.stop()).await);
    assert_eq!(group.finish(LONG, LONG).await, 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_another_process_holds_ends_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(dir.path().join("insight.db"))
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Delete);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let at_once = mainstay_base::units::Span(Duration::from_millis(1));
    let settings = Settings { busy_timeout: at_once, ..Settings::default() };
    let error = Store::open_or_away(place(&settings, dir.path())).await.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
}
