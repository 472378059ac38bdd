//! Tests of `open`.

use std::os::unix::fs::PermissionsExt;

use mainstay_base::Clock;

use super::{Engine, Error, Store};
use crate::Settings;

async fn open(dir: &std::path::Path) -> Result<Store, Error> {
    Store::open(&Settings::default(), dir, Clock::System).await
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
async fn the_writer_is_durable_and_readers_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    for (engine, secure_delete) in [(store.core(), 1), (store.insight(), 0)] {
        let Engine::Sqlite(db) = engine;
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
    let Engine::Sqlite(db) = store.insight();
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
async fn what_is_no_database_and_a_missing_folder_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let missing = open(&dir.path().join("nowhere")).await.unwrap_err();
    assert!(matches!(missing, Error::File { .. }), "{missing}");
    std::fs::write(dir.path().join("core.db"), vec![b'x'; 8_192]).unwrap();
    let garbage = open(dir.path()).await.unwrap_err();
    assert!(matches!(garbage, Error::Open { .. }), "{garbage}");
}
