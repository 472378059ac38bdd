//! Events as one can count them: each by its kind, its page and what it says, and how often the file of a stopped server holds it.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// How often each event was sent, or is there.
pub(super) type Counts = BTreeMap<String, u64>;

/// One for each kind of event but page views, answered in the words of the functions below.
const QUESTIONS: [&str; 4] = [
    "SELECT 'vital ' || url || ' ' || metric_name || ' ' || CAST(value AS INTEGER), count(*)
     FROM performance_metrics GROUP BY 1",
    "SELECT 'error ' || url || ' ' || error_type || ' ' || error_message, count(*)
     FROM error_events GROUP BY 1",
    "SELECT 'named ' || path || ' ' || name || ' ' || CAST(revenue_amount AS INTEGER) || ' ' || revenue_currency
     || ' ' || props, count(*) FROM custom_events GROUP BY 1",
    "SELECT 'engagement ' || path || ' ' || engaged_ms || ' ' || scroll_percent, count(*)
     FROM engagement GROUP BY 1",
];

/// A view of a page.
pub(super) fn view(path: &str) -> String {
    format!("view {path}")
}

/// A web vital.
pub(super) fn vital(path: &str, name: &str, value: u64) -> String {
    format!("vital {path} {name} {value}")
}

/// An error of a script.
pub(super) fn error(path: &str, name: &str, message: &str) -> String {
    format!("error {path} {name} {message}")
}

/// A named event with revenue.
pub(super) fn named(path: &str, name: &str, amount: u64, currency: &str, props: &str) -> String {
    format!("named {path} {name} {amount} {currency} {props}")
}

/// How long and how far a page was read.
pub(super) fn engagement(path: &str, ms: u64, scroll: u64) -> String {
    format!("engagement {path} {ms} {scroll}")
}

/// What the file holds of every kind but page views.
///
/// # Errors
/// When it cannot be read.
pub(super) fn count(file: &Path) -> anyhow::Result<Counts> {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut counts = Counts::new();
    for question in QUESTIONS {
        let mut asked = db.prepare(question)?;
        let mut rows = asked.query([])?;
        while let Some(row) = rows.next()? {
            // A row without one of its words is none that was sent.
            let event = row.get::<_, Option<String>>(0)?.unwrap_or_default();
            *counts.entry(event).or_default() += u64::try_from(row.get::<_, i64>(1)?)?;
        }
    }
    Ok(counts)
}
