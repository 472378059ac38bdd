//! What the live view shows of the site's visitors, computed once for everybody who looks; pushes nothing by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_store::{Error, KeyCount, Span, page_view};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Insight;
use crate::query::{Bots, ErrorGroup, Group, PRESENT, VitalRow, list_vitals_merged};

const MINUTES: Duration = Duration::from_secs(30 * 60);
const DAY: Duration = Duration::from_secs(86_400);
const KEYS: u32 = 8;
const ERRORS: u32 = 5;

/// Never more often than this: less than the second between two snapshots, so that each finds the news before it.
const AT_MOST_EVERY: Duration = Duration::from_millis(900);
/// Without news only time moves the windows on.
const WITHOUT_NEWS_EVERY: Duration = Duration::from_secs(5);
/// Share of time that may be spent computing: one part in this many.
const DUTY: u32 = 20;

/// The present of one site, people only.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// People with a page view in the last five minutes.
    pub visitors_now: i64,
    /// Page views of the last 30 minutes, one entry a minute, oldest first, the last one still running.
    pub pageviews_30m: Vec<i64>,
    /// Pages of the last 30 minutes.
    pub pages: Vec<KeyCount>,
    /// Sources of the last 30 minutes; none as key = direct.
    pub sources: Vec<KeyCount>,
    /// Web vitals of the last 24 hours, whole site, in the order of [`crate::vitals::Vital::ALL`].
    pub vitals: Vec<VitalRow>,
    /// The JavaScript errors of the last 24 hours that matter most; see [`Insight::list_worst_errors`].
    pub js_errors: Vec<ErrorGroup>,
}

/// The last overview of each site.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<String, Kept>>);

#[derive(Debug)]
struct Kept {
    overview: Arc<Overview>,
    commits: u64,
    at: Instant,
    took: Duration,
}

impl Kept {
    /// Good enough when nothing was recorded since, or when computing again would take too large a share of time.
    fn is_fresh(&self, commits: u64) -> bool {
        let age = self.at.elapsed();
        let every = AT_MOST_EVERY.max(self.took.saturating_mul(DUTY));
        age < every || (self.commits == commits && age < every.max(WITHOUT_NEWS_EVERY))
    }
}

impl Insight {
    /// The present of one of the configured sites: at most a second old, older only when nothing happened since or
    /// when the site is so busy that computing it takes long.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_overview(&self, site: &str) -> Result<Arc<Overview>, Error> {
        let commits = *self.0.context.recorder.committed().borrow();
        let mut kept = self.0.live.0.lock().await;
        if let Some(known) = kept.get(site).filter(|known| known.is_fresh(commits)) {
            return Ok(Arc::clone(&known.overview));
        }
        let at = Instant::now();
        let overview = Arc::new(read(self, site).await?);
        // Names of sites that are not ours, or no longer, must not fill the memory.
        let sites = self.list_sites();
        let is_ours = |name: &str| sites.iter().any(|ours| **ours == *name);
        kept.retain(|name, _| is_ours(name));
        if is_ours(site) {
            let took = at.elapsed();
            let known = Kept { overview: Arc::clone(&overview), commits, at, took };
            kept.insert(site.to_owned(), known);
        }
        Ok(overview)
    }
}

async fn read(insight: &Insight, site: &str) -> Result<Overview, Error> {
    let db = insight.db();
    let now = insight.0.context.clock.now();
    // The end is exclusive and this very microsecond counts.
    let to = now.plus(Duration::from_micros(1));
    let minutes = now.floor_to(Duration::from_secs(60)).plus(Duration::from_secs(60));
    let recent = Span { site, from: minutes.minus(MINUTES), to, bots: Bots::Exclude };
    let day = Span { from: now.minus(DAY), ..recent };
    let mut vitals = list_vitals_merged(insight, &day, Group::Site).await?;
    vitals.sort_by_key(|row| row.vital);
    Ok(Overview {
        visitors_now: page_view::visitors_since(db, site, now.minus(PRESENT), Bots::Exclude)
            .await?,
        pageviews_30m: page_view::pageviews_per_minute(db, &recent).await?,
        pages: insight.list_pages(&recent, None, KEYS).await?,
        sources: insight.list_sources(&recent, None, KEYS).await?,
        vitals,
        js_errors: insight.list_worst_errors(&day, ERRORS).await?,
    })
}

#[cfg(test)]
mod tests;
