//! Opening the store: two files of the data directory, or one PostgreSQL that many share. Brought to the newest schema,
//! refused when they are newer than us. What is damaged or cannot be reached now is away: it is tried again, and the site
//! is served without it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mainstay_base::task::{Group, Stop};
use mainstay_base::{Clock, Entropy, Timestamp};
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::names;
use sqlx::migrate::Migrator;
use tokio::sync::watch;

use crate::postgres::history::Kept;
use crate::postgres::settings::Database;
use crate::postgres::{migrate, partition, upkeep};
use crate::sqlite::{Db, InOp, Shape};
use crate::{Engine, Settings, postgres, token};

pub(crate) mod copied;
mod error;
pub(crate) mod file;
pub(crate) mod node;
mod trying;

pub use error::Error;
pub(crate) use error::classified;

pub(crate) static CORE: Migrator = sqlx::migrate!("migrations/core_sqlite");
pub(crate) static INSIGHT: Migrator = sqlx::migrate!("migrations/insight_sqlite");

/// Something that could not be opened, or does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// `core.db`, `insight.db` or `database`.
    pub part: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// The store's words. Names no path and no address.
    pub reason: String,
}

/// What the store is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Core,
    Insight,
    Database,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Core => "core.db",
            Self::Insight => "insight.db",
            Self::Database => "database",
        }
    }
}

/// Where the store lies.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// How this machine's files are kept.
    pub settings: &'a Settings,
    /// PostgreSQL, when it is used.
    pub database: Option<&'a Database>,
    /// The data directory, which must exist.
    pub data_dir: &'a Path,
    /// The time.
    pub clock: Clock,
    /// Randomness for names.
    pub entropy: Entropy,
}

/// The databases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    core: Engine,
    insight: Engine,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) data_dir: PathBuf,
    pub(crate) spool_dir: PathBuf,
    pub(crate) database: Arc<Database>,
    /// What signs tokens; known once the database is open.
    pub(crate) secret: Arc<OnceLock<token::Secret>>,
    reopen_every: Duration,
    /// When somebody last asked or sent something, in microseconds since the epoch.
    last_use: Arc<AtomicI64>,
    /// Since when no database server takes changes.
    without_primary: Arc<Mutex<Option<Timestamp>>>,
    /// What is away; empty as soon as everything is open.
    away: Arc<watch::Sender<Vec<Away>>>,
}

impl<'a> Place<'a> {
    /// The files of a data directory.
    #[must_use]
    pub fn files(settings: &'a Settings, data_dir: &'a Path, clock: Clock) -> Self {
        Self { settings, database: None, data_dir, clock, entropy: Entropy::System }
    }
}

impl Store {
    /// Opens or creates what the store is made of, and brings it up to date.
    ///
    /// # Errors
    /// See [`Error`]; nothing is left half migrated.
    pub async fn open(place: Place<'_>) -> Result<Self, Error> {
        let store = Self::away(place).await?;
        for part in store.parts() {
            store.open_part(*part).await?;
        }
        store.away.send_replace(Vec::new());
        Ok(store)
    }

    /// Opens what can be opened. What is damaged or cannot be reached now is away: questions and changes to it are
    /// refused as unavailable until [`Store::start_reopening`] gets it open.
    ///
    /// # Errors
    /// A schema that is newer, a file in use, an address that cannot be one: whoever started this process must decide.
    pub async fn open_or_away(place: Place<'_>) -> Result<Self, Error> {
        let store = Self::away(place).await?;
        for part in store.parts() {
            match *part {
                Part::Database => store.try_database_at_start().await?,
                part => store.try_part(part).await?,
            }
        }
        Ok(store)
    }

    async fn away(place: Place<'_>) -> Result<Self, Error> {
        let Place { settings, database, data_dir, clock, entropy } = place;
        let database = database.filter(|database| database.is_set());
        let (core, insight) = if let Some(database) = database {
            let node = node::find_name(data_dir, &clock, &entropy).await?;
            let cluster = database.open()?.knowing(Kept::find(data_dir).await);
            let engine = Engine::Postgres(postgres::Db::new(cluster, node).shut());
            (engine.clone(), engine)
        } else {
            let forgotten = copied::forget(data_dir).await;
            forgotten.map_err(|source| Error::File { path: data_dir.into(), source })?;
            let core = Db::away(&data_dir.join(Part::Core.name()), &Shape::core(settings)).await;
            let file = data_dir.join(Part::Insight.name());
            let insight = Db::away(&file, &Shape::insight(settings)).await;
            (Engine::Sqlite(core), Engine::Sqlite(insight))
        };
        let store = Self {
            core,
            insight,
            spool_dir: data_dir.join("spool"),
            data_dir: data_dir.into(),
            database: Arc::new(database.cloned().unwrap_or_default()),
            secret: Arc::default(),
            reopen_every: settings.reopen_every.0.max(Duration::from_millis(10)),
            last_use: Arc::new(AtomicI64::new(clock.now().as_micros())),
            without_primary: Arc::default(),
            away: Arc::new(watch::Sender::new(Vec::new())),
            clock,
            entropy,
        };
        let since = store.clock.now();
        let away = |part: &Part| Away { part: part.name(), since, reason: "not opened yet".into() };
        store.away.send_replace(store.parts().iter().map(away).collect());
        Ok(store)
    }

    fn parts(&self) -> &'static [Part] {
        match self.core {
            Engine::Sqlite(_) => &[Part::Core, Part::Insight],
            Engine::Postgres(_) => &[Part::Database],
        }
    }

    /// Shows how many connections there are.
    pub fn register(&self, registry: &Registry) {
        let parts = match (&self.core, &self.insight) {
            (Engine::Postgres(_), _) => vec![("database", &self.core)],
            _ => vec![("core", &self.core), ("insight", &self.insight)],
        };
        for (name, engine) in parts {
            let (active, idle) = (engine.clone(), engine.clone());
            let metric = &names::DATABASE_CONNECTIONS;
            registry
                .gauge_fn(metric, &[name, "active"], move || active.count_connections().0 as f64);
            registry.gauge_fn(metric, &[name, "idle"], move || idle.count_connections().1 as f64);
        }
        if let Engine::Postgres(db) = &self.core {
            db.register(registry);
        }
    }

    /// Starts the tasks that try what is away again and again, and that look after the servers.
    pub fn start_reopening(&self, group: &Group) {
        let store = self.clone();
        group.spawn("store reopening", |stop| store.reopen(stop));
        if let Engine::Postgres(db) = &self.core {
            // Who shares the database is not known yet: upkeep finds out.
            db.set_pool_max(self.database.pool_share(usize::MAX));
            db.start_probing(group);
            let store = self.clone();
            group.spawn("database upkeep", |stop| upkeep::run(store, stop));
        }
    }

    /// What is away; nothing in a store that is well.
    #[must_use]
    pub fn list_away(&self) -> Vec<Away> {
        let mut away = self.away.borrow().clone();
        if away.is_empty()
            && let Some(outage) = self.find_outage()
        {
            away.push(outage);
        }
        away
    }

    /// That no server takes changes, since it was first seen.
    pub(crate) fn find_outage(&self) -> Option<Away> {
        let Engine::Postgres(db) = &self.core else { return None };
        let reason = db.why_without_primary();
        let mut since = self.without_primary.lock().unwrap_or_else(PoisonError::into_inner);
        *since = reason.as_ref().map(|_| since.unwrap_or_else(|| self.clock.now()));
        let part = Part::Database.name();
        (*since).zip(reason).map(|(since, reason)| Away { part, since, reason })
    }

    /// Somebody asks or sends something: a database that sleeps is worth waking.
    pub fn note_use(&self) {
        self.last_use.store(self.clock.now().as_micros(), Ordering::Relaxed);
    }

    /// Whether what is done now and then shall be done now. A quiet database is let sleep while nobody asks; what was put
    /// off is done as soon as somebody does.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        let used = Timestamp::from_micros(self.last_use.load(Ordering::Relaxed));
        !self.database.is_quiet() || self.clock.now().since(used) < self.database.quiet_after.0
    }

    /// Whether everything was opened once.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.away.borrow().is_empty()
    }

    fn is_away(&self, part: Part) -> bool {
        self.away.borrow().iter().any(|away| away.part == part.name())
    }

    /// Waits until the events' store is open; false when a soft stop came first.
    pub async fn wait_insight(&self, stop: &Stop) -> bool {
        let mut away = self.away.subscribe();
        let is_open = |all: &Vec<Away>| all.iter().all(|away| away.part == Part::Core.name());
        tokio::select! {
            biased;
            open = away.wait_for(is_open) => open.is_ok(),
            () = stop.soft() => false,
        }
    }

    async fn open_part(&self, part: Part) -> Result<(), Error> {
        match self.find_engine(part) {
            Engine::Sqlite(db) => {
                let migrator = if part == Part::Core { &CORE } else { &INSIGHT };
                file::open(db, migrator).await
            }
            Engine::Postgres(db) => {
                db.probe().await;
                if let Some(reason) = db.why_without_primary() {
                    return Err(migrate::Error::Unreachable(reason).into());
                }
                migrate::run(&db.cluster, &self.database).await?;
                let ahead = self.database.partitions_ahead;
                let opening = Engine::Postgres(db.opening());
                // Told there. Rows of a day that could not be made are kept all the same.
                let _made = partition::make_ahead(&opening, self.clock.now(), ahead).await;
                let secret =
                    self.find_secret(&opening).await.map_err(migrate::Error::Unfinished)?;
                let secret = secret.ok_or(Error::HalfCopied)?;
                self.secret.get_or_init(|| secret);
                db.let_in();
                Ok(())
            }
        }
    }

    fn find_engine(&self, part: Part) -> &Engine {
        if part == Part::Insight { &self.insight } else { &self.core }
    }

    /// Identity, security, configuration.
    #[must_use]
    pub fn core(&self) -> &Engine {
        &self.core
    }

    /// Visitors' events and the server's metrics.
    #[must_use]
    pub fn insight(&self) -> &Engine {
        &self.insight
    }

    /// Ends the connections; files are checkpointed. Called once, after everybody who uses them has stopped.
    ///
    /// # Errors
    /// [`crate::Error`] when the last checkpoint fails; committed data is safe in the log all the same.
    pub async fn close(&self) -> Result<(), crate::Error> {
        for engine in [&self.core, &self.insight] {
            match engine {
                Engine::Sqlite(db) => db.close().await.in_op("store.close")?,
                Engine::Postgres(db) => db.close().await,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
