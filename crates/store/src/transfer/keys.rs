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
            let ids = of_row(remembered, table, &row.values);
            keys.extend(ids.into_iter().flatten().map(|key| (key, time)));
        }
    }
    keys.sort_unstable();
    keys.dedup_by_key(|(key, _)| *key);
    keys
}

fn of_row(remembered: Remembered, table: &Copied, values: &[Value]) -> [Option<Uuid>; 2] {
    let of = |column: &str| values[table.find(column)].as_text();
    let site = of("site");
    let event = |of_what| Some(key(of_what, site, &[of("id")]));
    match remembered {
        Remembered::PageView => [event(Of::PageView), None],
        Remembered::Custom => [event(Of::Custom), None],
        Remembered::Error => [event(Of::Error), None],
        Remembered::Engagement => {
            [event(Of::Engagement), Some(key(Of::EngagedPage, site, &[of("page_id")]))]
        }
        Remembered::Vital => {
            let parts = [of("page_id"), of("metric_name"), of("navigation")];
            [event(Of::Vital), Some(key(Of::Measurement, site, &parts))]
        }
    }
}

/// What a remembered id is worth in a checksum.
pub(super) fn digest(key: Uuid, at: Timestamp) -> u128 {
    key.as_u128() ^ u128::from(at.as_micros().cast_unsigned())
}
