//! One group commit on PostgreSQL: many batches, one transaction. Which events are new is asked of `event_keys` first,
//! because the tables, in one piece per day, cannot tell. Any number of processes commit at a time.

use std::collections::{HashMap, HashSet};

use mainstay_base::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Record;
use super::add_up::add_up;
use super::keys::{Of, key};
use super::merge::{merge_engagement, merge_reports, merge_vitals};
use super::spool::Sealed;
use super::texts::Texts;
use crate::bulk::{Binder, Bulk};
use crate::postgres::position::Position;
use crate::postgres::{Db, Leased, Patience, standbys};
use crate::rollup::HOUR;
use crate::tables::{
    custom_event, engagement, error_event, page_view, performance_metric, report, rollup,
    user_session,
};
use crate::{Error, Ts};

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

/// The texts.
#[derive(Debug)]
pub(super) struct Committer(Texts);

const NEW_KEYS: &str = "INSERT INTO mainstay.event_keys (key, at)
    SELECT key, at FROM unnest($1::uuid[], $2::timestamptz[]) AS k(key, at)
    ON CONFLICT (key) DO NOTHING RETURNING key";
const KNOWN_KEYS: &str = "SELECT key, at FROM mainstay.event_keys WHERE key = ANY ($1)";

impl Committer {
    pub(super) fn new() -> Self {
        Self(Texts::new())
    }

    /// Writes every batch or none.
    pub(super) async fn commit(
        &self,
        db: &Db,
        batches: &[&Sealed<'_>],
    ) -> Result<Committed, Error> {
        let mut tries = TRIES;
        loop {
            let leased = db.begin(OP).await?;
            match self.attempt(db, leased, batches).await {
                Err(error) if error.is_contended() && tries > 1 => tries -= 1,
                outcome => return outcome,
            }
        }
    }

    async fn attempt(
        &self,
        db: &Db,
        mut leased: Leased,
        batches: &[&Sealed<'_>],
    ) -> Result<Committed, Error> {
        let patience = db.patience();
        let mut conn = Conn { conn: leased.conn(), patience };
        let (is_followed, was_synchronous) = match self.write(&mut conn, batches).await {
            Ok(told) => told,
            Err(error) => {
                // The connection ends with its transaction.
                db.cluster.note(leased.node(), &error);
                return Err(Error::new(OP, error));
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
        conn.insert(&self.0.page_views, &views, page_view::bind).await?;
        conn.insert(&self.0.customs, &customs, custom_event::bind).await?;
        conn.insert(&self.0.errors, &errors, error_event::bind).await?;
        let vitals = kept(&rows.vitals, &take_new(&rows.vitals, &mut new));
        let engaged = kept(&rows.engagement, &take_new(&rows.engagement, &mut new));
        self.write_measured(conn, &vitals, &engaged).await?;
        let reports = rows.reports.iter().filter(|(key, _)| new.contains(key)).map(|(_, row)| *row);
        let reports = merge_reports(reports);
        conn.insert(&self.0.reports, &reports, |row, to| report::bind(&row, to)).await?;
        let plain: Vec<_> = batches.iter().map(|sealed| sealed.batch.as_ref()).collect();
        let mut changes = add_up(&plain, &new_views, &new_customs).into_changes();
        changes.sort_by_key(|change| change.touch.session_id);
        conn.insert(&self.0.sessions, &changes, user_session::bind).await?;
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
        let keys: Vec<_> = keys.collect();
        let new = conn.add_keys(keys.iter().copied()).await?;
        let known = keys.iter().map(|(key, _)| *key).filter(|key| !new.contains(key));
        let known = conn.find_times(known.collect()).await?;

        let mut fresh: Vec<_> =
            vitals.iter().filter(|(k, _)| new.contains(k)).map(|(_, r)| r).collect();
        // Ids grow with time: in their order, rows go to the end of the index.
        fresh.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        conn.insert(&self.0.vitals, &fresh, performance_metric::bind).await?;
        let mut later = Binder::postgres(&performance_metric::REPLACED, vitals.len());
        for (row, at) in vitals.iter().filter_map(|(key, row)| Some((row, known.get(key)?))) {
            performance_metric::bind_replaced(row, *at, &mut later);
        }
        conn.change(performance_metric::REPLACE, later).await?;

        let mut fresh: Vec<_> =
            engaged.iter().filter(|(k, _)| new.contains(k)).map(|(_, r)| r).collect();
        fresh.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        conn.insert(&self.0.engagement, &fresh, engagement::bind).await?;
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
        rows: &'r [R],
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

    /// Adds keys; those that were not there. In their order, so that two processes do not wait for each other in a ring.
    async fn add_keys(
        &mut self,
        keys: impl Iterator<Item = (Uuid, Timestamp)>,
    ) -> Result<HashSet<Uuid>, sqlx::Error> {
        let mut first: HashMap<Uuid, Timestamp> = HashMap::new();
        for (key, at) in keys {
            first.entry(key).or_insert(at);
        }
        if first.is_empty() {
            return Ok(HashSet::new());
        }
        let mut keys: Vec<_> = first.into_iter().collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        let (keys, times): (Vec<_>, Vec<_>) = keys.into_iter().map(|(k, at)| (k, Ts(at))).unzip();
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

/// The rows of a group by table, each with its key, in the order of its batches.
#[derive(Default)]
struct Sorted<'a> {
    page_views: Vec<(Uuid, &'a page_view::Row)>,
    engagement: Vec<(Uuid, &'a engagement::Row)>,
    vitals: Vec<(Uuid, &'a performance_metric::Row)>,
    errors: Vec<(Uuid, &'a error_event::Row)>,
    customs: Vec<(Uuid, &'a custom_event::Row)>,
    /// The key is the batch's.
    reports: Vec<(Uuid, &'a report::Row)>,
    /// The hours events belong to: one that was counted already must be counted again.
    hours: HashSet<(&'a str, Timestamp)>,
}

impl<'a> Sorted<'a> {
    fn of(batches: &[&'a Sealed<'_>]) -> Self {
        let mut rows = Self::default();
        for sealed in batches {
            let batch = key(Of::Batch, "", &[&sealed.id]);
            for record in &sealed.batch.records {
                rows.add(batch, record);
            }
        }
        rows
    }

    fn add(&mut self, batch: Uuid, record: &'a Record) {
        let (site, at): (&str, _) = match record {
            Record::PageView(row) => {
                self.page_views.push((key(Of::PageView, &row.site, &[&row.id]), row));
                (&row.site, row.recorded_at)
            }
            Record::Custom(row) => {
                self.customs.push((key(Of::Custom, &row.site, &[&row.id]), row));
                (&row.site, row.recorded_at)
            }
            Record::Error(row) => {
                self.errors.push((key(Of::Error, &row.site, &[&row.id]), row));
                (&row.site, row.timestamp)
            }
            Record::Engagement(row) => {
                self.engagement.push((key(Of::Engagement, &row.site, &[&row.id]), row));
                (&row.site, row.recorded_at)
            }
            Record::Vital(row) => {
                self.vitals.push((key(Of::Vital, &row.site, &[&row.id]), row));
                (&row.site, row.timestamp)
            }
            // No roll-up is counted from reports.
            Record::Report(row) => {
                self.reports.push((batch, row));
                return;
            }
        };
        self.hours.insert((site, at.floor_to(HOUR)));
    }

    fn list_keys(&self) -> impl Iterator<Item = (Uuid, Timestamp)> {
        let views = self.page_views.iter().map(|(key, row)| (*key, row.recorded_at));
        let customs = self.customs.iter().map(|(key, row)| (*key, row.recorded_at));
        let errors = self.errors.iter().map(|(key, row)| (*key, row.timestamp));
        let engagement = self.engagement.iter().map(|(key, row)| (*key, row.recorded_at));
        let vitals = self.vitals.iter().map(|(key, row)| (*key, row.timestamp));
        let reports = self.reports.iter().map(|(key, row)| (*key, row.last_seen));
        views.chain(customs).chain(errors).chain(engagement).chain(vitals).chain(reports)
    }
}

/// For each row whether it is new. A row that comes twice in one group is new once.
fn take_new<R>(rows: &[(Uuid, R)], new: &mut HashSet<Uuid>) -> Vec<bool> {
    rows.iter().map(|(key, _)| new.remove(key)).collect()
}

fn kept<'a, R>(rows: &[(Uuid, &'a R)], new: &[bool]) -> Vec<&'a R> {
    rows.iter().zip(new).filter(|(_, new)| **new).map(|((_, row), _)| *row).collect()
}
