//! What the console asks for its view of 30 days (`console/src/state/history.ts`), as the API asks the room.

use std::time::Duration;

use mainstay_insight::Insight;
use mainstay_insight::query::{Group, Span};
use mainstay_store::Error;

const DAY: Duration = Duration::from_secs(86_400);
/// The view's step.
const STEP: Duration = Duration::from_secs(21_600);
/// Rows of a ranking.
const RANK_ROWS: u32 = 50;
/// Rows of one page of a list that is read whole.
const LIST_ROWS: u32 = 1_000;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Panel {
    Traffic,
    Visitors,
    Days,
    Pages,
    Sources,
    Devices,
    Countries,
    Reports,
    Errors,
    Vitals(Group),
}

impl Panel {
    pub(crate) const ALL: [Self; 13] = [
        Self::Traffic,
        Self::Visitors,
        Self::Days,
        Self::Pages,
        Self::Sources,
        Self::Devices,
        Self::Countries,
        Self::Reports,
        Self::Errors,
        Self::Vitals(Group::Site),
        Self::Vitals(Group::Page),
        Self::Vitals(Group::Device),
        Self::Vitals(Group::Release),
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Vitals(by) => format!("vitals by {}", by.as_str()),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    /// The panel's rows; there are some.
    pub(crate) async fn ask(self, insight: &Insight, span: &Span<'_>) -> Result<usize, Error> {
        let rows = match self {
            Self::Traffic => insight.list_traffic(span, STEP).await?.len(),
            Self::Visitors => insight.list_visitors(span, STEP).await?.len(),
            Self::Days => insight.list_visitors(span, DAY).await?.len(),
            Self::Pages => insight.list_pages(span, None, RANK_ROWS).await?.len(),
            Self::Sources => insight.list_sources(span, None, RANK_ROWS).await?.len(),
            Self::Devices => insight.list_devices(span, None, RANK_ROWS).await?.len(),
            Self::Countries => insight.list_countries(span, None, RANK_ROWS).await?.len(),
            Self::Reports => insight.list_reports(span, None, RANK_ROWS).await?.len(),
            Self::Errors => insight.list_errors(span, None, LIST_ROWS).await?.len(),
            Self::Vitals(by) => insight.list_vitals(span, by).await?.len(),
        };
        assert!(rows > 0, "{} is empty", self.name());
        Ok(rows)
    }
}
