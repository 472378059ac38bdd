//! A room on a store of its own with a month of events in it; its clock is moved by hand.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy, Timestamp};
use mainstay_insight::query::{ALL_SITES, Bots, Span};
use mainstay_insight::{Context, Insight, Settings};
use mainstay_store::{Database, Place, Store, rollup, traffic};
use mainstay_telemetry::http::HttpMetrics;
use mainstay_telemetry::metrics::Registry;
use tempfile::TempDir;

use crate::month::{self, Month, SITE};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Batches that are under way together.
const TOGETHER: usize = 256;
/// How long before midnight the clock stands at last.
const BEFORE_MIDNIGHT: Duration = Duration::from_secs(600);

pub(crate) struct House {
    pub(crate) insight: Insight,
    store: Store,
    context: Context,
    clock: Clock,
    group: Group,
    _dir: TempDir,
}

impl House {
    pub(crate) async fn open(parent: &Path, database: &Database) -> Self {
        let dir = tempfile::tempdir_in(parent).expect("a folder");
        let clock = Clock::fixed(month::begin());
        let settings = mainstay_store::Settings::default();
        let metrics = mainstay_telemetry::Settings::default().metrics;
        let registry = Registry::new(&metrics, clock.clone());
        let place = Place {
            database: Some(database),
            ..Place::files(&settings, dir.path(), clock.clone())
        };
        let store = Store::open(place).await.expect("a store");
        let group = Group::new();
        let context = Context {
            sites: vec![SITE.into()],
            store: store.clone(),
            recorder: store.start_recorder(&settings, &group, &registry),
            http: HttpMetrics::new(&registry, &metrics),
            registry,
            clock: clock.clone(),
            entropy: Entropy::System,
        };
        // Nothing else differs from the defaults: hours are counted one round after the other.
        let rollup_every = mainstay_base::units::Span(Duration::from_millis(1));
        let settings = Settings { rollup_every, ..Settings::default() };
        let insight = Insight::open(settings, context.clone()).await.expect("a room");
        Self { insight, store, context, clock, group, _dir: dir }
    }

    /// Records so many events, spread over the month; answers how many they were.
    pub(crate) async fn feed(&mut self, events: u64) -> u64 {
        let mut month = Month::new(events);
        loop {
            let batches: Vec<_> =
                std::iter::from_fn(|| month.next_batch()).take(TOGETHER).collect();
            if batches.is_empty() {
                break;
            }
            self.clock.advance(month.now().since(self.clock.now()));
            let recorded = batches.into_iter().map(|batch| self.context.recorder.record(batch));
            for outcome in join_all(recorded).await {
                outcome.expect("recorded");
            }
        }
        self.clock.advance(self.end().since(self.clock.now()));
        self.sample_traffic().await;
        month.made()
    }

    /// Samples of requests as the product keeps them: of 5 minutes, and of 10 seconds for the last day.
    async fn sample_traffic(&self) {
        let fine_since = self.end().minus(DAY).floor_to(HOUR);
        for (from, to, step_s) in [(month::begin(), fine_since, 300), (fine_since, self.end(), 10)]
        {
            let step = Duration::from_secs(step_s.into());
            let times = std::iter::successors(Some(from), |t| Some(t.plus(step)));
            let times: Vec<_> = times.take_while(|t| *t < to).collect();
            for times in times.chunks(1_000) {
                let rows: Vec<_> = times
                    .iter()
                    .flat_map(|t| [SITE, ALL_SITES].map(|site| (site, month::traffic(*t, step_s))))
                    .collect();
                traffic::insert(self.store.insight(), step_s, &rows).await.expect("samples");
            }
        }
    }

    /// Lets the product count every hour that is over, and fold them.
    pub(crate) async fn count_hours(&self) {
        self.insight.spawn(&self.group);
        let (db, over) = (self.store.insight().latest(), self.end().floor_to(HOUR));
        loop {
            let mark = rollup::watermark(&db, SITE).await.expect("a mark");
            let is_counted = rollup::list_dirty(&db, None, 1).await.expect("hours").is_empty();
            // Of the last two hours none is folded yet.
            let settled = over.minus(2 * HOUR);
            let unfolded = rollup::list_unfolded(&db, SITE, settled, 1).await.expect("days");
            if mark == Some(over) && is_counted && unfolded.is_empty() {
                return;
            }
            tokio::time::sleep(SECOND / 10).await;
        }
    }

    /// What the console asks for: whole steps up to now.
    pub(crate) fn month(&self) -> Span<'static> {
        let from = self.end().minus(30 * DAY).floor_to(6 * HOUR);
        Span { site: SITE, from, to: self.end().plus(SECOND), bots: Bots::Exclude }
    }

    fn end(&self) -> Timestamp {
        month::begin().plus(month::DAYS * DAY).minus(BEFORE_MIDNIGHT)
    }

    pub(crate) async fn close(self) {
        let last = Duration::from_secs(60);
        assert_eq!(self.group.finish(last, SECOND).await, 0);
        assert_eq!(self.group.crashes(), []);
        self.store.close().await.expect("closed");
    }
}
