//! The words every question about visitors shares: which site, which time, which kind of client, where to go on.

use std::time::Duration;

use mainstay_base::Timestamp;

/// Which clients count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bots {
    /// People only.
    #[default]
    Exclude,
    /// Everybody.
    Include,
    /// Bots only.
    Only,
}

impl Bots {
    /// Lowest and highest value of a `bot` column that counts, for `bot BETWEEN low AND high`.
    pub(crate) fn bounds(self) -> (bool, bool) {
        match self {
            Self::Exclude => (false, false),
            Self::Include => (false, true),
            Self::Only => (true, true),
        }
    }
}

/// One site's events from `from` (inclusive) to `to` (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    /// Which site.
    pub site: &'a str,
    /// First instant that counts.
    pub from: Timestamp,
    /// First instant that counts no more.
    pub to: Timestamp,
    /// Which clients count.
    pub bots: Bots,
}

/// Where the next page of counted keys begins: after this row of the order (pageviews descending, key ascending).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Page views of the last row seen.
    pub pageviews: i64,
    /// Key of the last row seen.
    pub key: Option<String>,
}

impl Cursor {
    /// The two bounds to bind; no cursor means: from the very top. `''` stands for a missing key.
    pub(crate) fn bounds(cursor: Option<&Self>) -> (i64, &str) {
        cursor.map_or((i64::MAX, ""), |c| (c.pageviews, c.key.as_deref().unwrap_or("")))
    }
}

/// What page views are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Path of the page.
    Path,
    /// Campaign or referring host; none = direct.
    Source,
    /// Client kind.
    Device,
    /// Country; none = unknown.
    Country,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 4] = [Self::Path, Self::Source, Self::Device, Self::Country];

    /// Its name in the roll-up table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Source => "source",
            Self::Device => "device",
            Self::Country => "country",
        }
    }
}

/// What web vitals are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Path of the page.
    Page,
    /// Client kind.
    Device,
    /// Release of the site; none = unnamed.
    Release,
    /// The whole site in one group, whose key is none.
    Site,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 4] = [Self::Page, Self::Device, Self::Release, Self::Site];

    /// Its name in the roll-up table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Device => "device",
            Self::Release => "release",
            Self::Site => "site",
        }
    }
}

/// Visitors and page views of one key.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct KeyCount {
    /// The key; none where the events had none (direct visits, unknown country).
    pub key: Option<String>,
    /// Distinct visitors.
    pub visitors: i64,
    /// Page views.
    pub pageviews: i64,
}

impl KeyCount {
    /// Where the page after this row begins.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { pageviews: self.pageviews, key: self.key.clone() }
    }
}

/// A step of a time series in microseconds, at least one second.
pub(crate) fn step_micros(step: Duration) -> i64 {
    i64::try_from(step.as_micros()).unwrap_or(i64::MAX).max(1_000_000)
}
