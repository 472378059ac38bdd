//! The ids of events that are young enough to be sent again, as the recorder remembers them on PostgreSQL.

use mainstay_base::Timestamp;
use uuid::Uuid;

use super::chunk::Row;
use super::table::{Copied, Remembered};
use super::value::Value;
use crate::recorder::keys::{Of, key};

/// Where they lie.
pub(super) const TABLE: &str = "event_keys";

/// The keys of these rows, each with the time of its event, those of `since` and later.
pub(super) fn list(table: &Copied, rows: &[&Row], since: Timestamp) -> Vec<(Uuid, Timestamp)> {
    let (Some(remembered), Some(at)) = (table.remembered, table.at()) else { return Vec::new() };
    let mut keys = Vec::new();
    for row in rows {
        let time = row.values[at].as_time();
        if time >= since {
            keys.push((of_row(remembered, table, &row.values), time));
        }
    }
    keys.sort_unstable();
    keys.dedup_by_key(|(key, _)| *key);
    keys
}

fn of_row(remembered: Remembered, table: &Copied, values: &[Value]) -> Uuid {
    let of = |column: &str| values[table.find(column)].as_text();
    let key = |of_what, parts: &[&str]| key(of_what, of("site"), parts);
    match remembered {
        Remembered::PageView => key(Of::PageView, &[of("id")]),
        Remembered::Custom => key(Of::Custom, &[of("id")]),
        Remembered::Error => key(Of::Error, &[of("id")]),
        Remembered::Engagement => key(Of::EngagedPage, &[of("page_id")]),
        Remembered::Vital => {
            key(Of::Measurement, &[of("page_id"), of("metric_name"), of("navigation")])
        }
    }
}

/// What a remembered id is worth in a checksum.
pub(super) fn digest(key: Uuid, at: Timestamp) -> u128 {
    key.as_u128() ^ u128::from(at.as_micros().cast_unsigned())
}
