//! The schema `mainstay`, brought up to date by one process at a time. Refuses a schema that is newer than this program.

use std::sync::Arc;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

use super::node::Place;
use super::settings::Database;
use super::{Cluster, Leased, Node};

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How long it may take, waiting for others who do the same included.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(120);
/// Where sqlx keeps what was applied.
const APPLIED: &str = "mainstay._sqlx_migrations";

/// Held by a session, in which several transactions belong together.
const LOCK: &str = "SELECT pg_advisory_lock(hashtextextended('mainstay migrations', 0))";
const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtextextended('mainstay migrations', 0))";

/// How the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server that takes changes could be reached.
    #[error("no primary can be reached")]
    Away,
    /// No server that takes changes could be reached, for this reason.
    #[error("no primary can be reached: {0}")]
    Unreachable(String),
    /// A pooler in transaction mode stands between, and the way around it is not known.
    #[error("{0} is a pooler in transaction mode: migrations need the direct address")]
    Pooled(String),
    /// The schema is there, but not what must be in it.
    #[error("the partitions of the coming days or the shared secret cannot be made")]
    Unfinished(#[source] crate::Error),
    /// The database refused.
    #[error("the schema cannot be brought up to date")]
    Migrate(#[from] MigrateError),
}

impl Error {
    /// A newer program has been here.
    pub(crate) fn is_newer(&self) -> bool {
        matches!(self, Self::Migrate(MigrateError::VersionMissing(_)))
    }

    /// The schema has steps that this program does not know, or knows in other words: no time mends that.
    pub(crate) fn is_of_another(&self) -> bool {
        self.is_newer() || matches!(self, Self::Migrate(MigrateError::VersionMismatch(_)))
    }

    /// Whether it may succeed later although nobody changes anything.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Away | Self::Unreachable(_) => true,
            Self::Pooled(_) => false,
            Self::Unfinished(error) => error.retryable,
            Self::Migrate(
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
            ) => crate::error::is_passing(error),
            Self::Migrate(_) => false,
        }
    }

    /// The database's words. Holds no address but the host's name.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Migrate(
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
            ) => super::failure::reason(error),
            Self::Migrate(error) => error.to_string(),
            Self::Unfinished(error) => std::error::Error::source(error)
                .map_or_else(|| error.to_string(), ToString::to_string),
            Self::Away | Self::Unreachable(_) | Self::Pooled(_) => self.to_string(),
        }
    }
}

/// How rows of events are kept in daily pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeSeries {
    /// Native partitions.
    Native,
    /// Hypertables.
    Timescale(License),
}

/// What of TimescaleDB may be used, <https://docs.timescale.com/about/latest/timescaledb-editions/>. Hypertables and
/// `drop_chunks`, which is all that is used here, are in both; policies, compression and continuous aggregates are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum License {
    /// What is under the Apache licence.
    Apache,
    /// Everything.
    Community,
}

impl TimeSeries {
    /// As the console and the API name it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native partitions",
            Self::Timescale(License::Apache) => "TimescaleDB (Apache)",
            Self::Timescale(License::Community) => "TimescaleDB (Community)",
        }
    }

    /// As the migrations are told.
    fn as_setting(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Timescale(_) => "timescale",
        }
    }
}

/// Brings the schema up to date on the primary. Others who do the same wait for each other.
pub(crate) async fn run(cluster: &Cluster, settings: &Database) -> Result<(), Error> {
    let primary = cluster.primary().ok_or(Error::Away)?;
    // A server that falls silent in the middle must not keep anybody from trying another.
    let done = tokio::time::timeout(WITHIN, run_on(primary, settings)).await;
    let kept = done.unwrap_or_else(|_| {
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time");
        Err(MigrateError::Execute(sqlx::Error::Io(late)).into())
    })?;
    if cluster.time_series.set(kept).is_ok() {
        tracing::info!(
            node = primary.target.name,
            days = kept.as_str(),
            "the schema is up to date"
        );
    }
    Ok(())
}

async fn run_on(primary: &Arc<Node>, settings: &Database) -> Result<TimeSeries, Error> {
    // One of the pool's: the server may take no more than that.
    let leased = Leased::at(Place::on(primary), None).await;
    let mut leased = leased.map_err(|(_, error)| MigrateError::from(error))?;
    if let Some(words) = primary.target.first_words() {
        let kept = take_steps(leased.conn(), settings).await?;
        // What every session is told: the patience was for the steps alone.
        let told = sqlx::raw_sql(AssertSqlSafe(words)).execute(leased.conn()).await;
        told.map_err(MigrateError::from)?;
        leased.give_back();
        return Ok(kept);
    }
    if let Some(kept) = find_complete(leased.conn()).await? {
        leased.give_back();
        return Ok(kept);
    }
    leased.give_back();
    let mut conn = connect(primary).await?;
    let kept = take_steps(&mut conn, settings).await?;
    sqlx::Connection::close(conn).await.map_err(MigrateError::from)?;
    Ok(kept)
}

/// How days are kept, where no step is missing: then there is nothing that a pooler stands in the way of.
async fn find_complete(conn: &mut PgConnection) -> Result<Option<TimeSeries>, Error> {
    let taken = list_taken(conn).await.map_err(MigrateError::from)?.unwrap_or_default();
    taken.iter().try_for_each(|step| step.check(&POSTGRES))?;
    if !POSTGRES.iter().all(|step| taken.iter().any(|taken| taken.version == step.version)) {
        return Ok(None);
    }
    Ok(find_begun(conn).await.map_err(MigrateError::from)?)
}

/// A step as the database remembers it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Taken {
    pub(crate) version: i64,
    /// Of its words.
    pub(crate) checksum: Vec<u8>,
}

impl Taken {
    /// All there is to know of one, as sqlx's own table has it.
    pub(crate) const COLUMNS: &str = "version, checksum";

    /// Whether this program knows it, in the same words.
    pub(crate) fn check(&self, known: &Migrator) -> Result<(), MigrateError> {
        match known.iter().find(|step| step.version == self.version) {
            None => Err(MigrateError::VersionMissing(self.version)),
            Some(step) if *step.checksum == *self.checksum => Ok(()),
            Some(_) => Err(MigrateError::VersionMismatch(self.version)),
        }
    }
}

/// The steps that were taken; none where nothing is there yet.
pub(crate) async fn list_taken(conn: &mut PgConnection) -> Result<Option<Vec<Taken>>, sqlx::Error> {
    let there = "SELECT to_regclass('mainstay._sqlx_migrations') IS NOT NULL";
    if !sqlx::query_scalar(there).fetch_one(&mut *conn).await? {
        return Ok(None);
    }
    let all = format!("SELECT {} FROM mainstay._sqlx_migrations WHERE success", Taken::COLUMNS);
    sqlx::query_as(AssertSqlSafe(all)).fetch_all(conn).await.map(Some)
}

async fn take_steps(conn: &mut PgConnection, settings: &Database) -> Result<TimeSeries, Error> {
    // A step may take longer than a visitor's question, and so may the wait for another process's.
    let patient = sqlx::query("SELECT set_config('statement_timeout', $1, false)")
        .bind(WITHIN.as_millis().to_string());
    patient.execute(&mut *conn).await.map_err(MigrateError::from)?;
    // Before anything is looked at: of many who start on an empty database the first one chooses for all. Whoever fails
    // gives it back with the connection.
    sqlx::query(LOCK).execute(&mut *conn).await.map_err(MigrateError::from)?;
    let kept = find_time_series(conn, settings.timescale).await.map_err(MigrateError::from)?;
    migrator().run_direct(None, conn, false).await?;
    sqlx::query(UNLOCK).execute(conn).await.map_err(MigrateError::from)?;
    Ok(kept)
}

/// Past the pooler.
async fn connect(primary: &Node) -> Result<PgConnection, Error> {
    let direct: &PgConnectOptions =
        primary.target.direct().ok_or_else(|| Error::Pooled(primary.target.name.clone()))?;
    let connected = primary.pool.shape().connect.keep(direct.connect()).await;
    Ok(connected.map_err(MigrateError::from)?)
}

/// The steps this program knows.
pub(crate) fn known() -> &'static Migrator {
    &POSTGRES
}

fn migrator() -> Migrator {
    let mut migrator = Migrator::with_migrations(POSTGRES.iter().cloned().collect());
    migrator.create_schema("mainstay");
    migrator.dangerous_set_table_name(APPLIED);
    migrator
}

/// Whether the server has TimescaleDB and lets us use it; an installation stays what it began as. Tells the migrations.
async fn find_time_series(
    conn: &mut PgConnection,
    wanted: bool,
) -> Result<TimeSeries, sqlx::Error> {
    let kept = match find_begun(conn).await? {
        Some(begun) => begun,
        None if wanted && has_timescale(conn).await? => {
            TimeSeries::Timescale(find_license(conn).await?)
        }
        None => TimeSeries::Native,
    };
    sqlx::query("SELECT set_config('mainstay.time_series', $1, false)")
        .bind(kept.as_setting())
        .execute(conn)
        .await?;
    Ok(kept)
}

/// How an installation that is there keeps its days.
async fn find_begun(conn: &mut PgConnection) -> Result<Option<TimeSeries>, sqlx::Error> {
    let begun: Option<bool> = sqlx::query_scalar(
        "SELECT c.relkind = 'p' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'mainstay' AND c.relname = 'page_views'",
    )
    .fetch_optional(&mut *conn)
    .await?;
    Ok(match begun {
        None => None,
        Some(true) => Some(TimeSeries::Native),
        Some(false) => Some(TimeSeries::Timescale(find_license(conn).await?)),
    })
}

/// Whoever cannot tell counts on less.
pub(super) async fn find_license(conn: &mut PgConnection) -> Result<License, sqlx::Error> {
    let text = "SELECT current_setting('timescaledb.license', true)";
    let found: Option<String> = sqlx::query_scalar(text).fetch_one(conn).await?;
    Ok(match found.as_deref() {
        Some("timescale") => License::Community,
        _ => License::Apache,
    })
}

/// The extension may be there and not be ours to make: then days are native partitions.
async fn has_timescale(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let offered: bool = sqlx::query_scalar(
        "SELECT exists(SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb')",
    )
    .fetch_one(&mut *conn)
    .await?;
    if !offered {
        return Ok(false);
    }
    match sqlx::query("CREATE EXTENSION IF NOT EXISTS timescaledb").execute(conn).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) => {
            tracing::warn!(%error, "TimescaleDB is there but cannot be used; days are native partitions");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
