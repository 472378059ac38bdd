//! A store in a directory of its own, a recorder on it, a clock moved by hand, and events to record.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::agent::AgentClass;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy, Timestamp};
use mainstay_telemetry::metrics::Registry;
use tempfile::TempDir;
use uuid::Uuid;

use crate::tables::{
    custom_event, engagement, error_event, page_view, performance_metric, report, user_session,
};
use crate::{
    Batch, Bots, Database, Engine, Place, Record, Recorder, Settings, Span, Store, record,
};

/// 2026-11-22T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp::from_seconds(1_795_348_800);

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Clock,
    pub(crate) dir: TempDir,
    group: Group,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_with(&Settings::default()).await
    }

    pub(crate) async fn sqlite_with(settings: &Settings) -> Self {
        Self::open(settings, &Database::default()).await
    }

    /// A database of its own on the run's shared server: a copy of one whose schema was brought up to date once.
    pub(crate) async fn postgres() -> Self {
        let server = mainstay_testkit::Postgres::shared();
        let of = |database: &str| {
            let primary = Some(server.primary_url(database));
            Database { primary, pool_min: 0, pool_max: 4, ..Database::default() }
        };
        let template = match server.find_template("store") {
            Ok(template) => template,
            Err(unmade) => {
                let database = of(unmade.database());
                Self::open(&Settings::default(), &database).await.finish().await;
                unmade.finish()
            }
        };
        Self::open(&Settings::default(), &of(&server.copy_database(&template))).await
    }

    pub(crate) async fn open(settings: &Settings, database: &Database) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (data_dir, entropy) = (dir.path(), Entropy::System);
        let (database, clock) = (Some(database), Clock::fixed(NOON));
        let place = Place { settings, database, data_dir, clock: clock.clone(), entropy };
        let store = Store::open(place).await.unwrap();
        let group = Group::new();
        let registry =
            Registry::new(&mainstay_telemetry::settings::Metrics::default(), clock.clone());
        let recorder = store.start_recorder(settings, &group, &registry);
        Self { store, recorder, clock, dir, group }
    }

    pub(crate) fn core(&self) -> &Engine {
        self.store.core()
    }

    pub(crate) fn insight(&self) -> &Engine {
        self.store.insight()
    }

    pub(crate) async fn record(
        &self,
        records: impl IntoIterator<Item = Record>,
        visit: Option<user_session::Touch>,
    ) {
        self.try_record(records, visit).await.unwrap();
    }

    pub(crate) async fn try_record(
        &self,
        records: impl IntoIterator<Item = Record>,
        visit: Option<user_session::Touch>,
    ) -> Result<(), record::Error> {
        self.recorder
            .record(Batch { records: records.into_iter().collect(), visit })
            .await
            .map(drop)
    }

    /// Asks the recorder to end at once.
    pub(crate) fn stop_now(&self) {
        self.group.stop_now();
    }

    /// Stops the recorder; nothing may have crashed or hang.
    pub(crate) async fn stop(&self) {
        let last = Duration::from_secs(20);
        assert_eq!(self.group.finish(last, last).await, 0);
        assert_eq!(self.group.crashes(), []);
    }

    pub(crate) async fn finish(self) {
        self.stop().await;
        self.store.close().await.unwrap();
    }
}

/// Makes events that differ by a number; the number is minutes after [`NOON`] too.
#[derive(Clone, Copy)]
pub(crate) struct Sample(pub(crate) u32);

impl Sample {
    pub(crate) fn at(self) -> Timestamp {
        NOON.plus(Duration::from_secs(60 * u64::from(self.0)))
    }

    pub(crate) fn id(self) -> Uuid {
        Uuid::from_u128(0xabcd_0000 + u128::from(self.0))
    }

    pub(crate) fn event_id(self) -> String {
        format!("event-{:016}", self.0)
    }

    pub(crate) fn page_id(self) -> String {
        format!("page-{:016}", self.0)
    }

    pub(crate) fn view(self) -> page_view::Row {
        page_view::Row {
            id: self.event_id(),
            site: site(),
            recorded_at: self.at(),
            page_id: self.page_id(),
            session_id: Some(visitor(1)),
            visitor_id: Some(visitor(1)),
            path: "/".into(),
            referrer_host: None,
            referrer_path: None,
            source: None,
            campaign: None,
            device: AgentClass::Desktop,
            browser: Some("Firefox".into()),
            os: Some("Linux".into()),
            country: None,
            width: Some(1_280),
            release: None,
            bot_reason: None,
        }
    }

    pub(crate) fn vital(self, name: &str, value: f64, page_ms: i64) -> performance_metric::Row {
        performance_metric::Row {
            id: self.event_id(),
            site: site(),
            timestamp: self.at(),
            page_id: self.page_id(),
            session_id: None,
            metric_type: "core_web_vital".into(),
            metric_name: name.into(),
            value,
            page_ms,
            rating: "good".into(),
            navigation: "navigate".into(),
            url: "/".into(),
            device: AgentClass::Mobile,
            release: None,
            additional_data: None,
            bot: false,
        }
    }

    pub(crate) fn engagement(self, engaged_ms: i64, scroll_percent: i32) -> engagement::Row {
        engagement::Row {
            id: self.event_id(),
            site: site(),
            page_id: self.page_id(),
            recorded_at: self.at(),
            session_id: None,
            path: "/".into(),
            engaged_ms,
            scroll_percent,
            bot: false,
        }
    }

    pub(crate) fn error(self, fingerprint: &str, message: &str) -> error_event::Row {
        error_event::Row {
            id: self.event_id(),
            site: site(),
            timestamp: self.at(),
            fingerprint: fingerprint.into(),
            page_id: self.page_id(),
            session_id: None,
            visitor_id: Some(visitor(self.0)),
            error_type: "TypeError".into(),
            error_message: message.into(),
            error_stack: None,
            url: "/".into(),
            source: None,
            line_number: Some(1),
            column_number: Some(2),
            user_agent: None,
            release: None,
            bot: false,
        }
    }

    pub(crate) fn custom(self, name: &str) -> custom_event::Row {
        custom_event::Row {
            id: self.event_id(),
            site: site(),
            recorded_at: self.at(),
            page_id: self.page_id(),
            session_id: Some(visitor(1)),
            visitor_id: Some(visitor(1)),
            name: name.into(),
            path: "/".into(),
            props: None,
            revenue_amount: Some(9.5),
            revenue_currency: Some("EUR".into()),
            bot: false,
        }
    }

    pub(crate) fn report(self, fingerprint: u32) -> report::Row {
        report::Row {
            site: site(),
            fingerprint: Self(fingerprint).id(),
            report_type: "csp-violation".into(),
            name: "script-src-elem".into(),
            document: "/".into(),
            blocked: "inline".into(),
            source: "/".into(),
            line_number: Some(12),
            column_number: None,
            disposition: "enforce".into(),
            message: String::new(),
            user_agent: Some("Firefox 128 on Linux".into()),
            ip_address: "203.0.113.0".into(),
            count: 1,
            first_seen: self.at(),
            last_seen: self.at(),
        }
    }

    /// Visitor `who` is here, at this sample's time.
    pub(crate) fn touch(self, who: u32) -> user_session::Touch {
        user_session::Touch {
            session_id: visitor(who),
            site: site(),
            visitor_id: visitor(who),
            at: self.at(),
            ip_address: "203.0.113.0".into(),
            user_agent: Some("Firefox 128 on Linux".into()),
            referrer: None,
            source: None,
            country_code: Some("DE".into()),
            device: AgentClass::Desktop,
            browser: Some("Firefox".into()),
            os: Some("Linux".into()),
            bot: false,
        }
    }
}

pub(crate) fn site() -> Arc<str> {
    "default".into()
}

pub(crate) fn visitor(n: u32) -> Uuid {
    Uuid::from_u128(0x1000 + u128::from(n))
}

/// A day of people around [`NOON`].
pub(crate) fn day() -> Span<'static> {
    const HALF: Duration = Duration::from_secs(12 * 3_600);
    Span { site: "default", from: NOON.minus(HALF), to: NOON.plus(HALF), bots: Bots::Exclude }
}
