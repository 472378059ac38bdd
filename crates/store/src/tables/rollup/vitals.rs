//! Counted vitals, read piece by piece because each row carries sketches; merging those is `insight`'s.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_base::Timestamp;

use super::HOUR;
use super::day::DAY;
use super::read::{days, hours, of_day};
use crate::ask::ask;
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Group, Span, Ts};

/// What was counted of one key, in an hour or in a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vital {
    /// Start of the hour or day.
    pub at: Timestamp,
    /// The key; none for the whole site or an unnamed release.
    pub key: Option<String>,
    /// People or bots.
    pub bot: bool,
    /// What was counted.
    pub counted: Counted,
}

/// See [`Vital`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// One vital, in an hour.
    Hour {
        /// `LCP`, `INP`, `CLS`, `FCP`, `TTFB`.
        name: String,
        /// Encoded, mergeable sketch of the values.
        sketch: Vec<u8>,
        /// Measurements rated good, as needing improvement, and poor.
        counts: [i64; 3],
    },
    /// All vitals, in the folded hours of a day: [`super::DayVitalRow::vitals`].
    Day(Vec<u8>),
}

/// The vitals of a span, in windows of keys: every page of a window tells of the same keys, so that those of a window are
/// complete at its end and nothing needs to be kept of them. A page is one piece of the span, read by one statement: it is
/// answered from day rows or from hours, whatever became of its days since the pieces were cut.
#[derive(Debug)]
pub struct Vitals<'a> {
    db: &'a Engine,
    span: Span<'a>,
    group: Group,
    pieces: Option<Vec<Piece>>,
    /// The next piece to read.
    at: usize,
    /// The window: from this key on, and before that one.
    from: String,
    to: Option<String>,
    /// Most rows of a page.
    pub(crate) rows_max: u32,
}

/// A piece of the span, of the keys of a window.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Ordered by key.
    pub vitals: Vec<Vital>,
    /// The window ends before this key, which may be less than earlier pages of the window told of: what they said of
    /// this key and those after it comes again.
    pub before: Option<String>,
    /// The window is complete.
    pub is_last: bool,
}

impl Page {
    /// What the page tells of the keys before this one: the window was narrowed after it had been read.
    pub fn narrow(&mut self, before: String) {
        self.before = lesser(self.before.take(), before);
        self.vitals.truncate(self.vitals.partition_point(|row| row.key < self.before));
    }
}

fn lesser(before: Option<String>, other: String) -> Option<String> {
    Some(match before {
        Some(before) => before.min(other),
        None => other,
    })
}

/// A part of a span that is read at once.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    from: Timestamp,
    to: Timestamp,
    /// Days whose day rows it is read from.
    days: u32,
}

/// Most days in a piece that is read from day rows.
const DAYS_MAX: u32 = 4;
/// Length of a piece that is read from hours: a row each for every key and vital.
const LOOSE: Duration = Duration::from_secs(4 * HOUR.as_secs());
/// Most rows of a page, and so of a window in any piece. One key has fewer, though all days of the piece be read from hours:
/// 96 hours, five vitals, people and bots.
const ROWS_MAX: u32 = 4_096;
/// After every key: a noncharacter (bytes of UTF-8 have the order of the code points), with which no path, device or
/// release begins.
const LAST: &str = "\u{10ffff}";

macro_rules! plan {
    ($day:literal) => {
        concat!(
            "SELECT day, hours FROM mainstay.rollup_day WHERE site = $1 AND day > $2 - ",
            $day,
            " AND day < $3 ORDER BY day"
        )
    };
}
const PLAN: Sql = sql!(sqlite: plan!("86400000000"), postgres: plan!("INTERVAL '24 hours'"));

/// Of each day those rows that `$days` says; the hours together between `$open` and `$close`.
macro_rules! vitals {
    ($engine:ident, $days:literal, $open:literal, $close:literal) => {
        concat!(
            "SELECT r.day, r.key, '', r.bot, r.vitals, 0, 0, 0 ",
            days!($engine "rollup_day_vital", $days),
            " UNION ALL ",
            $open,
            "SELECT r.hour, r.key, r.name, r.bot, r.sketch, r.good, r.needs_improvement, r.poor ",
            hours!($engine "rollup_vital", " AND r.key >= $7 AND r.key < $8"),
            " ORDER BY 2 LIMIT ",
            $close
        )
    };
}
/// PostgreSQL has each day's first rows in the order of its key, and sorts nothing: what is sorted there is written aside
/// with its sketches. The days are put together here.
const VITALS: Sql = sql!(
    sqlite: vitals!(sqlite, " AND r.key >= $7 AND r.key < $8", "", "min($9, $10)"),
    postgres: vitals!(postgres, " AND r.key >= $7 AND r.key < $8 ORDER BY r.key LIMIT $10", "(", "$9)"),
);

type VitalTuple = (Ts, String, String, bool, Vec<u8>, i64, i64, i64);

/// The vitals of the hours that begin in `span`: the first keys first, newest piece first.
#[must_use]
pub fn stream_vitals<'a>(db: &'a Engine, span: &Span<'a>, group: Group) -> Vitals<'a> {
    let (from, to) = (String::new(), None);
    Vitals { db, span: *span, group, pieces: None, at: 0, from, to, rows_max: ROWS_MAX }
}

impl Vitals<'_> {
    /// The next rows: those of a few days, or of a few hours that are not folded; none at the end.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer; the same page may be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Page>, Error> {
        if self.pieces.is_none() {
            self.pieces = Some(self.plan().await?);
        }
        let pieces = self.pieces.as_deref().unwrap_or_default();
        let Some(piece) = pieces.get(self.at) else { return Ok(None) };
        let is_last = self.at + 1 == pieces.len();
        let day_rows_max = match self.db {
            Engine::Sqlite(_) => self.rows_max,
            // Two of a key, people and bots, and one of the next at least.
            Engine::Postgres(_) => (self.rows_max / piece.days.max(1)).max(3),
        };
        let mut vitals = self.read(piece, day_rows_max).await?;
        if let Some(before) = cut_full(&mut vitals, self.rows_max, day_rows_max) {
            self.to = Some(before);
        }
        self.at += 1;
        let before = self.to.clone();
        if is_last && let Some(to) = self.to.take() {
            (self.from, self.at) = (to, 0);
        }
        Ok(Some(Page { vitals, before, is_last }))
    }

    /// Ends the window before this key, one of those that were told of and not the first: what was said of it and of those
    /// after it comes again. Where the window was complete, the next one begins with it.
    pub fn narrow(&mut self, before: String) {
        if self.at == 0 {
            self.from = before.min(std::mem::take(&mut self.from));
        } else if self.pieces.as_ref().is_some_and(|pieces| self.at == pieces.len()) {
            (self.from, self.at) = (before, 0);
        } else {
            self.to = lesser(self.to.take(), before);
        }
    }

    async fn plan(&self) -> Result<Vec<Piece>, Error> {
        let days: Vec<(Ts, i64)> = ask!(
            self.db,
            "rollup.plan_vitals",
            query_as(PLAN).fetch_all,
            self.span.site,
            Ts(self.span.from),
            Ts(self.span.to),
        )?;
        let mut pieces = cut(&self.span, days.into_iter().map(|(day, hours)| (day.0, hours)));
        // Hours are the newest ones mostly, and have the most rows of a key: how many keys a window can have shows first.
        pieces.reverse();
        Ok(pieces)
    }

    async fn read(&self, piece: &Piece, day_rows_max: u32) -> Result<Vec<Vital>, Error> {
        let (low, high) = self.span.bots.bounds();
        let rows: Vec<VitalTuple> = ask!(
            self.db,
            "rollup.stream_vitals",
            query_as(VITALS).fetch_all,
            self.span.site,
            self.group.as_str(),
            Ts(piece.from),
            Ts(piece.to),
            low,
            high,
            self.from.as_str(),
            self.to.as_deref().unwrap_or(LAST),
            i64::from(self.rows_max),
            i64::from(day_rows_max),
        )?;
        Ok(rows.into_iter().map(Vital::from).collect())
    }
}

/// Orders what was read by key, and leaves out the keys of which there may be more: from the last key on of those days
/// (and of the hours together) that have as many rows as may be read at once. Answers the first that is left out.
fn cut_full(vitals: &mut Vec<Vital>, rows_max: u32, day_rows_max: u32) -> Option<String> {
    let mut days: BTreeMap<Option<Timestamp>, (u32, usize)> = BTreeMap::new();
    vitals.sort_by(|one, other| one.key.cmp(&other.key));
    for (at, row) in vitals.iter().enumerate() {
        let day = matches!(row.counted, Counted::Day(_)).then_some(row.at);
        let (rows, last) = days.entry(day).or_default();
        (*rows, *last) = (*rows + 1, at);
    }
    let ends = days.into_iter().filter_map(|(day, (rows, last))| {
        let max = if day.is_some() { day_rows_max } else { rows_max };
        (rows >= max).then_some(last)
    });
    let page = Some(rows_max as usize - 1).filter(|last| *last < vitals.len());
    let last = ends.chain(page).min()?;
    vitals.truncate(last + 1);
    cut_last_key(vitals)
}

/// Leaves out the last key of a full page, of which there may be more, and answers it. A key alone never fills a page.
fn cut_last_key(vitals: &mut Vec<Vital>) -> Option<String> {
    let last = vitals.last()?.key.clone();
    let kept = vitals.partition_point(|row| row.key < last);
    if kept == 0 {
        return None;
    }
    vitals.truncate(kept);
    last
}

/// Cuts the span: days that are folded together, hours that are not apart.
fn cut(span: &Span<'_>, days: impl Iterator<Item = (Timestamp, i64)>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (day, hours) in days {
        let end = day.plus(DAY).min(span.to);
        let folded = day.plus(HOUR.saturating_mul(u32::try_from(hours).unwrap_or(0)));
        let mut at = day.max(span.from);
        if folded > day && day >= span.from && folded <= end {
            at = folded;
            match pieces.last_mut() {
                Some(run) if (1..DAYS_MAX).contains(&run.days) => {
                    (run.to, run.days) = (folded, run.days + 1);
                }
                _ => pieces.push(Piece { from: day, to: folded, days: 1 }),
            }
        }
        while at < end {
            let to = at.plus(LOOSE).min(end);
            pieces.push(Piece { from: at, to, days: 0 });
            at = to;
        }
    }
    pieces
}

impl From<VitalTuple> for Vital {
    fn from(row: VitalTuple) -> Self {
        let (at, key, name, bot, bytes, good, needs_improvement, poor) = row;
        let counted = if name.is_empty() {
            Counted::Day(bytes)
        } else {
            Counted::Hour { name, sketch: bytes, counts: [good, needs_improvement, poor] }
        };
        Self { at: at.0, key: (!key.is_empty()).then_some(key), bot, counted }
    }
}

/// What is asked, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![PLAN, VITALS]
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::Bots;
    use crate::contract::{NOON, connect_to_planner};

    /// What comes from day rows comes in the order of their key: beside the hours nothing is sorted.
    #[tokio::test]
    async fn no_day_row_is_sorted_by_the_server() {
        let mut conn = connect_to_planner().await;
        let text = AssertSqlSafe(format!("EXPLAIN {}", VITALS.postgres));
        let plan: Vec<String> = sqlx::query_scalar(text)
            .bind("default")
            .bind("page")
            .bind(Ts(NOON))
            .bind(Ts(NOON.plus(DAY)))
            .bind(false)
            .bind(false)
            .bind("")
            .bind(LAST)
            .bind(i64::from(ROWS_MAX))
            .bind(i64::from(ROWS_MAX))
            .fetch_all(&mut conn)
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert_eq!(plan.matches("Sort Key").count(), 1, "{plan}");
        assert!(
            plan.contains("Sort Key: r_1.key") && plan.contains("rollup_day_vital_pkey"),
            "{plan}"
        );
    }

    #[test]
    fn a_page_ends_where_a_day_may_have_more() {
        let day = |n: u32, key: &str| Vital {
            at: Timestamp::EPOCH.plus(DAY * n),
            key: Some(key.into()),
            bot: false,
            counted: Counted::Day(Vec::new()),
        };
        let check = |rows: &[(u32, &str)], kept: &[&str], before: Option<&str>| {
            let mut vitals: Vec<_> = rows.iter().map(|(n, key)| day(*n, key)).collect();
            assert_eq!(cut_full(&mut vitals, 6, 3).as_deref(), before);
            let found: Vec<_> = vitals.iter().map(|row| row.key.as_deref().unwrap()).collect();
            assert_eq!(found, kept);
        };
        check(&[(1, "a"), (1, "b"), (0, "a"), (0, "c")], &["a", "a", "b", "c"], None);
        let full = [(1, "a"), (1, "b"), (1, "d"), (0, "b"), (0, "e")];
        check(&full, &["a", "b", "b"], Some("d"));
        let both = [(1, "a"), (1, "b"), (1, "d"), (0, "b"), (0, "c"), (0, "d")];
        check(&both, &["a", "b", "b", "c"], Some("d"));
        let page = [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (3, "b"), (4, "a")];
        check(&page, &["a", "a", "a", "a"], Some("b"));
        check(&[], &[], None);
    }

    #[test]
    fn folded_days_are_read_together_and_loose_hours_apart() {
        let hour = |n: u32| Timestamp::EPOCH.plus(HOUR * n);
        let day = |n: u32, hours| (hour(24 * n), hours);
        let cut = |from, to, days: &[(Timestamp, i64)]| {
            let span =
                Span { site: "default", from: hour(from), to: hour(to), bots: Bots::Exclude };
            let pieces = super::cut(&span, days.iter().copied());
            let found = |p: Piece| {
                let at = |t: Timestamp| t.since(Timestamp::EPOCH).as_secs() / HOUR.as_secs();
                (at(p.from), at(p.to), p.days)
            };
            pieces.into_iter().map(found).collect::<Vec<_>>()
        };
        // The first day in part, a gap, and the last one folded as far as it was counted.
        let days = [day(0, 24), day(1, 24), day(2, 24), day(4, 24), day(5, 7)];
        assert_eq!(cut(20, 132, &days), [(20, 24, 0), (24, 127, 4), (127, 131, 0), (131, 132, 0)]);
        let month: Vec<_> = (0..9).map(|n| day(n, 24)).collect();
        assert_eq!(cut(0, 216, &month), [(0, 96, 4), (96, 192, 4), (192, 216, 1)]);
        // What is folded goes beyond the span.
        assert_eq!(cut(0, 6, &[day(0, 7)]), [(0, 4, 0), (4, 6, 0)]);
        assert_eq!(cut(0, 7, &[day(0, 7)]), [(0, 7, 1)]);
        assert_eq!(cut(0, 4, &[day(0, 0)]), [(0, 4, 0)]);
        assert_eq!(cut(0, 96, &[]), []);
    }
}
