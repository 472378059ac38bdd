//! Visitors over time.

use std::collections::HashMap;
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_store::{Dimension, Engine, Error, Span, engagement, page_view, rollup, user_session};

use super::{Insight, fill, fitting, keys, split, steps};
use crate::rollup::HOUR;

/// One step of the series of visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisitorsPoint {
    /// Start of the step.
    pub t: Timestamp,
    /// Distinct visitors. Over counted hours: distinct in steps of an hour and of whole days; in steps between, the
    /// hours are added up.
    pub visitors: i64,
    /// Page views.
    pub pageviews: i64,
    /// Visits that began in the step and had one page view and no named event.
    pub bounces: i64,
    /// Milliseconds that pages were visible and in use.
    pub engaged_ms: i64,
}

type Points = HashMap<Timestamp, VisitorsPoint>;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) async fn list(
    insight: &Insight,
    span: &Span<'_>,
    step: Duration,
) -> Result<Vec<VisitorsPoint>, Error> {
    let insight = &insight.pinned();
    let db = insight.db();
    if !insight.is_long(span) {
        let step = fitting(span, step);
        let mut points = Points::new();
        add_raw(db, span, step, &mut points).await?;
        return Ok(fill(span, step, points, empty));
    }
    let step = whole_hours(fitting(span, step.max(HOUR)));
    let split = split(insight, span).await?;
    let mut points = Points::new();
    for row in rollup::series(db, &split.closed, step).await? {
        points.insert(
            row.t,
            VisitorsPoint {
                t: row.t,
                visitors: row.visitors,
                pageviews: row.pageviews,
                bounces: row.bounces,
                engaged_ms: row.engaged_ms,
            },
        );
    }
    add_raw(db, &split.tail, step, &mut points).await?;
    if step.as_secs().is_multiple_of(DAY.as_secs()) {
        count_daily_visitors(insight, span, (step, &split.closed), &mut points).await?;
    }
    Ok(fill(span, step, points, empty))
}

/// A counted hour cannot be cut.
fn whole_hours(step: Duration) -> Duration {
    HOUR.saturating_mul(u32::try_from(step.as_secs().div_ceil(HOUR.as_secs())).unwrap_or(u32::MAX))
}

fn empty(t: Timestamp) -> VisitorsPoint {
    VisitorsPoint { t, visitors: 0, pageviews: 0, bounces: 0, engaged_ms: 0 }
}

async fn add_raw(
    db: &Engine,
    span: &Span<'_>,
    step: Duration,
    points: &mut Points,
) -> Result<(), Error> {
    for row in page_view::series(db, span, step).await? {
        let point = points.entry(row.t).or_insert_with(|| empty(row.t));
        point.visitors += row.visitors;
        point.pageviews += row.pageviews;
    }
    for row in user_session::series(db, span, step).await? {
        points.entry(row.t).or_insert_with(|| empty(row.t)).bounces += row.bounces;
    }
    for row in engagement::series(db, span, step).await? {
        points.entry(row.t).or_insert_with(|| empty(row.t)).engaged_ms += row.engaged_ms;
    }
    Ok(())
}

/// Visitors of whole days, each once: the pseudonym depends on the device's user agent, so that a visitor has one
/// device kind a day and visitors by device add up to all of them.
async fn count_daily_visitors(
    insight: &Insight,
    span: &Span<'_>,
    (step, closed): (Duration, &Span<'_>),
    points: &mut Points,
) -> Result<(), Error> {
    let counted = rollup::sum_visitors(insight.db(), closed, Dimension::Device, step).await?;
    let counted: HashMap<_, _> = counted.into_iter().collect();
    for t in steps(span, step) {
        let Some(point) = points.get_mut(&t) else { continue };
        let part = Span { from: t.max(span.from), to: t.plus(step).min(span.to), ..*span };
        point.visitors = if part.to <= closed.to {
            counted.get(&t).copied().unwrap_or(0)
        } else {
            let devices = keys::count_long(insight, &part, Dimension::Device).await?;
            devices.iter().map(|row| row.visitors).sum()
        };
    }
    Ok(())
}
