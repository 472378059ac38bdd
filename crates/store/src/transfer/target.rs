//! The database that is copied into, on a connection of its own.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use mainstay_base::Timestamp;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, PgConnection};
use uuid::Uuid;

use super::chunk::{Range, Row};
use super::table::{Copied, TABLES};
use super::value::{Value, digest};
use super::write::{is_used, write_all};
use super::{Error, Transfer};
use crate::bulk::Kind;
use crate::open::{copied, node};
use crate::postgres::{Db, Patience, durable, migrate, partition};
use crate::{Engine, Ts, schema};

const OP: &str = "transfer.write";
/// How long a chunk may take: much longer than a visitor would wait.
const PATIENCE: Patience = Patience(Duration::from_secs(if cfg!(test) { 5 } else { 120 }));
/// A process that was killed may hold its lock until the server notices.
const LOCK: &str = "SELECT pg_advisory_lock(hashtextextended('mainstay transfer', 0))";
const LOCK_TIMEOUT: &str =
    if cfg!(test) { "SET lock_timeout = '500ms'" } else { "SET lock_timeout = '10s'" };
/// The first server that works with a database makes its secret.
pub(super) const IS_USED: &str = "SELECT exists(SELECT 1 FROM mainstay.shared_secret)";
/// Who has begun a copy there.
const MARKS: &str = "transfers";
/// SQLSTATE of a lock that was not to be had in time.
const NOT_HAD: &str = "55P03";

#[derive(Debug)]
pub(super) struct Target {
    conn: PgConnection,
    engine: Engine,
    source: Option<Uuid>,
    /// The newest step of the schema that was taken there.
    version: Option<i64>,
    /// A copy of this installation was begun before.
    pub(super) was_begun: bool,
    /// Ids of events since then are remembered.
    pub(super) remembered_since: Timestamp,
    /// Days are native partitions, which must be made before they are filled.
    is_native: bool,
    days: HashSet<(&'static str, Timestamp)>,
}

/// Rows of the database in the order of their keys.
#[derive(Debug)]
pub(super) struct Found {
    /// Keys and digests.
    pub(super) rows: Vec<(Vec<Value>, u128)>,
    /// The last of these keys, where more rows may come after it.
    pub(super) end: Option<Vec<Value>>,
}

impl Target {
    /// Connects and changes nothing.
    pub(super) async fn look(transfer: &Transfer<'_>) -> Result<Self, Error> {
        let cluster = transfer.database.open()?;
        let source = node::find_kept(transfer.data_dir).await;
        let db = Db::new(cluster, source.unwrap_or_default().to_string().into());
        db.probe().await;
        let Some(primary) = db.cluster.primary().map(Arc::clone) else {
            return Err(Error::Away(db.why_without_primary().unwrap_or_default()));
        };
        let direct = primary.target.direct();
        let options = direct.unwrap_or(&primary.target.options).clone().disable_statement_logging();
        let conn = PATIENCE.keep(async {
            let mut conn = options.connect().await?;
            if direct.is_some() {
                let words = AssertSqlSafe(durable::session());
                sqlx::raw_sql(words).execute(&mut conn).await?;
            }
            Ok(conn)
        });
        let conn = conn.await;
        let conn = conn.map_err(|error| Error::Away(error.to_string()))?;
        let now = transfer.clock.now();
        let mut target = Self {
            conn,
            engine: Engine::Postgres(db),
            source,
            version: None,
            was_begun: false,
            remembered_since: now.minus(transfer.database.event_ids_kept.0),
            is_native: false,
            days: HashSet::new(),
        };
        target.look_at_schema().await?;
        Ok(target)
    }

    /// Connects, makes the schema, and takes the database for this installation.
    pub(super) async fn open(transfer: &Transfer<'_>) -> Result<Self, Error> {
        let name = node::find_name(transfer.data_dir, &transfer.clock, &transfer.entropy);
        name.await.map_err(|error| Error::Unnamed(Box::new(error)))?;
        let mut target = Self::look(transfer).await?;
        // A lock that is held by a session, and what it is told of commits, would be somebody else's in the next moment.
        if let Engine::Postgres(db) = &target.engine
            && let Some(pooled) = db.cluster.primary().filter(|node| node.target.direct().is_none())
        {
            return Err(Error::Pooled(pooled.target.name.to_string()));
        }
        // Before anything is made there, and again when nobody else copies.
        target.refuse_strangers().await?;
        if let Engine::Postgres(db) = &target.engine {
            migrate::run(&db.cluster, transfer.database).await?;
        }
        target.lock().await?;
        target.refuse_strangers().await?;
        target.begin(transfer).await?;
        target.is_native = partition::is_native(&target.engine).await?;
        let ahead = transfer.database.partitions_ahead;
        partition::make_ahead(&target.engine, transfer.clock.now(), ahead).await?;
        Ok(target)
    }

    /// Takes the database, unless a server has begun to use it.
    async fn begin(&mut self, transfer: &Transfer<'_>) -> Result<(), Error> {
        let begun = async {
            sqlx::query("BEGIN").execute(&mut self.conn).await?;
            if is_used(&mut self.conn).await? {
                sqlx::query("ROLLBACK").execute(&mut self.conn).await?;
                return Ok(false);
            }
            let begin = "INSERT INTO mainstay.transfers (source, begun_at) VALUES ($1, $2)
                ON CONFLICT (source) DO UPDATE SET proven_at = NULL";
            let begin = sqlx::query(begin).bind(self.source).bind(Ts(transfer.clock.now()));
            begin.execute(&mut self.conn).await?;
            if !transfer.quiet {
                // Nobody knows when the next run comes, and what it would have removed by then.
                for table in TABLES.iter().filter(|table| table.is_short_lived) {
                    let empty = format!("TRUNCATE mainstay.{}", table.name);
                    sqlx::query(AssertSqlSafe(empty)).execute(&mut self.conn).await?;
                }
            }
            sqlx::query("COMMIT").execute(&mut self.conn).await.map(|_| true)
        };
        let begun = PATIENCE.keep(begun).await.map_err(broken)?;
        if begun { Ok(()) } else { Err(Error::InUse) }
    }

    /// Which steps were taken; refuses a schema that is newer than this version.
    async fn look_at_schema(&mut self) -> Result<(), Error> {
        if !self.exists("_sqlx_migrations").await? {
            return Ok(());
        }
        let newest = "SELECT coalesce(max(version), 0) FROM mainstay._sqlx_migrations";
        let newest: i64 = self.ask(newest).await?;
        self.version = Some(newest);
        if newest > schema::newest(migrate::known()) { Err(Error::Newer) } else { Ok(()) }
    }

    /// Refuses a schema that lacks steps: there is no reading what they bring.
    pub(super) fn refuse_older(&self) -> Result<(), Error> {
        let ours = schema::newest(migrate::known());
        if self.version.is_some_and(|found| found < ours) { Err(Error::Older) } else { Ok(()) }
    }

    /// Refuses a database that holds anything but a copy of this installation that no server has used.
    pub(super) async fn refuse_strangers(&mut self) -> Result<(), Error> {
        if self.exists(MARKS).await? {
            let own = "SELECT exists(SELECT 1 FROM mainstay.transfers WHERE source = $1)";
            let own = sqlx::query_scalar(own).bind(self.source).fetch_one(&mut self.conn);
            self.was_begun = PATIENCE.keep(own).await.map_err(broken)?;
        }
        if self.exists("shared_secret").await? && self.ask::<bool>(IS_USED).await? {
            return Err(Error::InUse);
        }
        let looked_at = if self.was_begun { &[][..] } else { &TABLES };
        for table in looked_at {
            if !self.exists(table.name).await? {
                continue;
            }
            let rows = format!("SELECT count(*) FROM mainstay.{}", table.name);
            let rows: i64 = self.ask(&rows).await?;
            if rows > 0 {
                return Err(Error::Foreign { table: table.name, rows: rows.cast_unsigned() });
            }
        }
        // Whoever has begun a copy may have found nothing to copy yet.
        if self.exists(MARKS).await? {
            let others = "SELECT count(*) FROM mainstay.transfers WHERE source IS DISTINCT FROM $1";
            let others = sqlx::query_scalar(others).bind(self.source).fetch_one(&mut self.conn);
            let others: i64 = PATIENCE.keep(others).await.map_err(broken)?;
            if others > 0 {
                return Err(Error::Foreign { table: MARKS, rows: others.cast_unsigned() });
            }
        }
        Ok(())
    }

    async fn lock(&mut self) -> Result<(), Error> {
        let set = sqlx::query(LOCK_TIMEOUT).execute(&mut self.conn);
        PATIENCE.keep(set).await.map_err(broken)?;
        let locked = PATIENCE.keep(sqlx::query(LOCK).execute(&mut self.conn)).await;
        match locked {
            Ok(_) => Ok(()),
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NOT_HAD) => {
                Err(Error::Busy)
            }
            Err(error) => Err(broken(error)),
        }
    }

    async fn exists(&mut self, table: &str) -> Result<bool, Error> {
        let text = "SELECT to_regclass('mainstay.' || $1) IS NOT NULL";
        let found = sqlx::query_scalar(text).bind(table).fetch_one(&mut self.conn);
        PATIENCE.keep(found).await.map_err(broken)
    }

    async fn ask<T>(&mut self, text: &str) -> Result<T, Error>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let text = AssertSqlSafe(text.to_owned());
        let found = sqlx::query_scalar(text).fetch_one(&mut self.conn);
        PATIENCE.keep(found).await.map_err(broken)
    }

    /// The first rows of a range, as many as belong together and one more.
    pub(super) async fn read(&mut self, table: &Copied, range: Range<'_>) -> Result<Found, Error> {
        let limit = table.chunk + 1;
        let (text, args) = reading(table, range, limit)?;
        let asked = async {
            let (mut found, mut scratch) = (Vec::new(), Vec::new());
            let mut rows = sqlx::query_with(AssertSqlSafe(text), args).fetch(&mut self.conn);
            while let Some(row) = rows.try_next().await? {
                let columns = table.columns.iter().enumerate();
                let values: Result<Vec<_>, _> =
                    columns.map(|(at, (_, kind))| Value::of_postgres(&row, at, *kind)).collect();
                let mut values = values?;
                let digest = digest(&values, table.columns, &mut scratch);
                values.truncate(table.key);
                found.push((values, digest));
            }
            Ok(found)
        };
        let rows = PATIENCE.keep(asked).await.map_err(broken)?;
        let last = rows.last().filter(|_| rows.len() == limit);
        let end = last.map(|(key, _)| key.clone());
        Ok(Found { rows, end })
    }

    /// Which of these ids are remembered with their time.
    pub(super) async fn read_keys(
        &mut self,
        wanted: &[(Uuid, Timestamp)],
    ) -> Result<Vec<(Uuid, Timestamp)>, Error> {
        let text = "SELECT k.key, k.at FROM mainstay.event_keys k
            JOIN unnest($1::uuid[], $2::timestamptz[]) AS w(key, at) ON w.key = k.key AND w.at = k.at";
        let (keys, times) = arrays(wanted);
        let found = sqlx::query_as(text).bind(keys).bind(times).fetch_all(&mut self.conn);
        let found: Vec<(Uuid, Ts)> = PATIENCE.keep(found).await.map_err(broken)?;
        Ok(found.into_iter().map(|(key, at)| (key, at.0)).collect())
    }

    /// Removes rows, writes others in their place, and remembers ids: all or nothing, and nothing once a server uses the
    /// database.
    pub(super) async fn write(
        &mut self,
        table: &'static Copied,
        removed: &[Vec<Value>],
        written: &[&Row],
        keys: &[(Uuid, Timestamp)],
    ) -> Result<(), Error> {
        self.make_days(table, written).await?;
        let done = write_all(&mut self.conn, table, removed, written, keys);
        let done = PATIENCE.keep(done).await.map_err(broken)?;
        if done { Ok(()) } else { Err(Error::InUse) }
    }

    async fn make_days(&mut self, table: &'static Copied, rows: &[&Row]) -> Result<(), Error> {
        let (true, Some(pieces), Some(at)) = (self.is_native, table.pieces(), table.at()) else {
            return Ok(());
        };
        for row in rows {
            let day = row.values[at].as_time().floor_to(partition::DAY);
            if self.days.insert((table.name, day)) {
                partition::make_day(&self.engine, pieces, day).await?;
            }
        }
        Ok(())
    }

    /// What counts by itself goes on after what was copied: no job gets the number of another, and no queue.
    pub(super) async fn go_on_after(&mut self, last_job: i64) -> Result<(), Error> {
        const JOBS: &str = "SELECT setval(pg_get_serial_sequence('mainstay.job', 'seq'),
            greatest($1, (SELECT max(seq) FROM mainstay.job), 1))";
        const QUEUES: &str = "SELECT setval(pg_get_serial_sequence('mainstay.job_queue', 'id'),
            greatest((SELECT max(id) FROM mainstay.job_queue), 1))";
        let jobs = sqlx::query(JOBS).bind(last_job).execute(&mut self.conn);
        PATIENCE.keep(jobs).await.map_err(broken)?;
        let queues = sqlx::query(QUEUES).execute(&mut self.conn);
        PATIENCE.keep(queues).await.map(drop).map_err(broken)
    }

    /// Notes that both sides are the same: from now on a server may use the database, unless one has begun to use the
    /// files again.
    pub(super) async fn note_proven(&mut self, transfer: &Transfer<'_>) -> Result<(), Error> {
        let now = transfer.clock.now();
        let noted = copied::note(transfer.data_dir, now).await;
        noted.map_err(|error| broken(sqlx::Error::Io(error)))?;
        let text = "UPDATE mainstay.transfers SET proven_at = $2 WHERE source = $1";
        let noted = sqlx::query(text).bind(self.source).bind(Ts(now)).execute(&mut self.conn);
        PATIENCE.keep(noted).await.map(drop).map_err(broken)
    }
}

fn broken(error: sqlx::Error) -> Error {
    crate::Error::new(OP, error).into()
}

pub(super) fn arrays(keys: &[(Uuid, Timestamp)]) -> (Vec<Uuid>, Vec<Ts>) {
    keys.iter().map(|(key, at)| (*key, Ts(*at))).unzip()
}

/// The question for a range. Where both ends are of one site, the time of either end says which days are read.
fn reading(table: &Copied, range: Range<'_>, limit: usize) -> Result<(String, PgArguments), Error> {
    let columns = table.columns.iter().map(|(name, kind)| match kind {
        Kind::Json => format!("{name}::text"),
        Kind::Tiny => format!("{name}::integer"),
        _ => (*name).to_owned(),
    });
    let columns: Vec<_> = columns.collect();
    let key = table.columns[..table.key].iter().map(|(name, kind)| match kind {
        Kind::Text if table.told_order => format!("{name} COLLATE \"C\""),
        _ => (*name).to_owned(),
    });
    let key = key.collect::<Vec<_>>().join(", ");
    let mut args = PgArguments::default();
    let mut conditions = vec!["true".to_owned()];
    for (sign, end) in [(">", range.after), ("<=", range.upto)] {
        let Some(end) = end else { continue };
        let places = end.iter().map(|value| bind(&mut args, value)).collect::<Result<Vec<_>, _>>();
        conditions.push(format!("({key}) {sign} ({})", places.map_err(broken)?.join(", ")));
    }
    if let (Some(at), Some(after), Some(upto)) = (table.at(), range.after, range.upto)
        && at < table.key
        && after[..at] == upto[..at]
    {
        let name = table.columns[at].0;
        let (from, to) = (bind(&mut args, &after[at]), bind(&mut args, &upto[at]));
        let (from, to) = (from.map_err(broken)?, to.map_err(broken)?);
        conditions.push(format!("{name} >= {from} AND {name} <= {to}"));
    }
    let text = format!(
        "SELECT {} FROM mainstay.{} WHERE {} ORDER BY {key} LIMIT {limit}",
        columns.join(", "),
        table.name,
        conditions.join(" AND ")
    );
    Ok((text, args))
}

pub(super) fn bind(args: &mut PgArguments, value: &Value) -> Result<String, sqlx::Error> {
    match value {
        Value::Null => args.add(None::<i64>),
        Value::Text(text) => args.add(text.clone()),
        Value::Id(id) => args.add(*id),
        Value::Int(value) => args.add(*value),
        Value::Real(value) => args.add(*value),
        Value::Flag(flag) => args.add(*flag),
        Value::Time(at) => args.add(Ts(*at)),
        Value::Bytes(bytes) => args.add(bytes.clone()),
    }
    .map_err(sqlx::Error::Encode)?;
    Ok(format!("${}", args.len()))
}
