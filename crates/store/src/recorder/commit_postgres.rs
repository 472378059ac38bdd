//! One group commit on PostgreSQL: many batches, one transaction. Which events are new says `event_keys`, because the
//! tables, in one piece per day, cannot tell. Any number of processes commit at a time.
//!
//! Events are hardly ever sent twice. So a group is first written as if all of its events were new; where one is not, the
//! unique index of the keys refuses it, nothing of the group is written, and it is written once more by asking of each.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

use mainstay_base::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use self::sorted::{Sorted, kept, take_new};
use super::add_up::add_up;
use super::merge::{merge_engagement, merge_reports, merge_vitals};
use super::spool::Sealed;
use super::texts::Texts;
use crate::bulk::{Binder, Bulk, Meets};
use crate::postgres::position::Position;
use crate::postgres::{Db, Leased, Patience, standbys};
use crate::tables::{
    custom_event, engagement, error_event, page_view, performance_metric, report, rollup,
    user_session,
};
use crate::{Error, Ts};

mod sorted;

const OP: &str = "recorder.commit";
/// A group that lost a deadlock against another process's is tried again at once.
const TRIES: usize = 3;

/// What became of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Committed {
    /// Where the log ended then; none while no standby is known of.
    pub(super) end: Option<Position>,
    /// A standby had it on its disk before the commit was answered.
    pub(super) is_synchronous: bool,
}

/// The texts, and whether events are being sent twice.
#[derive(Debug)]
pub(super) struct Committer {
    texts: Texts,
    /// So many groups more are written with a question for each event.
    doubts: AtomicU32,
}

/// After a repeat so many groups are taken to hold more of them: whoever sends everything twice costs hardly more than
/// whoever does not.
const DOUBTS: u32 = 16;

const ADD_KEYS: &str = "INSERT INTO mainstay.event_keys (key, at)
    SELECT key, at FROM unnest($1::uuid[], $2::timestamptz[]) AS k(key, at)";
const NEW_KEYS: &str = "INSERT INTO mainstay.event_keys (key, at)
    SELECT key, at FROM unnest($1::uuid[], $2::timestamptz[]) AS k(key, at)
    ON CONFLICT (key) DO NOTHING RETURNING key";
const KNOWN_KEYS: &str = "SELECT key, at FROM mainstay.event_keys WHERE key = ANY ($1)";

impl Committer {
    pub(super) fn new() -> Self {
        Self { texts: Texts::new(), doubts: AtomicU32::new(0) }
    }

    /// Writes every batch or none.
    pub(super) async fn commit(
        &self,
        db: &Db,
        batches: &[&Sealed<'_>],
    ) -> Result<Committed, Error> {
        let mut tries = TRIES;
        let mut meets = self.expect();
        loop {
            let leased = db.begin(OP).await?;
            match self.attempt(db, leased, (batches, meets)).await {
                Err(error) if error.is_repeat() && meets == Meets::None => {
                    meets = Meets::Any;
                    self.doubts.store(DOUBTS, Ordering::Relaxed);
                }
                Err(error) if error.is_contended() && tries > 1 => tries -= 1,
                outcome => return outcome,
            }
        }
    }

    /// Whether the next group is taken to hold repeats.
    fn expect(&self) -> Meets {
        let fewer = |doubts: u32| doubts.checked_sub(1);
        match self.doubts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer) {
            Ok(_) => Meets::Any,
            Err(_) => Meets::None,
        }
    }

    async fn attempt(
        &self,
        db: &Db,
        mut leased: Leased,
        (batches, meets): (&[&Sealed<'_>], Meets),
    ) -> Result<Committed, Error> {
        let patience = db.patience();
        let mut conn = Conn { conn: leased.conn(), patience, meets };
        let (is_followed, was_synchronous) = match self.write(&mut conn, batches).await {
            Ok(told) => told,
            Err(error) => {
                db.cluster.note(leased.node(), &error);
                let error = Error::new(OP, error);
                // Else the connection ends with its transaction.
                if error.is_repeat()
                    && patience.keep(sqlx::query("ROLLBACK").execute(leased.conn())).await.is_ok()
                {
                    leased.give_back();
                }
                return Err(error);
            }
        };
        db.cluster.note_followed(leased.node(), is_followed);
        let committed = patience.keep(sqlx::query("COMMIT").execute(leased.conn())).await;
        if let Err(error) = committed {
            db.cluster.note(leased.node(), &error);
            return Err(Error::new(OP, error));
        }
        if !db.has_standbys() {
            leased.give_back();
            return Ok(Committed::default());
        }
        // Asked after the commit: before it the log does not hold the commit yet. Without an answer nobody can tell when a
        // replica has it, so that it counts as not written: a repeat is known by its keys.
        match patience.keep(standbys::find_end(leased.conn())).await {
            Ok((end, is_synchronous)) => {
                leased.give_back();
                // Before and after, or else the commit itself may have been another one.
                let is_synchronous = is_synchronous && was_synchronous;
                Ok(Committed { end: Some(end), is_synchronous })
            }
            Err(error) => {
                db.cluster.note(leased.node(), &error);
                Err(Error::new(OP, error))
            }
        }
    }

    /// Whether somebody follows this server, and whether the commit will be a standby's as well before it is answered.
    async fn write(
        &self,
        conn: &mut Conn<'_>,
        batches: &[&Sealed<'_>],
    ) -> Result<(bool, bool), sqlx::Error> {
        let rows = Sorted::of(batches);
        let told = conn.lock_together().await?;
        let mut new = conn.add_keys(rows.list_keys()).await?;
        let new_views = take_new(&rows.page_views, &mut new);
        let new_customs = take_new(&rows.customs, &mut new);
        let views = kept(&rows.page_views, &new_views);
        let customs = kept(&rows.customs, &new_customs);
        let errors = kept(&rows.errors, &take_new(&rows.errors, &mut new));
        conn.insert(&self.texts.page_views, (&views, conn.meets), page_view::bind).await?;
        conn.insert(&self.texts.customs, (&customs, conn.meets), custom_event::bind).await?;
        conn.insert(&self.texts.errors, (&errors, conn.meets), error_event::bind).await?;
        let vitals = kept(&rows.vitals, &take_new(&rows.vitals, &mut new));
        let engaged = kept(&rows.engagement, &take_new(&rows.engagement, &mut new));
        self.write_measured(conn, &vitals, &engaged).await?;
        let reports = rows.reports.iter().filter(|(key, _)| new.contains(key)).map(|(_, row)| *row);
        let reports = merge_reports(reports);
        conn.insert(&self.texts.reports, (&reports, Meets::Any), |row, to| report::bind(&row, to))
            .await?;
        let plain: Vec<_> = batches.iter().map(|sealed| sealed.batch.as_ref()).collect();
        let mut changes = add_up(&plain, &new_views, &new_customs).into_changes();
        changes.sort_by_key(|change| change.touch.session_id);
        conn.insert(&self.texts.sessions, (&changes, Meets::Any), user_session::bind).await?;
        let (sites, hours): (Vec<&str>, Vec<Ts>) =
            rows.hours.iter().map(|(site, hour)| (*site, Ts(*hour))).unzip();
        let marked = sqlx::query(rollup::MARK_COUNTED.postgres).bind(sites).bind(hours);
        conn.run(marked).await?;
        Ok(told)
    }

    /// Vitals and engagement: the first report of a measurement makes a row, later ones change it. The row is found by
    /// the time of the first, which its key remembers.
    async fn write_measured(
        &self,
        conn: &mut Conn<'_>,
        vitals: &[&performance_metric::Row],
        engaged: &[&engagement::Row],
    ) -> Result<(), sqlx::Error> {
        let vitals = merge_vitals(vitals);
        let engaged = merge_engagement(engaged);
        let keys = vitals.iter().map(|(key, row)| (*key, row.timestamp));
        let keys = keys.chain(engaged.iter().map(|(key, row)| (*key, row.recorded_at)));
        let known = conn.add_measured(keys.collect()).await?;

        let is_new = |key: &Uuid| !known.contains_key(key);
        let mut fresh: Vec<_> = vitals.iter().filter(|(k, _)| is_new(k)).map(|(_, r)| r).collect();
        // Ids grow with time: in their order, rows go to the end of the index.
        fresh.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        conn.insert(&self.texts.vitals, (&fresh, conn.meets), performance_metric::bind).await?;
        let mut later = Binder::postgres(&performance_metric::REPLACED, vitals.len());
        for (row, at) in vitals.iter().filter_map(|(key, row)| Some((row, known.get(key)?))) {
            performance_metric::bind_replaced(row, *at, &mut later);
        }
        conn.change(performance_metric::REPLACE, later).await?;

        let mut fresh: Vec<_> = engaged.iter().filter(|(k, _)| is_new(k)).map(|(_, r)| r).collect();
        fresh.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        conn.insert(&self.texts.engagement, (&fresh, conn.meets), engagement::bind).await?;
        let mut later = Binder::postgres(&engagement::RAISED, engaged.len());
        for (row, at) in engaged.iter().filter_map(|(key, row)| Some((row, known.get(key)?))) {
            engagement::bind_raised(row, *at, &mut later);
        }
        conn.change(engagement::RAISE, later).await
    }
}

/// A connection with a transaction begun.
struct Conn<'c> {
    conn: &'c mut PgConnection,
    patience: Patience,
    meets: Meets,
}

impl Conn<'_> {
    /// Hours are not declared over meanwhile. Whether somebody follows this server, and whether a commit waits for that one.
    async fn lock_together(&mut self) -> Result<(bool, bool), sqlx::Error> {
        let asked = sqlx::query_as(standbys::LOCK_TOGETHER).bind(rollup::WATERMARK_LOCK);
        self.patience.keep(asked.fetch_one(&mut *self.conn)).await
    }

    async fn run(
        &mut self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<(), sqlx::Error> {
        self.patience.keep(query.execute(&mut *self.conn)).await.map(drop)
    }

    async fn insert<'r, R>(
        &mut self,
        bulk: &Bulk,
        rows: (&'r [R], Meets),
        bind: impl Fn(&'r R, &mut Binder<'r>),
    ) -> Result<(), sqlx::Error> {
        bulk.insert_postgres((&mut *self.conn, self.patience), rows, bind).await.map(drop)
    }

    async fn change(&mut self, text: &'static str, values: Binder<'_>) -> Result<(), sqlx::Error> {
        if values.is_empty() {
            return Ok(());
        }
        let query = sqlx::query_with(text, values.finish_postgres()?);
        self.patience.keep(query.execute(&mut *self.conn)).await.map(drop)
    }

    /// Adds the keys of events; those that were not there.
    async fn add_keys(
        &mut self,
        keys: impl Iterator<Item = (Uuid, Timestamp)>,
    ) -> Result<HashSet<Uuid>, sqlx::Error> {
        if self.meets == Meets::Any {
            return self.find_new_keys(keys).await;
        }
        let (keys, times) = in_order(keys);
        if !keys.is_empty() {
            self.run(sqlx::query(ADD_KEYS).bind(&keys).bind(times)).await?;
        }
        Ok(keys.into_iter().collect())
    }

    /// Adds the keys of measurements; when those that were there were first seen. A page reports the same ones again and
    /// again, so that these are looked for first.
    async fn add_measured(
        &mut self,
        keys: Vec<(Uuid, Timestamp)>,
    ) -> Result<HashMap<Uuid, Timestamp>, sqlx::Error> {
        let all = keys.iter().map(|(key, _)| *key);
        if self.meets == Meets::Any {
            let new = self.find_new_keys(keys.iter().copied()).await?;
            return self.find_times(all.filter(|key| !new.contains(key)).collect()).await;
        }
        let known = self.find_times(all.collect()).await?;
        let new = keys.iter().copied().filter(|(key, _)| !known.contains_key(key));
        self.add_keys(new).await?;
        Ok(known)
    }

    /// Adds keys, some of which may be there; those that were not.
    async fn find_new_keys(
        &mut self,
        keys: impl Iterator<Item = (Uuid, Timestamp)>,
    ) -> Result<HashSet<Uuid>, sqlx::Error> {
        let (keys, times) = in_order(keys);
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let added = sqlx::query_scalar(NEW_KEYS).bind(keys).bind(times);
        let added: Vec<Uuid> = self.patience.keep(added.fetch_all(&mut *self.conn)).await?;
        Ok(added.into_iter().collect())
    }

    /// When each of these keys was first seen.
    async fn find_times(
        &mut self,
        keys: Vec<Uuid>,
    ) -> Result<HashMap<Uuid, Timestamp>, sqlx::Error> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let found = sqlx::query_as(KNOWN_KEYS).bind(keys);
        let found: Vec<(Uuid, Ts)> = self.patience.keep(found.fetch_all(&mut *self.conn)).await?;
        Ok(found.into_iter().map(|(key, at)| (key, at.0)).collect())
    }
}

/// Keys and the time of the first event of each, in their order, so that two processes do not wait for each other in a ring.
fn in_order(keys: impl Iterator<Item = (Uuid, Timestamp)>) -> (Vec<Uuid>, Vec<Ts>) {
    let mut keys: Vec<_> = keys.collect();
    // Of equals the first stays first.
    keys.sort_by_key(|(key, _)| *key);
    keys.dedup_by_key(|(key, _)| *key);
    keys.into_iter().map(|(key, at)| (key, Ts(at))).unzip()
}
