//! Tables of days that are filled, and not attached yet. They bear a constraint that says so, by which they are told from a
//! day that somebody detached to keep it.

use mainstay_base::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{Names, run_text};
use crate::Ts;
use crate::postgres::partition::{Pieces, day_of, piece_name};

/// Days that are put in their place at once.
pub(super) const DAYS_MAX: usize = 366;

impl Names {
    /// The tables of those days that a question finds, made where they are missing; none of a day that is attached, which
    /// then has all rows of it. Nothing at all where there would be too many.
    pub(super) async fn find_or_make(
        &self,
        conn: &mut PgConnection,
        days: String,
    ) -> Result<Option<Vec<(Timestamp, String)>>, sqlx::Error> {
        let Pieces { table, .. } = self.pieces;
        let days = sqlx::query_scalar(AssertSqlSafe(days)).persistent(false);
        let days: Vec<Ts> = days.fetch_all(&mut *conn).await?;
        let days: Vec<_> = days.into_iter().map(Timestamp::from).collect();
        let names: Vec<_> = days.iter().map(|day| piece_name(table, *day)).collect();
        let found = "SELECT c.relname::text, c.relispartition, EXISTS (
                SELECT FROM pg_constraint o WHERE o.conrelid = c.oid AND o.conname = 'of_day')
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'mainstay' AND c.relname::text = ANY ($1)";
        let found: Vec<(String, bool, bool)> =
            sqlx::query_as(found).bind(&names).fetch_all(&mut *conn).await?;
        let (mut tables, mut missing) = (Vec::new(), Vec::new());
        for (day, name) in days.into_iter().zip(names) {
            match found.iter().find(|(found, ..)| *found == name) {
                Some((_, true, _)) => continue,
                Some((_, false, true)) => {}
                Some((_, false, false)) => return Err(not_ours(table, &name)),
                None => missing.push(format!(
                    "CREATE TABLE mainstay.{name} (LIKE mainstay.{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES,
                     CONSTRAINT of_day CHECK ({}))",
                    self.within(day)
                )),
            }
            tables.push((day, format!("mainstay.{name}")));
        }
        if !missing.is_empty() {
            if self.list_own(conn).await?.len() + missing.len() > DAYS_MAX {
                return Ok(None);
            }
            run_text(conn, &missing.join("; ")).await?;
        }
        Ok(Some(tables))
    }

    /// The names of all such tables.
    pub(super) async fn list_own(
        &self,
        conn: &mut PgConnection,
    ) -> Result<Vec<String>, sqlx::Error> {
        let all = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_constraint o ON o.conrelid = c.oid AND o.conname = 'of_day'
            WHERE n.nspname = 'mainstay' AND c.relkind = 'r' AND NOT c.relispartition AND starts_with(c.relname::text, $1)";
        let Pieces { table, .. } = self.pieces;
        let all: Vec<String> =
            sqlx::query_scalar(all).bind(format!("{table}_p")).fetch_all(conn).await?;
        Ok(all.into_iter().filter(|name| day_of(name, table).is_some()).collect())
    }

    /// Rows of more days lie in the default than are put in their place at once. What was deleted there meanwhile makes
    /// room.
    pub(super) async fn make_room(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.work_off(conn).await? > 0 {
            return Ok(());
        }
        let own = self.list_own(conn).await?;
        let is_empty = |name: &String| {
            format!("SELECT '{name}' WHERE NOT EXISTS (SELECT FROM mainstay.{name})")
        };
        let empty = own.iter().map(is_empty).collect::<Vec<_>>().join(" UNION ALL ");
        let empty = sqlx::query_scalar(AssertSqlSafe(empty)).persistent(false);
        let empty: Vec<String> = empty.fetch_all(&mut *conn).await?;
        if empty.is_empty() {
            return Err(self.too_many_days());
        }
        let drop = |name: &String| format!("DROP TABLE mainstay.{name}");
        run_text(conn, &empty.iter().map(drop).collect::<Vec<_>>().join("; ")).await.map(|_| ())
    }

    pub(super) fn too_many_days(&self) -> sqlx::Error {
        let Self { default, pieces: Pieces { at, .. }, .. } = self;
        refusal(format!(
            "rows of more than {DAYS_MAX} days lie in {default}: delete those of days that are not needed (DELETE FROM {default} WHERE {at} < …), or wait for retention to do it; then the rest is put in its place"
        ))
    }
}

fn not_ours(table: &str, name: &str) -> sqlx::Error {
    refusal(format!(
        "mainstay.{name} has the name of a day and is no partition of mainstay.{table}, so that rows of that day have no place: attach it again, or, where it was detached to be kept, rename it or move it to another schema (ALTER TABLE mainstay.{name} SET SCHEMA …)"
    ))
}

fn refusal(said: String) -> sqlx::Error {
    sqlx::Error::Configuration(said.into())
}
