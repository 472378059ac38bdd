//! One SQLite file: a writing connection and the recorder's behind one lock, and a few that only read. Away until it could be
//! opened.

use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard, Notify};

use crate::Error;
use crate::error::Source;

pub(crate) mod checkpoint;
pub(crate) mod options;

pub(crate) use options::Shape;

/// Steps of SQLite's machine between two looks whether a statement is to end: well below a millisecond.
const STEPS: i32 = 1_000;

/// A database file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    shape: Shape,
    writer: Mutex<Writer>,
    /// Set once the file is open.
    readers: OnceLock<SqlitePool>,
    /// A closed pool: who asks it learns that the file is away.
    nobody: SqlitePool,
    /// The connection that copies the log into the file, made when it is first needed.
    checkpoints: Mutex<Option<SqliteConnection>>,
    /// Somebody had the writer: the log may have grown.
    written: Notify,
    /// A commit on the direct connection need not wait for the disk.
    relaxed: AtomicBool,
}

/// Whoever has it is the only one who writes. What a transaction was not ended on is not used again.
#[derive(Debug)]
pub(crate) struct Writer {
    /// That the file is there.
    open: bool,
    conn: Option<SqliteConnection>,
    /// The recorder's, or the job queue's. Its statements run on the caller's thread: a group commit has several, and each
    /// would cost the way to the thread of `conn` and back.
    direct: Option<rusqlite::Connection>,
    options: SqliteConnectOptions,
    /// Ends what runs on `conn`.
    interrupt: Arc<AtomicBool>,
    /// A statement was begun on `conn` and nobody has heard of its end.
    at_work: bool,
    /// Why the file is away.
    reason: String,
}

impl Db {
    /// The file at `path`, away until [`Db::open`] succeeds. Nothing is touched.
    pub(crate) async fn away(path: &Path, shape: &Shape) -> Self {
        let nobody = SqlitePoolOptions::new().connect_lazy_with(options::reader(path, shape));
        nobody.close().await;
        let writer = Writer {
            open: false,
            conn: None,
            direct: None,
            options: options::writer(path, shape),
            interrupt: Arc::default(),
            at_work: false,
            reason: "it was not opened yet".into(),
        };
        Self(Arc::new(Inner {
            path: path.to_owned(),
            shape: shape.clone(),
            writer: Mutex::new(writer),
            readers: OnceLock::new(),
            nobody,
            checkpoints: Mutex::new(None),
            written: Notify::new(),
            relaxed: AtomicBool::new(false),
        }))
    }

    /// Opens or creates the file and brings its schema up to date; from then on questions and changes are taken.
    pub(crate) async fn open(&self, migrator: &Migrator) -> Result<(), MigrateError> {
        let mut writer = self.0.writer.lock().await;
        let mut conn = writer.connect().await?;
        // `run` borrows in a way that the compiler cannot see to be `Send`; this is what it calls.
        migrator.run_direct(None, &mut conn, false).await?;
        (writer.conn, writer.open) = (Some(conn), true);
        if self.0.shape.recorded {
            // Of this very file, whatever lies at the path later. Tried again when it is needed.
            writer.direct = self.connect_directly().ok();
        }
        let shape = &self.0.shape;
        // Sessions are asked for while a visitor waits, panels and counts are not.
        let recorded = shape.recorded;
        self.0.readers.get_or_init(|| {
            SqlitePoolOptions::new()
                .max_connections(shape.readers.max(1))
                .acquire_timeout(shape.busy_timeout)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .after_connect(move |conn, _| {
                    Box::pin(async move {
                        if recorded { options::put_behind(conn).await } else { Ok(()) }
                    })
                })
                .connect_lazy_with(options::reader(&self.0.path, shape))
        });
        Ok(())
    }

    /// Whether commits on the direct connection are done before they are on disk, from the next connection on.
    pub(crate) fn relax(&self, relaxed: bool) {
        self.0.relaxed.store(relaxed, Ordering::Relaxed);
    }

    fn connect_directly(&self) -> rusqlite::Result<rusqlite::Connection> {
        let synchronous = if self.0.relaxed.load(Ordering::Relaxed) { "NORMAL" } else { "FULL" };
        options::direct(&self.0.path, &self.0.shape, synchronous)
    }

    /// Notes why the file cannot be opened, for whoever wants to write meanwhile.
    pub(crate) async fn note_away(&self, reason: String) {
        self.0.writer.lock().await.reason = reason;
    }

    /// Whether the file was opened.
    pub(crate) fn is_open(&self) -> bool {
        self.0.readers.get().is_some()
    }

    /// Connections in use, and open ones that are not.
    pub(crate) fn count_connections(&self) -> (usize, usize) {
        let readers = self.readers();
        let (open, idle) = (readers.size() as usize, readers.num_idle());
        let count = |conn: bool| usize::from(conn);
        let writer = self.0.writer.try_lock();
        let writer = writer.map(|w| count(w.conn.is_some()) + count(w.direct.is_some()));
        let checkpoints = self.0.checkpoints.try_lock().map(|conn| count(conn.is_some()));
        // Who cannot be had is in use; of the two that write it is one.
        let busy = count(writer.is_err()) + count(checkpoints.is_err());
        let resting = writer.unwrap_or(0) + checkpoints.unwrap_or(0);
        (open.saturating_sub(idle) + busy, idle + resting)
    }

    /// Where the file lies.
    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Connections for questions; none is to be had while the file is away.
    pub(crate) fn readers(&self) -> &SqlitePool {
        self.0.readers.get().unwrap_or(&self.0.nobody)
    }

    /// The connection for changes; waits for its turn, first come first served.
    pub(crate) async fn writer(&self) -> Writing<'_> {
        let writer = self.0.writer.lock().await;
        self.0.written.notify_one();
        Writing(writer)
    }

    /// Ends the readers and checkpoints. Later calls fail. A file that is away has nothing to be closed.
    pub(crate) async fn close(&self) -> Result<(), sqlx::Error> {
        if !self.is_open() {
            return Ok(());
        }
        self.readers().close().await;
        self.checkpoint().await.map(drop)
    }
}

impl Writer {
    /// The connection itself, for a single statement that is its own transaction.
    pub(crate) async fn conn(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if !self.open {
            return Err(is_away(&self.reason));
        }
        if self.conn.is_none() {
            self.conn = Some(self.connect().await?);
        }
        self.conn.as_mut().ok_or_else(|| is_away(&self.reason))
    }

    /// The same for a statement that ends with [`Writer::end_work`]: whoever leaves before that takes the statement with
    /// him.
    pub(crate) async fn begin_work(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.at_work = true;
        self.conn().await
    }

    /// The statement has ended, in whichever way.
    pub(crate) fn end_work(&mut self) {
        self.at_work = false;
    }

    async fn connect(&mut self) -> Result<SqliteConnection, sqlx::Error> {
        let mut conn = self.options.connect().await?;
        let interrupt = Arc::clone(&self.interrupt);
        let goes_on = move || !interrupt.load(Ordering::Relaxed);
        conn.lock_handle().await?.set_progress_handler(STEPS, goes_on);
        Ok(conn)
    }

    /// Does the work of the file's recorder or job queue on its connection, and keeps that only when no transaction is left
    /// open on it, whatever became of the work. Blocks for as long as it takes.
    pub(crate) fn directly<T, E: From<Source>>(
        &mut self,
        db: &Db,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        if !self.open {
            return Err(Source::from(is_away(&self.reason)).into());
        }
        let conn = match self.direct.take() {
            Some(conn) => conn,
            None => db.connect_directly().map_err(Source::from)?,
        };
        let outcome = work(&conn);
        self.direct = Some(conn).filter(rusqlite::Connection::is_autocommit);
        outcome
    }

    /// Ends both connections, and with them what they left open or still run: the next use connects anew.
    pub(crate) fn suspect(&mut self) {
        (self.conn, self.direct) = (None, None);
        std::mem::take(&mut self.interrupt).store(true, Ordering::Relaxed);
        self.at_work = false;
    }
}

/// The writer in somebody's hands. Dropped in the middle of a statement it ends that, so that the file's lock is free in a
/// moment: the statement runs on a thread of its own, and would go on.
#[derive(Debug)]
pub(crate) struct Writing<'a>(MutexGuard<'a, Writer>);

impl Deref for Writing<'_> {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.0
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut Writer {
        &mut self.0
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if self.0.at_work {
            self.0.suspect();
        }
    }
}

fn is_away(reason: &str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::other(reason.to_owned()))
}

/// Names the operation in which a statement failed.
pub(crate) trait InOp<T> {
    fn in_op(self, op: &'static str) -> Result<T, Error>;
}

impl<T> InOp<T> for Result<T, sqlx::Error> {
    fn in_op(self, op: &'static str) -> Result<T, Error> {
        self.map_err(|e| Error::new(op, e))
    }
}
