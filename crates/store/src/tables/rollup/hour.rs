//! Writing one counted hour. Counting it is `insight`'s.

use std::time::Duration;

use mainstay_base::Timestamp;
use sqlx::SqliteConnection;

use crate::sqlite::InOp;
use crate::sqlite::bulk::{Binder, Bulk, Text};
use crate::{Dimension, Engine, Error, Group, Ts};

pub(super) const HOUR: Duration = Duration::from_secs(3_600);

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

const INSERT_KEYS: Text = Text {
    head: "INSERT INTO rollup_key (site, dimension, hour, key, bot, pageviews, visitors)",
    columns: 7,
    tail: "",
};
const INSERT_TOTALS: Text = Text {
    head: "INSERT INTO rollup_total (site, hour, bot, pageviews, visitors, sessions, bounces, engaged_ms)",
    columns: 8,
    tail: "",
};
const INSERT_VITALS: Text = Text {
    head: "INSERT INTO rollup_vital (site, dimension, hour, key, name, bot, sketch, good,
        needs_improvement, poor)",
    columns: 10,
    tail: "",
};

/// The dimensions are named so that the primary keys (site, dimension, hour, …) find the rows.
pub(super) const DELETE_HOUR: [&str; 3] = [
    "DELETE FROM rollup_key WHERE site = $1 AND hour = $2
     AND dimension IN ('path', 'source', 'device', 'country')",
    "DELETE FROM rollup_total WHERE site = $1 AND hour = $2",
    "DELETE FROM rollup_vital WHERE site = $1 AND hour = $2
     AND dimension IN ('page', 'device', 'release', 'site')",
];

/// Replaces everything counted of the hour, in one transaction.
///
/// # Errors
/// [`Error`] when the store cannot answer; `Conflict` when a key comes twice. Then the old counts stay.
pub async fn replace_hour(
    db: &Engine,
    site: &str,
    hour: Timestamp,
    counted: &HourRollup,
) -> Result<(), Error> {
    const OP: &str = "rollup.replace_hour";
    let Engine::Sqlite(db) = db;
    let hour = hour.floor_to(HOUR);
    let mut writer = db.writer().await;
    let mut tx = writer.begin(OP).await?;
    for text in DELETE_HOUR {
        sqlx::query(text).bind(site).bind(Ts(hour)).execute(&mut *tx).await.in_op(OP)?;
    }
    insert(&mut tx, site, hour, counted).await.in_op(OP)?;
    tx.commit().await.in_op(OP)
}

async fn insert(
    conn: &mut SqliteConnection,
    site: &str,
    hour: Timestamp,
    counted: &HourRollup,
) -> Result<(), sqlx::Error> {
    let keys = |row: &KeyRow, to: &mut Binder| {
        to.text(site)
            .text(row.dimension.as_str())
            .at(hour)
            .text(row.key.as_deref().unwrap_or(""))
            .add(row.bot)
            .add(row.pageviews)
            .add(row.visitors);
    };
    let totals = |row: &TotalRow, to: &mut Binder| {
        to.text(site)
            .at(hour)
            .add(row.bot)
            .add(row.pageviews)
            .add(row.visitors)
            .add(row.sessions)
            .add(row.bounces)
            .add(row.engaged_ms);
    };
    let vitals = |row: &VitalRow, to: &mut Binder| {
        to.text(site)
            .text(row.dimension.as_str())
            .at(hour)
            .text(row.key.as_deref().unwrap_or(""))
            .text(&row.name)
            .add(row.bot)
            .add(&row.sketch[..])
            .add(row.good)
            .add(row.needs_improvement)
            .add(row.poor);
    };
    Bulk::new(&INSERT_KEYS).insert_all(conn, &counted.keys, keys).await?;
    Bulk::new(&INSERT_TOTALS).insert_all(conn, &counted.totals, totals).await?;
    Bulk::new(&INSERT_VITALS).insert_all(conn, &counted.vitals, vitals).await
}
