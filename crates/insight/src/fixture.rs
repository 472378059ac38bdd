//! A room on real files with a clock moved by hand, for the tests of this crate.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy, Timestamp};
use mainstay_store::{Bots, Database, Place, Span, Store};
use mainstay_telemetry::http::HttpMetrics;
use mainstay_telemetry::metrics::Registry;
use tempfile::TempDir;

use crate::intake::{Error, Sender};
use crate::{Context, Insight, Settings};

pub(crate) const FIREFOX: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
pub(crate) const CURL: &str = "curl/8.5.0";
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct House {
    pub(crate) insight: Insight,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    group: Group,
    dir: Arc<TempDir>,
}

/// 2026-11-22T00:00:00Z.
pub(crate) fn midnight() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T00:00:00Z").expect("a time")
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_at(midnight().plus(10 * HOUR)).await
    }

    pub(crate) async fn open_at(at: Timestamp) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        Self::open_in(dir, Clock::fixed(at), Settings::default()).await
    }

    /// On a database, or on files when none is set.
    pub(crate) async fn open_with(at: Timestamp, database: &Database) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        Self::open_store(dir, Clock::fixed(at), Settings::default(), database).await
    }

    /// On what lies in a directory already, well or not.
    pub(crate) async fn open_on(dir: TempDir) -> Self {
        let clock = Clock::fixed(midnight().plus(10 * HOUR));
        Self::open_in(Arc::new(dir), clock, Settings::default()).await
    }

    async fn open_in(dir: Arc<TempDir>, clock: Clock, settings: Settings) -> Self {
        Self::open_store(dir, clock, settings, &Database::default()).await
    }

    async fn open_store(
        dir: Arc<TempDir>,
        clock: Clock,
        settings: Settings,
        database: &Database,
    ) -> Self {
        let group = Group::new();
        let store_settings = mainstay_store::Settings {
            reopen_every: mainstay_base::units::Span(Duration::from_millis(10)),
            ..Default::default()
        };
        let metrics = mainstay_telemetry::Settings::default().metrics;
        let registry = Registry::new(&metrics, clock.clone());
        let place = Place {
            database: Some(database),
            ..Place::files(&store_settings, dir.path(), clock.clone())
        };
        let store = Store::open_or_away(place).await.expect("a store");
        let context = Context {
            sites: vec!["default".into()],
            recorder: store.start_recorder(&store_settings, &group, &registry),
            store: store.clone(),
            registry: registry.clone(),
            http: HttpMetrics::new(&registry, &metrics),
            clock: clock.clone(),
            entropy: Entropy::System,
        };
        let insight = Insight::open(settings, context).await.expect("a room");
        Self { insight, clock, store, registry, group, dir }
    }

    /// A second room on the same store.
    pub(crate) async fn with_settings(&self, settings: Settings) -> Insight {
        Insight::open(settings, self.insight.0.context.clone()).await.expect("a room")
    }

    /// The same files after a restart.
    pub(crate) async fn reopen(self) -> Self {
        let (dir, clock) = (Arc::clone(&self.dir), self.clock.clone());
        self.close().await;
        Self::open_in(dir, clock, Settings::default()).await
    }

    pub(crate) async fn close(self) {
        self.stop_recorder().await;
        self.store.close().await.expect("closed");
    }

    pub(crate) async fn stop_recorder(&self) {
        assert_eq!(self.group.finish(10 * SECOND, SECOND).await, 0);
        assert_eq!(self.group.crashes(), []);
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn sender<'a>(&self, client: &str, user_agent: &'a str) -> Sender<'a> {
        Sender {
            client: client.parse::<IpAddr>().expect("an address"),
            user_agent,
            opted_out: false,
            prefetch: false,
            received: self.clock.now(),
            site: "default".into(),
        }
    }

    /// A person's events, from 192.0.2.1.
    pub(crate) async fn send(&self, body: &str) -> Result<(), Error> {
        self.insight.accept(&self.sender("192.0.2.1", FIREFOX), body.as_bytes()).await.map(drop)
    }

    /// People on the default site during the last `back` and the next second.
    pub(crate) fn last(&self, back: Duration) -> Span<'static> {
        let now = self.clock.now();
        Span { site: "default", from: now.minus(back), to: now.plus(SECOND), bots: Bots::Exclude }
    }

    /// The value of one series as a scrape shows it.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let text = self.registry.encode_text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// Every byte of every file under the data directory.
    pub(crate) fn files(&self) -> Vec<u8> {
        let entries = std::fs::read_dir(self.dir()).expect("readable");
        let paths =
            entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
        paths.flat_map(|path| std::fs::read(path).expect("readable")).collect()
    }
}

/// An id of 22 characters.
pub(crate) fn id(n: u64) -> String {
    format!("id-{n:019}")
}

/// A request with one page view; the page's and the event's id are made of `n`.
pub(crate) fn page_view(n: u64, url: &str) -> String {
    let (page, id) = (id(n), id(n));
    format!(
        r#"{{"v":1,"page":"{page}","url":"{url}","events":[{{"id":"{id}","type":"pageview","t":0}}]}}"#
    )
}

/// A request with these events of the page `n`.
pub(crate) fn events(n: u64, url: &str, events: &str) -> String {
    format!(r#"{{"v":1,"page":"{}","url":"{url}","events":[{events}]}}"#, id(n))
}

/// A vital of the page `page`.
pub(crate) fn vital(n: u64, name: &str, value: f64, page_ms: u64) -> String {
    format!(r#"{{"id":"{}","type":"vital","t":{page_ms},"name":"{name}","value":{value}}}"#, id(n))
}
