//! PostgreSQL with replicas and a Redis Cluster for a server under test, from those the whole run shares. A commit is
//! answered once every replica shows it (`synchronous_commit = remote_apply`): a test reads what was acknowledged over
//! whatever connection, and the replicas answer.

use std::path::Path;

use crate::metrics::Metrics;
use crate::{Postgres, RedisCluster, SharedPostgres};

/// The database's name is kept beside the data dir, which must be empty or a server's own.
const BESIDE: &str = "database";

/// Redis as the server is told of it, under the names that deployments use; keys of its own like its database.
pub(super) fn list_redis(data_dir: &Path) -> Vec<(String, String)> {
    let mut variables = vec![("MAINSTAY_REDIS__NAMESPACE".to_owned(), database(data_dir))];
    for (number, address) in RedisCluster::shared().iter().enumerate() {
        let name = |what| format!("REDIS_NODE_{}_{what}", number + 1);
        variables.push((name("HOST"), address.ip().to_string()));
        variables.push((name("PORT"), address.port().to_string()));
    }
    variables
}

/// The same of PostgreSQL.
pub(super) fn list_postgres(data_dir: &Path) -> Vec<(String, String)> {
    let (postgres, database) = (Postgres::shared(), database(data_dir));
    let mut variables = vec![
        ("DATABASE_PRIMARY_URL".to_owned(), postgres.primary_url(&database)),
        ("MAINSTAY_DATABASE__POOL_MIN".to_owned(), "1".to_owned()),
        ("MAINSTAY_DATABASE__POOL_MAX".to_owned(), "4".to_owned()),
    ];
    for (number, url) in postgres.replica_urls(&database).into_iter().enumerate() {
        variables.push((format!("DATABASE_REPLICA_{}_URL", number + 1), url));
    }
    variables
}

/// The database of who has used this data dir.
pub(crate) fn find_database(data_dir: &Path) -> Option<String> {
    std::fs::read_to_string(data_dir.with_extension(BESIDE)).ok()
}

fn database(data_dir: &Path) -> String {
    find_database(data_dir).unwrap_or_else(|| {
        let fresh = Postgres::shared().create_synchronous_database();
        std::fs::write(data_dir.with_extension(BESIDE), &fresh).expect("a file");
        fresh
    })
}

/// Whether the server asks all of them: one that was told of the primary alone would pass every test as well.
pub(super) fn has_all(metrics: &Metrics) -> bool {
    let servers = metrics.value("mainstay_database_up", &[]);
    (servers - (1 + SharedPostgres::REPLICAS) as f64).abs() < 1e-9
}
