//! Whether the addresses of databases are some. Connects to nobody.

use super::Check;
use crate::settings::place::KeyPath;

impl Check<'_> {
    pub(super) fn database(&mut self) {
        let database = &self.settings.database;
        for problem in database.list_problems() {
            let at = KeyPath::dotted("database")
                .key(problem.field.split('[').next().unwrap_or("primary"));
            self.complain(&at, problem.why.to_string());
        }
        if database.primary.is_none() && !database.replicas.is_empty() {
            let message = "needs database.primary: replicas alone take no changes";
            self.complain(&KeyPath::dotted("database.replicas"), message);
        }
        if database.pool_min > database.pool_max {
            let message = format!("must not exceed database.pool_max ({})", database.pool_max);
            self.complain(&KeyPath::dotted("database.pool_min"), message);
        }
    }
}
