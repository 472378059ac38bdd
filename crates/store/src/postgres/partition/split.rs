//! What fell into the default partition, put into partitions of its days while everybody reads and writes on.
//!
//! A day cannot be attached while the default holds rows of it, and rows of a table that is not attached are seen by
//! nobody. So nothing is taken out of the default: its rows are copied into tables of their days, a bounded number per
//! transaction, while a trigger notes the keys of what changes there meanwhile. Once nearly nothing is left to do, a short
//! transaction puts the days and a new default in the place of the old one. It looks at no row: the days bear constraints
//! that say what is in them, and the new default is empty.
//!
//! # Invariants
//! - What is asked finds every row once, at every moment: in the default before, in its day after.
//! - How far it has come lies in the database, and each step is one transaction under one lock. Killed anywhere, it goes
//!   on from there, whoever takes the next step; several take turns.
//! - What is copied is of the default and the table as they are: where they were changed meanwhile (a migration, TRUNCATE,
//!   VACUUM FULL) it is copied anew.

use std::time::Duration;

use mainstay_base::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{Pieces, day_of};
use crate::Error;
use crate::postgres::{Db, Patience};

mod anew;
mod days;

const OP: &str = "partition.split";

/// How long a step may take: its own measure, and not a visitor's. The server gives up first.
const WITHIN: Patience = Patience(Duration::from_secs(35));
const BEGIN: [&str; 3] = [
    "SET LOCAL statement_timeout = '30s'",
    super::ONE_AT_A_TIME,
    // Long enough for the server to end an automatic VACUUM that holds the same lock, which keeps out nobody else.
    "SET LOCAL lock_timeout = '2s'",
];
/// Blocks of the default that are copied in one step: a megabyte, and no more than 30 000 rows.
const BLOCKS: i64 = 128;
/// Noted keys that are worked off in one step.
const KEYS: i64 = 5_000;
/// With no more noted keys than this the default is replaced: they are worked off while everybody waits.
const FEW_KEYS: i64 = 500;
/// How long whoever replaces the default may stand still, and keep everybody out, before the server ends it.
const IDLE_WITHIN: &str = "SET LOCAL idle_in_transaction_session_timeout = '5s'";
/// How often a lock is tried for, and the pause between.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is nothing to do.
    Nothing,
    /// From now on changes are noted.
    Begun,
    /// Rows were copied, or noted changes worked off.
    Went,
    /// As many rows as were copied are in partitions of their days, and the default is empty.
    Done(u64),
}

/// How far the rows of the default are copied.
enum Copied {
    Some,
    All,
    /// They are of more days than are put in their place at once.
    TooManyDays,
}

/// Takes steps until there is nothing to do, or `may_go_on` says no; answers how many rows were put in their place.
///
/// # Errors
/// [`Error`] when the store cannot answer, or others kept the table busy all the time: the next call goes on from here.
pub(crate) async fn run(
    db: &Db,
    pieces: Pieces,
    may_go_on: impl Fn() -> bool,
) -> Result<u64, Error> {
    let mut tries = 0;
    while may_go_on() {
        match step(db, pieces).await {
            Ok(Step::Nothing) => break,
            Ok(Step::Begun | Step::Went) => tries = 0,
            Ok(Step::Done(rows)) => return Ok(rows),
            Err(error) if error.is_of_a_moment() && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}

/// Takes the next step, whichever that is.
pub(crate) async fn step(db: &Db, pieces: Pieces) -> Result<Step, Error> {
    let mut leased = db.begin(OP).await?;
    let names = Names::of(pieces);
    match WITHIN.keep(names.take_step(leased.conn())).await {
        Ok(step) => {
            leased.give_back();
            Ok(step)
        }
        // Whatever was begun ends with its connection.
        Err(error) => {
            db.cluster.note(leased.node(), &error);
            Err(Error::new(OP, error))
        }
    }
}

/// What is there of one table while its default is split.
struct Names {
    pieces: Pieces,
    default: String,
    /// One row: which file the default is, the next block to be copied, where it ended at first, rows copied.
    moving: String,
    /// Keys of what changed since.
    changed: String,
    /// The trigger's function.
    note: String,
}

impl Names {
    fn of(pieces: Pieces) -> Self {
        let default = format!("mainstay.{}_default", pieces.table);
        Self {
            pieces,
            moving: format!("{default}_moving"),
            changed: format!("{default}_changed"),
            note: format!("{default}_note"),
            default,
        }
    }

    async fn take_step(&self, conn: &mut PgConnection) -> Result<Step, sqlx::Error> {
        let step = self.choose_step(conn).await?;
        // The last one brings its own, in the text that is sent while everybody waits.
        if !matches!(step, Step::Done(_)) {
            run_text(conn, "COMMIT").await?;
        }
        Ok(step)
    }

    async fn choose_step(&self, conn: &mut PgConnection) -> Result<Step, sqlx::Error> {
        for text in BEGIN {
            run_text(conn, text).await?;
        }
        let exists = format!("SELECT to_regclass('{}') IS NOT NULL", self.moving);
        if !ask_text::<bool>(conn, exists).await? {
            let any = format!("SELECT EXISTS (SELECT FROM {})", self.default);
            if !ask_text::<bool>(conn, any).await? {
                return Ok(Step::Nothing);
            }
            self.begin(conn).await?;
            return Ok(Step::Begun);
        }
        if self.begin_anew_if_changed(conn).await? {
            return Ok(Step::Went);
        }
        match self.copy(conn).await? {
            Copied::Some => return Ok(Step::Went),
            Copied::TooManyDays => return self.make_room(conn).await.map(|()| Step::Went),
            Copied::All => {}
        }
        // The few are worked off before anybody waits as well: then what came in a moment is left.
        if self.work_off(conn).await? > FEW_KEYS.cast_unsigned()
            || self.has_more(conn, FEW_KEYS).await?
        {
            return Ok(Step::Went);
        }
        self.replace_default(conn).await
    }

    /// Whether more keys are noted than so many.
    async fn has_more(&self, conn: &mut PgConnection, few: i64) -> Result<bool, sqlx::Error> {
        let more = format!(
            "SELECT count(*) FROM (SELECT FROM {} LIMIT {}) AS noted",
            self.changed,
            few + 1
        );
        Ok(ask_text::<i64>(conn, more).await? > few)
    }

    /// From the moment on in which the lock is had, every change of the default is noted; who changed something before is
    /// waited for. What lies in the default at that moment is what is to be copied.
    async fn begin(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let Self { default, moving, changed, note, .. } = self;
        let key = self.key(conn).await?;
        let columns = list(&key, |column| column.to_owned());
        let values = |of: &str| list(&key, |column| format!("{of}.{column}"));
        let (old, new) = (values("OLD"), values("NEW"));
        self.lock_default(conn).await?;
        for text in [
            format!(
                "CREATE TABLE {changed} AS SELECT {columns}, false AS taken FROM {default} WITH NO DATA"
            ),
            format!(
                "CREATE OR REPLACE FUNCTION {note}() RETURNS trigger LANGUAGE plpgsql AS $note$
                 BEGIN
                    IF TG_OP <> 'INSERT' THEN
                        INSERT INTO {changed} ({columns}, taken) VALUES ({old}, false);
                    END IF;
                    IF TG_OP <> 'DELETE' THEN
                        INSERT INTO {changed} ({columns}, taken) VALUES ({new}, false);
                    END IF;
                    RETURN NULL;
                 END $note$"
            ),
            format!(
                "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {default}
                 FOR EACH ROW EXECUTE FUNCTION {note}()"
            ),
            format!(
                "CREATE TABLE {moving} AS SELECT {FILE} AS file, 0::bigint AS next, {SIZE} AS blocks, 0::bigint AS copied
                 FROM pg_class WHERE oid = '{default}'::regclass"
            ),
        ] {
            run_text(conn, &text).await?;
        }
        let shape: String = ask_text(conn, format!("SELECT {}", self.shape())).await?;
        run_text(conn, &format!("COMMENT ON TABLE {moving} IS '{shape}'")).await.map(drop)
    }

    /// Copies the next blocks, if any are left. Rows that were written since lie behind them or were noted.
    async fn copy(&self, conn: &mut PgConnection) -> Result<Copied, sqlx::Error> {
        let Self { default, moving, pieces: Pieces { at, .. }, .. } = self;
        let far = format!("SELECT next, blocks FROM {moving}");
        let (next, blocks): (i64, i64) =
            sqlx::query_as(AssertSqlSafe(far)).fetch_one(&mut *conn).await?;
        if next >= blocks {
            return Ok(Copied::All);
        }
        let end = next + BLOCKS;
        let here = format!("ctid >= '({next},0)'::tid AND ctid < '({end},0)'::tid");
        let days =
            format!("SELECT DISTINCT date_trunc('day', {at}, 'UTC') FROM {default} WHERE {here}");
        let Some(days) = self.find_or_make(conn, days).await? else {
            return Ok(Copied::TooManyDays);
        };
        let mut copied = 0;
        for (day, piece) in days {
            let within = self.within(day);
            let copy = format!(
                "INSERT INTO {piece} SELECT * FROM {default} WHERE {here} AND {within} ON CONFLICT DO NOTHING"
            );
            copied += run_text(conn, &copy).await?;
        }
        let far = format!("UPDATE {moving} SET next = {end}, copied = copied + {copied}");
        run_text(conn, &far).await?;
        Ok(Copied::Some)
    }

    /// Makes the days' tables say of some noted keys what the default says of them; answers how many those were. The same
    /// number of questions however many days they are of: others may wait.
    async fn work_off(&self, conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let Self { default, changed, pieces: Pieces { at, .. }, .. } = self;
        // Marked: what others note meanwhile is not among them, whenever it becomes visible.
        let take = format!(
            "UPDATE {changed} SET taken = true
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM {changed} WHERE NOT taken LIMIT {KEYS}))"
        );
        let taken = run_text(conn, &take).await?;
        if taken == 0 {
            return Ok(0);
        }
        let key = self.key(conn).await?;
        let columns = list(&key, |column| column.to_owned());
        let alike = |of: &str| {
            let alike: Vec<_> =
                key.iter().map(|column| format!("{of}.{column} = noted.{column}")).collect();
            alike.join(" AND ")
        };
        let (in_piece, in_default) = (alike("piece"), alike("kept"));
        let days =
            format!("SELECT DISTINCT date_trunc('day', {at}, 'UTC') FROM {changed} WHERE taken");
        let days = self.find_or_make(conn, days).await?.ok_or_else(|| self.too_many_days())?;
        // By its key each, however few rows the planner believes there are.
        let mut texts = turn_planner("off");
        for (day, piece) in days {
            let noted = format!(
                "(SELECT DISTINCT {columns} FROM {changed} WHERE taken AND {}) AS noted",
                self.within(day)
            );
            texts.extend([
                format!("DELETE FROM {piece} AS piece USING {noted} WHERE {in_piece}"),
                format!(
                    "INSERT INTO {piece} SELECT kept.* FROM {noted} JOIN {default} AS kept ON {in_default}"
                ),
            ]);
        }
        texts.push(format!("DELETE FROM {changed} WHERE taken"));
        texts.extend(turn_planner("on"));
        run_text(conn, &texts.join("; ")).await?;
        Ok(taken)
    }

    /// The moment in which everybody waits: for the last noted keys, and for names to change hands, which is asked for in
    /// one text, however many days there are.
    async fn replace_default(&self, conn: &mut PgConnection) -> Result<Step, sqlx::Error> {
        let Self { default, moving, changed, note, pieces: Pieces { table, .. } } = self;
        self.lock_default(conn).await?;
        run_text(conn, IDLE_WITHIN).await?;
        // The default as well: somebody may write to it by its own name.
        let lock = format!("LOCK TABLE ONLY mainstay.{table}, {default} IN ACCESS EXCLUSIVE MODE");
        run_text(conn, &lock).await?;
        // What was committed while the lock was waited for is seen from here on: more than a load writes in that time, and so
        // somebody's large statement, is worked off before.
        if self.begin_anew_if_changed(conn).await? || self.has_more(conn, KEYS).await? {
            return Ok(Step::Went);
        }
        while self.work_off(conn).await? > 0 {}
        let copied: i64 = ask_text(conn, format!("SELECT copied FROM {moving}")).await?;
        let mut texts = vec![
            format!("ALTER TABLE mainstay.{table} DETACH PARTITION {default}"),
            format!("DROP TABLE {default}, {moving}, {changed}"),
            format!("DROP FUNCTION {note}()"),
        ];
        for name in self.list_own(conn).await? {
            let Some(day) = day_of(&name, table) else { continue };
            let (from, to) = super::ends(day);
            texts.extend([
                format!(
                    "ALTER TABLE mainstay.{table} ATTACH PARTITION mainstay.{name} FOR VALUES FROM ('{from}') TO ('{to}')"
                ),
                format!("ALTER TABLE mainstay.{name} DROP CONSTRAINT of_day"),
            ]);
        }
        texts.push(format!("CREATE TABLE {default} PARTITION OF mainstay.{table} DEFAULT"));
        texts.push("COMMIT".to_owned());
        run_text(conn, &texts.join("; ")).await?;
        Ok(Step::Done(copied.cast_unsigned()))
    }

    /// What changes the default's shape waits for one another, and for those who have changed its rows for a moment only.
    async fn lock_default(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let lock = format!("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE", self.default);
        run_text(conn, &lock).await?;
        run_text(conn, super::LOCK_TIMEOUT).await.map(drop)
    }

    /// The columns that tell one row from another.
    async fn key(&self, conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
        let key = "SELECT quote_ident(a.attname) FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = to_regclass($1) AND i.indisprimary ORDER BY a.attnum";
        sqlx::query_scalar(key).bind(&self.default).fetch_all(conn).await
    }

    fn within(&self, day: Timestamp) -> String {
        let ((from, to), at) = (super::ends(day), self.pieces.at);
        format!("{at} >= '{from}' AND {at} < '{to}'")
    }
}

/// Of the default's row in `pg_class`: the file it lies in, and how many blocks that has.
const FILE: &str = "pg_relation_filenode(oid)::bigint";
const SIZE: &str = "pg_relation_size(oid) / current_setting('block_size')::bigint";

fn list(columns: &[String], each: impl Fn(&str) -> String) -> String {
    columns.iter().map(|column| each(column)).collect::<Vec<_>>().join(", ")
}

/// Ways of joining other than by an index, on or off.
fn turn_planner(to: &str) -> Vec<String> {
    let each = |way| format!("SET LOCAL enable_{way} = {to}");
    ["seqscan", "hashjoin", "mergejoin"].into_iter().map(each).collect()
}

async fn run_text(conn: &mut PgConnection, text: &str) -> Result<u64, sqlx::Error> {
    let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await?;
    Ok(done.rows_affected())
}

async fn ask_text<T>(conn: &mut PgConnection, text: String) -> Result<T, sqlx::Error>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(AssertSqlSafe(text)).persistent(false).fetch_one(conn).await
}

#[cfg(test)]
mod tests;
