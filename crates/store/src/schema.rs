//! The schema of a store: which steps were taken, which are missing, and taking them without starting anything.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::open::{CORE, Error, INSIGHT, node};
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

/// Takes the missing steps; how the store stood before.
///
/// # Errors
/// See [`Error`]; no step is left half taken.
pub async fn bring_up_to_date(place: Place<'_>) -> Result<Vec<State>, Error> {
    let before = look(&place).await?;
    match place.database.filter(|database| database.is_set()) {
        Some(database) => {
            let history = Kept::find(place.data_dir).await;
            let db = reach(&place, database, history).await?;
            migrate::run(&db.cluster, database).await?;
            let (engine, now) = (Engine::Postgres(db), place.clock.now());
            let made = partition::make_ahead(&engine, now, database.partitions_ahead).await;
            made.map_err(migrate::Error::Unfinished)?;
        }
        None => {
            let store = Store::open(place).await?;
            // A file that cannot be closed in order loses nothing: its log is read by whoever opens it next.
            if let Err(error) = store.close().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "not closed in order");
            }
        }
    }
    Ok(before)
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
    match state("database", taken, migrate::known()) {
        Ok(state) => Ok(state),
        Err(version) => Err(migrate::Error::from(MigrateError::VersionMissing(version)).into()),
    }
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
            let all = AssertSqlSafe("SELECT version FROM _sqlx_migrations WHERE success");
            if there == 0 {
                Ok(None)
            } else {
                sqlx::query_scalar(all).fetch_all(&mut conn).await.map(Some)
            }
        };
        taken = read.await.map_err(|source: sqlx::Error| Error::Open {
            path: path.clone(),
            source: MigrateError::Execute(source),
        })?;
    }
    state(part, taken, known).map_err(|version| Error::Newer { path, version })
}

/// How it stands, or the step that this version does not know.
fn state(part: &'static str, taken: Option<Vec<i64>>, known: &Migrator) -> Result<State, i64> {
    let found = taken.as_ref().map(|taken| taken.iter().copied().max().unwrap_or(0));
    let taken = taken.unwrap_or_default();
    let is_known = |version: &i64| known.iter().any(|migration| migration.version == *version);
    if let Some(version) = taken.iter().copied().find(|version| !is_known(version)) {
        return Err(version);
    }
    let missing = known.iter().filter(|migration| !taken.contains(&migration.version));
    let step = |migration: &sqlx::migrate::Migration| Step {
        version: migration.version,
        name: migration.description.to_string(),
    };
    Ok(State { part, found, missing: missing.map(step).collect() })
}
