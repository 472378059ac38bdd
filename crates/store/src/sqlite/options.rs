//! How connections are set up: pragmas, limits, durability. No statement of ours lives here.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use crate::Settings;

const PAGE_BYTES: u64 = 4_096;
/// Distinct statements kept prepared on a connection that writes: seven bulk sizes of seven tables and the small ones.
const WRITER_STATEMENTS: usize = 96;
const READER_STATEMENTS: usize = 48;
/// The nice level of threads that count, draw panels and copy the log: those who serve and record come first wherever
/// there is no core for all. What `nice(1)` gives.
const BEHIND: i32 = 10;
/// How long commits may wait for readers that keep an overlong log alive.
const READERS_PATIENCE: Duration = Duration::from_millis(250);

/// What differs between the files, and what the operator set.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) readers: u32,
    pub(crate) busy_timeout: Duration,
    /// Pages of log from which they are copied into the file.
    pub(crate) checkpoint_pages: u64,
    /// Whether the recorder writes it: then its log is copied beside the commits instead of within one.
    pub(super) recorded: bool,
    wal_bytes: u64,
    cache_kib: u64,
    pages_max: Option<u64>,
    secure_delete: bool,
}

impl Shape {
    /// `core.db`: deleted secrets are overwritten, never just unlinked.
    pub(crate) fn core(settings: &Settings) -> Self {
        Self { secure_delete: true, pages_max: None, recorded: false, ..Self::insight(settings) }
    }

    /// `insight.db`: the operator may limit its size; its log is copied by a connection of its own, because a commit
    /// must not wait for that.
    pub(crate) fn insight(settings: &Settings) -> Self {
        let limit = settings.insight_size_max.0;
        Self {
            readers: settings.readers,
            busy_timeout: settings.busy_timeout.0,
            checkpoint_pages: (settings.checkpoint_at.0 / PAGE_BYTES).max(1),
            recorded: true,
            wal_bytes: settings.wal_size_max.0,
            cache_kib: (settings.cache_size.0 >> 10).max(64),
            pages_max: (limit > 0).then(|| (limit / PAGE_BYTES).max(1)),
            secure_delete: false,
        }
    }
}

/// The writing connection: every commit is on disk before it returns (`synchronous=FULL` syncs the log per commit).
pub(crate) fn writer(path: &Path, shape: &Shape) -> SqliteConnectOptions {
    let name = if shape.recorded { "insight-write" } else { "core-write" };
    let options = common(path, shape)
        .thread_name(move |_| name.into())
        .create_if_missing(true)
        .page_size(PAGE_BYTES as u32)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(WRITER_STATEMENTS);
    write_pragmas(shape)
        .into_iter()
        .fold(options, |options, (name, value)| options.pragma(name, value))
}

/// The connection of the file's recorder or job queue, set up as [`writer`] but for `synchronous`: of a library that runs
/// statements on the caller's own thread. Its log is copied beside the commits.
pub(crate) fn direct(
    path: &Path,
    shape: &Shape,
    synchronous: &str,
) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Its words name the path, and are told to whoever asks how the store is.
    let conn = Connection::open_with_flags(path, flags).map_err(|error| match error {
        rusqlite::Error::SqliteFailure(error, _) => rusqlite::Error::SqliteFailure(error, None),
        other => other,
    })?;
    conn.busy_timeout(shape.busy_timeout)?;
    conn.set_prepared_statement_cache_capacity(WRITER_STATEMENTS);
    let fixed = [("foreign_keys", "ON"), ("temp_store", "MEMORY"), ("synchronous", synchronous)];
    for (name, value) in fixed {
        conn.pragma_update(None, name, value)?;
    }
    for (name, value) in write_pragmas(shape) {
        conn.pragma_update(None, name, value)?;
    }
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(conn)
}

fn write_pragmas(shape: &Shape) -> Vec<(&'static str, String)> {
    let checkpoint = if shape.recorded { 0 } else { shape.checkpoint_pages };
    let mut pragmas = vec![
        ("wal_autocheckpoint", checkpoint.to_string()),
        ("journal_size_limit", shape.wal_bytes.to_string()),
        ("secure_delete", if shape.secure_delete { "ON" } else { "OFF" }.into()),
        ("cache_size", format!("-{}", shape.cache_kib)),
    ];
    pragmas.extend(shape.pages_max.map(|pages| ("max_page_count", pages.to_string())));
    pragmas
}

/// The connection that copies the log: it syncs the file before it lets the log begin anew (`synchronous=FULL`), and
/// waits for readers only a moment.
pub(crate) fn checkpoints(path: &Path, shape: &Shape) -> SqliteConnectOptions {
    common(path, shape)
        .thread_name({
            let name = if shape.recorded { "insight-log" } else { "core-log" };
            move |_| name.into()
        })
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(shape.busy_timeout.min(READERS_PATIENCE))
        .statement_cache_capacity(4)
        .pragma("wal_autocheckpoint", "0")
        .pragma("journal_size_limit", shape.wal_bytes.to_string())
}

/// A connection that cannot change anything.
pub(crate) fn reader(path: &Path, shape: &Shape) -> SqliteConnectOptions {
    let name = if shape.recorded { "insight-read" } else { "core-read" };
    common(path, shape)
        .thread_name(move |_| name.into())
        .read_only(true)
        .statement_cache_capacity(READER_STATEMENTS)
        .pragma("cache_size", format!("-{}", shape.cache_kib / 4))
}

/// sqlx sets the busy timeout before any pragma, so that the pragmas themselves can wait.
fn common(path: &Path, shape: &Shape) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(shape.busy_timeout)
        .foreign_keys(true)
        .pragma("temp_store", "MEMORY")
        .collation("behind", |a, b| {
            stand_behind();
            a.cmp(b)
        })
        .disable_statement_logging()
}

/// Puts the thread of a connection behind those who serve and record. sqlx runs the statements of a connection on a
/// thread of its own and has no way to it, but a collation is called there.
pub(crate) async fn put_behind(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT 'a' < 'b' COLLATE behind").execute(conn).await.map(drop)
}

/// Elsewhere a nice level is that of the whole process. A thread that is refused does the same work, only sooner.
fn stand_behind() {
    if cfg!(target_os = "linux") {
        let now = rustix::process::getpriority_process(None).unwrap_or(0);
        let _ = rustix::process::setpriority_process(None, now.max(BEHIND));
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::BEHIND;
    use crate::contract::Fixture;
    use crate::error::Source;

    const PRAGMAS: [&str; 10] = [
        "busy_timeout",
        "cache_size",
        "foreign_keys",
        "journal_size_limit",
        "max_page_count",
        "page_size",
        "secure_delete",
        "synchronous",
        "temp_store",
        "wal_autocheckpoint",
    ];

    /// The nice levels of this process's threads of that name.
    fn nice_levels(name: &str) -> Vec<i32> {
        let tasks = std::fs::read_dir("/proc/self/task").expect("a list of threads");
        let stats =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
        stats
            .filter_map(|stat| {
                let (front, rest) = stat.rsplit_once(')')?;
                let is_named = front.ends_with(&format!("({name}"));
                // The 19th of proc_pid_stat(5), the second is the name.
                is_named.then(|| rest.split_whitespace().nth(16)?.parse().ok()).flatten()
            })
            .collect()
    }

    #[tokio::test]
    async fn who_counts_and_copies_stands_behind_who_serves_and_records() {
        let f = Fixture::sqlite().await;
        drop(f.insight().file().readers().acquire().await.expect("a reader"));
        drop(f.core().file().readers().acquire().await.expect("a reader"));
        f.insight().file().copy_log_when_long().await.expect("a look at the log");
        assert_eq!(nice_levels("insight-read"), [BEHIND]);
        assert_eq!(nice_levels("insight-log"), [BEHIND]);
        let own = nice_levels("core-read");
        assert!(own.len() == 1 && own < vec![BEHIND], "{own:?}");
        f.finish().await;
    }

    #[tokio::test]
    async fn both_connections_that_write_are_set_up_alike() {
        let f = Fixture::sqlite().await;
        let db = f.insight().file();
        let mut writer = db.writer().await;
        for pragma in PRAGMAS {
            let ask = format!("PRAGMA {pragma}");
            let conn = writer.conn().await.expect("a writer");
            let one: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(ask.clone()))
                .fetch_one(conn)
                .await
                .expect(pragma);
            let ask =
                |conn: &Connection| Ok::<i64, Source>(conn.query_row(&ask, [], |r| r.get(0))?);
            assert_eq!(writer.directly(db, ask).expect(pragma), one, "{pragma}");
        }
        let ask = |conn: &Connection| {
            Ok::<String, Source>(conn.query_row("PRAGMA journal_mode", [], |r| r.get(0))?)
        };
        assert_eq!(writer.directly(db, ask).expect("a mode"), "wal");
        drop(writer);
        f.finish().await;
    }
}
