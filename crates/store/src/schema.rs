//! The schema of a store: which steps were taken, which are missing, and taking them without starting anything.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::open::{CORE, Error, INSIGHT, classified, node};
use crate::postgres::history::Kept;
use crate::postgres::settings::Database;
use crate::postgres::{Db, migrate, partition};
use crate::sqlite::{Shape, options};
use crate::{Engine, Place, Store};

/// A step of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub version: i64,
    /// What it is about.
    pub name: String,
}

/// How a part of the store stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// `core.db`, `insight.db` or `database`.
    pub part: &'static str,
    /// The newest step taken; none: nothing is there yet.
    pub found: Option<i64>,
    /// Steps that are missing.
    pub missing: Vec<Step>,
}

/// The newest version a program knows.
pub(crate) fn newest(known: &Migrator) -> i64 {
    known.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// How the store stands. Changes nothing.
///
/// # Errors
/// See [`Error`]; a schema that is newer than this version is one.
pub async fn look(place: &Place<'_>) -> Result<Vec<State>, Error> {
    match place.database.filter(|database| database.is_set()) {
        Some(database) => {
            let history = Kept::find(place.data_dir).await.only_to_look();
            Ok(vec![look_at_database(&reach(place, database, history).await?).await?])
        }
        None => {
            let (core, insight) = (Shape::core(place.settings), Shape::insight(place.settings));
            Ok(vec![
                look_at_file(place.data_dir, "core.db", &core, &CORE).await?,
                look_at_file(place.data_dir, "insight.db", &insight, &INSIGHT).await?,
            ])
        }
    }
}

/// What became of a store whose missing steps were taken.
#[derive(Debug)]
pub struct Taken {
    /// How it stood before.
    pub before: Vec<State>,
    /// Why coming days have no partition yet, where one has none. Servers make them as well, and nothing waits for that.
    pub without_days: Option<crate::Error>,
}

/// Takes the missing steps.
///
/// # Errors
/// See [`Error`]; no step is left half taken.
pub async fn bring_up_to_date(place: Place<'_>) -> Result<Taken, Error> {
    let before = look(&place).await?;
    let mut without_days = None;
    match place.database.filter(|database| database.is_set()) {
        Some(database) => {
            let history = Kept::find(place.data_dir).await;
            let db = reach(&place, database, history).await?;
            migrate::run(&db.cluster, database).await?;
            let (engine, now) = (Engine::Postgres(db), place.clock.now());
            let made = partition::make_ahead(&engine, now, database.partitions_ahead).await;
            without_days = made.err();
        }
        None => {
            let store = Store::open(place).await?;
            // A file that cannot be closed in order loses nothing: its log is read by whoever opens it next.
            if let Err(error) = store.close().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "not closed in order");
            }
        }
    }
    Ok(Taken { before, without_days })
}

/// Rows of one table that lie in no partition of their day.
#[derive(Debug)]
pub struct Strays {
    /// Its name.
    pub table: &'static str,
    /// How many; of those that were only counted a million at most.
    pub rows: u64,
    /// Why they stay where they are.
    pub kept: Option<crate::Error>,
}

/// What lies in no partition of its day; nothing on files, in a database without a schema, and where TimescaleDB keeps the
/// days. Changes nothing.
///
/// # Errors
/// See [`Error`].
pub async fn list_strays(place: &Place<'_>) -> Result<Vec<Strays>, Error> {
    let history = Kept::find(place.data_dir).await.only_to_look();
    let Some(db) = reach_strays(place, history).await? else { return Ok(Vec::new()) };
    let listed = partition::list_strays(&db).await.map_err(migrate::Error::Unfinished)?;
    let told = |(table, rows): (_, i64)| Strays { table, rows: rows.cast_unsigned(), kept: None };
    Ok(listed.into_iter().map(told).filter(|strays| strays.rows > 0).collect())
}

/// Puts them into partitions of their days, beside servers that go on.
///
/// # Errors
/// See [`Error`]; what is in the way of one table is told with it.
pub async fn split(place: &Place<'_>) -> Result<Vec<Strays>, Error> {
    let history = Kept::find(place.data_dir).await;
    let Some(db) = reach_strays(place, history).await? else { return Ok(Vec::new()) };
    let split = partition::split_defaults(&db, || true).await;
    let told = |(table, split): (_, Result<u64, _>)| match split {
        Ok(rows) => Strays { table, rows, kept: None },
        Err(error) => Strays { table, rows: 0, kept: Some(error) },
    };
    Ok(split.map_err(migrate::Error::Unfinished)?.into_iter().map(told).collect())
}

async fn reach_strays(place: &Place<'_>, history: Kept) -> Result<Option<Db>, Error> {
    let Some(database) = place.database.filter(|database| database.is_set()) else {
        return Ok(None);
    };
    let db = reach(place, database, history).await?;
    let is_there = look_at_database(&db).await?.found.is_some();
    Ok(is_there.then_some(db))
}

async fn reach(place: &Place<'_>, database: &Database, history: Kept) -> Result<Db, Error> {
    let name = node::find_kept(place.data_dir).await.unwrap_or_default().to_string();
    let cluster = database.open()?.knowing(history);
    let db = Db::new(cluster, name.into());
    db.probe().await;
    match db.why_without_primary() {
        None => Ok(db),
        Some(reason) => Err(migrate::Error::Unreachable(reason).into()),
    }
}

async fn look_at_database(db: &Db) -> Result<State, Error> {
    const OP: &str = "schema.look";
    let failed = |error: crate::Error| Error::from(migrate::Error::Unfinished(error));
    let mut leased = db.writing(OP).await.map_err(failed)?;
    let taken = db.within(migrate::list_taken(leased.conn())).await;
    let taken = db.settle_write(OP, leased, taken).map_err(failed)?;
    state("database", taken, migrate::known()).map_err(|error| migrate::Error::from(error).into())
}

async fn look_at_file(
    dir: &Path,
    part: &'static str,
    shape: &Shape,
    known: &Migrator,
) -> Result<State, Error> {
    let path = dir.join(part);
    let length = tokio::fs::metadata(&path).await.map_or(0, |file| file.len());
    let mut taken = None;
    if length > 0 {
        let read = async {
            let mut conn = options::reader(&path, shape).connect().await?;
            let there = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
            let there: i64 = sqlx::query_scalar(there).fetch_one(&mut conn).await?;
            if there == 0 {
                return Ok(None);
            }
            let all =
                format!("SELECT {} FROM _sqlx_migrations WHERE success", migrate::Taken::COLUMNS);
            sqlx::query_as(AssertSqlSafe(all)).fetch_all(&mut conn).await.map(Some)
        };
        taken = read.await.map_err(|source: sqlx::Error| Error::Open {
            path: path.clone(),
            source: MigrateError::Execute(source),
        })?;
    }
    state(part, taken, known).map_err(|error| classified(path, error))
}

/// How it stands; a step that this version does not know, or knows in other words, is an error.
fn state(
    part: &'static str,
    taken: Option<Vec<migrate::Taken>>,
    known: &Migrator,
) -> Result<State, MigrateError> {
    let versions =
        |taken: &[migrate::Taken]| taken.iter().map(|step| step.version).collect::<Vec<_>>();
    let found = taken.as_ref().map(|taken| versions(taken).into_iter().max().unwrap_or(0));
    let taken = taken.unwrap_or_default();
    taken.iter().try_for_each(|step| step.check(known))?;
    let taken = versions(&taken);
    let missing = known.iter().filter(|migration| !taken.contains(&migration.version));
    let step = |migration: &sqlx::migrate::Migration| Step {
        version: migration.version,
        name: migration.description.to_string(),
    };
    Ok(State { part, found, missing: missing.map(step).collect() })
}

#[cfg(test)]
mod tests;
