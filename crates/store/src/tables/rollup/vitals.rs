//! Counted vitals, read piece by piece because each row carries sketches; merging those is `insight`'s.

use std::collections::VecDeque;
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

/// The vitals of a span. Pieces of it are read by a statement each: a piece is answered from day rows or from hours,
/// whatever became of its days since the pieces were cut.
#[derive(Debug)]
pub struct Vitals<'a> {
    db: &'a Engine,
    span: Span<'a>,
    group: Group,
    pieces: Option<VecDeque<Piece>>,
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

macro_rules! vitals {
    ($engine:ident) => {
        concat!(
            "SELECT r.day, r.key, '', r.bot, r.vitals, 0, 0, 0 ",
            days!($engine "rollup_day_vital"),
            " UNION ALL SELECT r.hour, r.key, r.name, r.bot, r.sketch, r.good, r.needs_improvement, r.poor ",
            hours!($engine "rollup_vital")
        )
    };
}
const VITALS: Sql = sql!(sqlite: vitals!(sqlite), postgres: vitals!(postgres));

type VitalTuple = (Ts, String, String, bool, Vec<u8>, i64, i64, i64);

/// The vitals of the hours that begin in `span`, oldest piece first.
#[must_use]
pub fn stream_vitals<'a>(db: &'a Engine, span: &Span<'a>, group: Group) -> Vitals<'a> {
    Vitals { db, span: *span, group, pieces: None }
}

impl Vitals<'_> {
    /// The next rows: those of a few days, or of a few hours that are not folded; empty at the end.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer; the same page may be asked for again.
    pub async fn next_page(&mut self) -> Result<Vec<Vital>, Error> {
        if self.pieces.is_none() {
            self.pieces = Some(self.plan().await?);
        }
        while let Some(piece) = self.pieces.as_ref().and_then(|pieces| pieces.front()) {
            let rows = self.read(piece).await?;
            self.pieces.as_mut().and_then(VecDeque::pop_front);
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }

    async fn plan(&self) -> Result<VecDeque<Piece>, Error> {
        let days: Vec<(Ts, i64)> = ask!(
            self.db,
            "rollup.plan_vitals",
            query_as(PLAN).fetch_all,
            self.span.site,
            Ts(self.span.from),
            Ts(self.span.to),
        )?;
        Ok(cut(&self.span, days.into_iter().map(|(day, hours)| (day.0, hours))))
    }

    async fn read(&self, piece: &Piece) -> Result<Vec<Vital>, Error> {
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
        )?;
        Ok(rows.into_iter().map(Vital::from).collect())
    }
}

/// Cuts the span: days that are folded together, hours that are not apart.
fn cut(span: &Span<'_>, days: impl Iterator<Item = (Timestamp, i64)>) -> VecDeque<Piece> {
    let mut pieces: VecDeque<Piece> = VecDeque::new();
    for (day, hours) in days {
        let end = day.plus(DAY).min(span.to);
        let folded = day.plus(HOUR.saturating_mul(u32::try_from(hours).unwrap_or(0)));
        let mut at = day.max(span.from);
        if folded > day && day >= span.from && folded <= end {
            at = folded;
            match pieces.back_mut() {
                Some(run) if (1..DAYS_MAX).contains(&run.days) => {
                    (run.to, run.days) = (folded, run.days + 1);
                }
                _ => pieces.push_back(Piece { from: day, to: folded, days: 1 }),
            }
        }
        while at < end {
            let to = at.plus(LOOSE).min(end);
            pieces.push_back(Piece { from: at, to, days: 0 });
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

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![PLAN, VITALS]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bots;

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
