//! Rows of folded vitals, as they are written.

use mainstay_base::Timestamp;

use crate::Group;
use crate::bulk::{Binder, Kind, Table};
use crate::sql::sql;

/// All vitals of one key on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayVitalRow {
    /// What is grouped by.
    pub dimension: Group,
    /// The key; none for the whole site or an unnamed release.
    pub key: Option<String>,
    /// People or bots.
    pub bot: bool,
    /// Counts and sketches of every vital, encoded.
    pub vitals: Vec<u8>,
}

pub(super) const INSERT_VITALS: Table = Table {
    name: "rollup_day_vital",
    columns: &[
        ("site", Kind::Text),
        ("dimension", Kind::Text),
        ("day", Kind::Time),
        ("key", Kind::Text),
        ("bot", Kind::Flag),
        ("vitals", Kind::Bytes),
    ],
    tail: sql!(""),
};

pub(super) fn bind_vitals<'r>(
    site: &'r str,
    day: Timestamp,
) -> impl Fn(&'r DayVitalRow, &mut Binder<'r>) {
    move |row, to| {
        to.text(site)
            .text(row.dimension.as_str())
            .at(day)
            .text(row.key.as_deref().unwrap_or(""))
            .flag(row.bot)
            .bytes(&row.vitals);
    }
}
