//! Writing one counted hour. Counting it is `insight`'s.

use std::time::Duration;

use mainstay_base::Timestamp;

use crate::ask::run;
use crate::bulk::{Binder, Bulk, Kind, Table};
use crate::sql::{Sql, sql};
use crate::tx::Tx;
use crate::{Dimension, Error, Group, Ts};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Everything counted of one hour of one site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HourRollup {
    /// Page views by key.
    pub keys: Vec<KeyRow>,
    /// Totals, people and bots apart.
    pub totals: Vec<TotalRow>,
    /// Web vitals by key.
    pub vitals: Vec<VitalRow>,
}

/// Page views of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// What is counted by.
    pub dimension: Dimension,
    /// The key; none where the events had none.
    pub key: Option<String>,
    /// People or bots.
    pub bot: bool,
    /// Page views.
    pub pageviews: i64,
    /// Distinct visitors of this hour whom the day had not seen with this key before: the hours of a day add up to its
    /// distinct visitors.
    pub visitors: i64,
}

/// Totals of the hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalRow {
    /// People or bots.
    pub bot: bool,
    /// Page views.
    pub pageviews: i64,
    /// Distinct visitors of this hour, whether or not an earlier hour saw them.
    pub visitors: i64,
    /// Visits that began in it.
    pub sessions: i64,
    /// Those with one page view and no named event.
    pub bounces: i64,
    /// Engaged milliseconds.
    pub engaged_ms: i64,
}

/// One vital of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VitalRow {
    /// What is grouped by.
    pub dimension: Group,
    /// The key; none for the whole site or an unnamed release.
    pub key: Option<String>,
    /// `LCP`, `INP`, `CLS`, `FCP`, `TTFB`.
    pub name: String,
    /// People or bots.
    pub bot: bool,
    /// Encoded, mergeable sketch of the values.
    pub sketch: Vec<u8>,
    /// Measurements rated good.
    pub good: i64,
    /// Measurements rated as needing improvement.
    pub needs_improvement: i64,
    /// Measurements rated poor.
    pub poor: i64,
}

const INSERT_KEYS: Table = Table {
    name: "rollup_key",
    columns: &[
        ("site", Kind::Text),
        ("dimension", Kind::Text),
        ("hour", Kind::Time),
        ("key", Kind::Text),
        ("bot", Kind::Flag),
        ("pageviews", Kind::Int),
        ("visitors", Kind::Int),
    ],
    tail: sql!(""),
};
const INSERT_TOTALS: Table = Table {
    name: "rollup_total",
    columns: &[
        ("site", Kind::Text),
        ("hour", Kind::Time),
        ("bot", Kind::Flag),
        ("pageviews", Kind::Int),
        ("visitors", Kind::Int),
        ("sessions", Kind::Int),
        ("bounces", Kind::Int),
        ("engaged_ms", Kind::Int),
    ],
    tail: sql!(""),
};
const INSERT_VITALS: Table = Table {
    name: "rollup_vital",
    columns: &[
        ("site", Kind::Text),
        ("dimension", Kind::Text),
        ("hour", Kind::Time),
        ("key", Kind::Text),
        ("name", Kind::Text),
        ("bot", Kind::Flag),
        ("sketch", Kind::Bytes),
        ("good", Kind::Int),
        ("needs_improvement", Kind::Int),
        ("poor", Kind::Int),
    ],
    tail: sql!(""),
};

/// The dimensions are named so that the primary keys (site, dimension, hour, …) find the rows.
pub(super) const DELETE_HOUR: [Sql; 3] = [
    sql!(
        "DELETE FROM mainstay.rollup_key WHERE site = $1 AND hour = $2
         AND dimension IN ('path', 'source', 'device', 'country')"
    ),
    sql!("DELETE FROM mainstay.rollup_total WHERE site = $1 AND hour = $2"),
    sql!(
        "DELETE FROM mainstay.rollup_vital WHERE site = $1 AND hour = $2
         AND dimension IN ('page', 'device', 'release', 'site')"
    ),
];

/// Replaces everything counted of the hour.
pub(super) async fn replace(
    tx: &mut Tx<'_>,
    site: &str,
    hour: Timestamp,
    counted: &HourRollup,
) -> Result<(), Error> {
    let hour = hour.floor_to(HOUR);
    for text in DELETE_HOUR {
        run!(*tx, text, site, Ts(hour))?;
    }
    insert(tx, site, hour, counted).await
}

async fn insert(
    tx: &mut Tx<'_>,
    site: &str,
    hour: Timestamp,
    counted: &HourRollup,
) -> Result<(), Error> {
    Bulk::new(&INSERT_KEYS).insert_all(tx, &counted.keys, keys(site, hour)).await?;
    Bulk::new(&INSERT_TOTALS).insert_all(tx, &counted.totals, totals(site, hour)).await?;
    Bulk::new(&INSERT_VITALS).insert_all(tx, &counted.vitals, vitals(site, hour)).await
}

fn keys<'r>(site: &'r str, hour: Timestamp) -> impl Fn(&'r KeyRow, &mut Binder<'r>) {
    move |row, to| {
        to.text(site)
            .text(row.dimension.as_str())
            .at(hour)
            .text(row.key.as_deref().unwrap_or(""))
            .flag(row.bot)
            .int(row.pageviews)
            .int(row.visitors);
    }
}

fn totals<'r>(site: &'r str, hour: Timestamp) -> impl Fn(&'r TotalRow, &mut Binder<'r>) {
    move |row, to| {
        to.text(site)
            .at(hour)
            .flag(row.bot)
            .int(row.pageviews)
            .int(row.visitors)
            .int(row.sessions)
            .int(row.bounces)
            .int(row.engaged_ms);
    }
}

fn vitals<'r>(site: &'r str, hour: Timestamp) -> impl Fn(&'r VitalRow, &mut Binder<'r>) {
    move |row, to| {
        to.text(site)
            .text(row.dimension.as_str())
            .at(hour)
            .text(row.key.as_deref().unwrap_or(""))
            .text(&row.name)
            .flag(row.bot)
            .bytes(&row.sketch)
            .int(row.good)
            .int(row.needs_improvement)
            .int(row.poor);
    }
}
