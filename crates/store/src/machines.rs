//! What the store stands on, as health and the console show it: database servers, or files of this machine. Changes nothing.

use std::path::Path;

use uuid::Uuid;

use crate::open::file::log_of;
use crate::{Engine, NodeView, Store, postgres};

/// One file of the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileView {
    /// Its name in the data directory.
    pub name: &'static str,
    /// Why it cannot be used, when it cannot.
    pub reason: Option<String>,
    /// Bytes of the file itself; none where it cannot be read.
    pub size: Option<u64>,
    /// Bytes of its write-ahead log.
    pub wal_size: u64,
    /// Connections in use.
    pub connections_active: usize,
    /// Open connections that are not in use.
    pub connections_idle: usize,
}

impl Store {
    /// Whether other processes can share it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.core(), Engine::Postgres(_))
    }

    /// The name of this process among those that share the database; none where there is nothing to share.
    #[must_use]
    pub fn process_id(&self) -> Option<Uuid> {
        match self.core() {
            Engine::Sqlite(_) => None,
            Engine::Postgres(db) => Uuid::parse_str(db.node()).ok(),
        }
    }

    /// Where this process runs, as its settings say.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.database.region.as_deref()
    }

    /// The database servers, in the order of the settings; none where rows are kept in files. Memory reads only.
    #[must_use]
    pub fn list_servers(&self) -> Vec<NodeView> {
        match self.core() {
            Engine::Sqlite(_) => Vec::new(),
            Engine::Postgres(db) => postgres::list_nodes(db),
        }
    }

    /// The files; none where rows are kept by database servers.
    pub async fn list_files(&self) -> Vec<FileView> {
        let away = self.list_away();
        let mut files = Vec::new();
        for (name, engine) in [("core.db", self.core()), ("insight.db", self.insight())] {
            let Engine::Sqlite(db) = engine else { continue };
            let (connections_active, connections_idle) = engine.count_connections();
            files.push(FileView {
                name,
                reason: away.iter().find(|away| away.part == name).map(|away| away.reason.clone()),
                size: size(db.path()).await,
                wal_size: size(&log_of(db.path())).await.unwrap_or(0),
                connections_active,
                connections_idle,
            });
        }
        files
    }
}

async fn size(path: &Path) -> Option<u64> {
    Some(tokio::fs::metadata(path).await.ok()?.len())
}
