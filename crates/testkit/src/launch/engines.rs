//! PostgreSQL and a Redis Cluster for a server under test, from those the whole run shares. The primary alone is named: what a
//! test has sent over a connection of its own, a replica may not have yet.

use std::path::Path;

use crate::{Postgres, RedisCluster};

/// The database's name is kept beside the data dir, which must be empty or a server's own.
const BESIDE: &str = "database";

/// What the server is told, under the names that deployments use.
pub(super) fn variables(data_dir: &Path) -> Vec<(String, String)> {
    let postgres = Postgres::shared();
    let kept = data_dir.with_extension(BESIDE);
    let database = std::fs::read_to_string(&kept).unwrap_or_else(|_| {
        let fresh = postgres.create_database();
        std::fs::write(&kept, &fresh).expect("a file");
        fresh
    });
    let mut variables = vec![
        ("DATABASE_PRIMARY_URL".to_owned(), postgres.primary_url(&database)),
        ("MAINSTAY_DATABASE__POOL_MIN".to_owned(), "1".to_owned()),
        ("MAINSTAY_DATABASE__POOL_MAX".to_owned(), "4".to_owned()),
        ("MAINSTAY_REDIS__NAMESPACE".to_owned(), database.clone()),
    ];
    for (number, address) in RedisCluster::shared().iter().enumerate() {
        let name = |what| format!("REDIS_NODE_{}_{what}", number + 1);
        variables.push((name("HOST"), address.ip().to_string()));
        variables.push((name("PORT"), address.port().to_string()));
    }
    variables
}
