//! One stream of events, late and repeated ones among them, into files, daily partitions and hypertables: all three give
//! the same answers, from events, from hours and from day rows, and those are what the stream itself says.
//! `MAINSTAY_EVENTS` names a longer stream.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use mainstay_base::agent::AgentClass;
use mainstay_base::units::Span as Time;
use mainstay_store::{
    Batch, Database, Record, engagement, page_view, performance_metric, user_session,
};
use mainstay_testkit::{Postgres, Timescale};
use uuid::Uuid;

use super::tests::ask;
use super::*;
use crate::fixture::{House, midnight};
use crate::query::Windows;
use crate::settings::Settings;
use crate::vitals::Vital;

mod folded;

use folded::assert_folded;

/// Events of the short form.
const EVENTS: u64 = 5_000;
/// Most events that go into hypertables: they take PGlite three minutes and 2.5 GB, both of which grow faster than they do.
const TIMESCALE_MAX: u64 = 500_000;
const EVENTS_PER_BATCH: u64 = 10;
/// Batches that are under way together. PGlite's server is lost after some three hundred.
const TOGETHER: usize = 64;
/// Times at which hours are counted meanwhile.
const ROUNDS: u64 = 4;
/// Of a database that runs in a virtual machine of JavaScript.
const PATIENCE: Time = Time::seconds(120);
const LASTS: Duration = Duration::from_secs(30 * 3_600);

/// Steele, Lea and Flood's SplitMix64: the same stream for every engine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// Somebody's look at a page.
#[derive(Clone)]
struct Page {
    id: String,
    path: String,
    visitor: u64,
}

struct Stream {
    random: Random,
    events: u64,
    made: u64,
    pages: VecDeque<Page>,
    /// Batches that may be sent again.
    sent: VecDeque<Batch>,
    truth: Truth,
}

/// What the stream says by itself, of people.
#[derive(Default)]
struct Truth {
    views: HashSet<String>,
    /// The value that wins, by page and name.
    vitals: HashMap<(String, String), (i64, f64)>,
    late: u64,
    repeated: u64,
}

impl Stream {
    fn new(events: u64) -> Self {
        Self {
            random: Random(7),
            events,
            made: 0,
            pages: VecDeque::new(),
            sent: VecDeque::new(),
            truth: Truth::default(),
        }
    }

    fn now(&self) -> Timestamp {
        let share = self.made as f64 / self.events as f64;
        midnight().plus(Duration::from_micros((LASTS.as_micros() as f64 * share) as u64))
    }

    /// The next batch, when there is one. One in twenty comes hours late, one in twenty comes again.
    fn next(&mut self) -> Option<Batch> {
        if self.made >= self.events {
            return None;
        }
        let now = self.now();
        self.made += EVENTS_PER_BATCH;
        if self.random.below(20) == 0 && !self.sent.is_empty() {
            let old = self.random.below(self.sent.len() as u64) as usize;
            self.truth.repeated += EVENTS_PER_BATCH;
            return Some(at_another_time(&self.sent[old], now));
        }
        let mut at = now;
        if self.random.below(20) == 0 {
            self.truth.late += EVENTS_PER_BATCH;
            at = now.minus(Duration::from_secs(3_600 + self.random.below(8 * 3_600)));
            at = at.max(midnight());
        }
        let visitor = self.random.below(1 + self.events / 100);
        let records = (0..EVENTS_PER_BATCH).map(|n| self.event(visitor, at, n)).collect();
        let batch = Batch { records, visit: Some(touch(visitor, at)) };
        self.sent.push_back(batch.clone());
        if self.sent.len() > 500 {
            self.sent.pop_front();
        }
        Some(batch)
    }

    fn event(&mut self, visitor: u64, at: Timestamp, n: u64) -> Record {
        let id = format!("event-{:018}", self.made + n);
        let kind = self.random.below(20);
        if kind < 9 || self.pages.is_empty() {
            let path = format!("/p{}", self.random.below(40) * self.random.below(3));
            let page = Page { id: format!("page-{:019}", self.made + n), path, visitor };
            self.pages.push_back(page.clone());
            if self.pages.len() > 400 {
                self.pages.pop_front();
            }
            if !is_bot(visitor) {
                self.truth.views.insert(id.clone());
            }
            return Record::PageView(view(id, &page, at));
        }
        let old = self.random.below(self.pages.len() as u64) as usize;
        let page = self.pages[old].clone();
        if kind < 17 {
            let (name, scale) = [("LCP", 6_000.0), ("CLS", 0.5), ("INP", 700.0)][old % 3];
            let value = scale * (1.0 + self.random.below(100_000) as f64) / 100_000.0;
            let page_ms = (self.made + n).cast_signed();
            if !is_bot(page.visitor) {
                let key = (page.id.clone(), name.to_owned());
                self.truth.vitals.insert(key, (page_ms, value));
            }
            return Record::Vital(vital(id, &page, at, (name, value, page_ms)));
        }
        let ms = self.random.below(60_000).cast_signed();
        Record::Engagement(engaged(id, &page, at, ms))
    }
}

fn is_bot(visitor: u64) -> bool {
    visitor % 11 == 3
}

fn site() -> Arc<str> {
    "default".into()
}

fn device(visitor: u64) -> AgentClass {
    if visitor.is_multiple_of(3) { AgentClass::Mobile } else { AgentClass::Desktop }
}

/// A visitor's name of a day.
fn name(visitor: u64, at: Timestamp) -> Uuid {
    Uuid::from_u128(
        u128::from(at.floor_to(DAY).as_seconds().cast_unsigned()) << 64 | u128::from(visitor),
    )
}

fn source(visitor: u64) -> Option<Arc<str>> {
    (!visitor.is_multiple_of(4)).then(|| format!("s{}", visitor % 4).into())
}

fn view(id: String, page: &Page, at: Timestamp) -> page_view::Row {
    let visitor = page.visitor;
    page_view::Row {
        id,
        site: site(),
        recorded_at: at,
        page_id: page.id.clone(),
        session_id: Some(name(visitor, at)),
        visitor_id: Some(name(visitor, at)),
        path: page.path.clone(),
        referrer_host: None,
        referrer_path: None,
        source: source(visitor),
        campaign: None,
        device: device(visitor),
        browser: Some("Firefox".into()),
        os: Some("Linux".into()),
        country: (!visitor.is_multiple_of(5)).then(|| ["DE", "FR"][visitor as usize % 2].into()),
        width: Some(1_280),
        release: None,
        bot_reason: is_bot(visitor).then(|| "agent".into()),
    }
}

fn vital(
    id: String,
    page: &Page,
    at: Timestamp,
    (name, value, page_ms): (&str, f64, i64),
) -> performance_metric::Row {
    let rating = Vital::from_name(name).map_or("", |vital| vital.rate(value).as_str());
    performance_metric::Row {
        id,
        site: site(),
        timestamp: at,
        page_id: page.id.clone(),
        session_id: None,
        metric_type: "core_web_vital".into(),
        metric_name: name.into(),
        value,
        page_ms,
        rating: rating.into(),
        navigation: "navigate".into(),
        url: page.path.clone(),
        device: device(page.visitor),
        release: Some("r1".into()),
        additional_data: None,
        bot: is_bot(page.visitor),
    }
}

fn engaged(id: String, page: &Page, at: Timestamp, ms: i64) -> engagement::Row {
    engagement::Row {
        id,
        site: site(),
        page_id: page.id.clone(),
        recorded_at: at,
        session_id: None,
        path: page.path.clone(),
        engaged_ms: ms,
        scroll_percent: 50,
        bot: is_bot(page.visitor),
    }
}

fn touch(visitor: u64, at: Timestamp) -> user_session::Touch {
    user_session::Touch {
        session_id: name(visitor, at),
        site: site(),
        visitor_id: name(visitor, at),
        at,
        ip_address: "203.0.113.0".into(),
        user_agent: None,
        referrer: None,
        source: source(visitor),
        country_code: None,
        device: device(visitor),
        browser: None,
        os: None,
        bot: is_bot(visitor),
    }
}

/// The same events as they are received again: the time is ours, so it is another one.
fn at_another_time(batch: &Batch, at: Timestamp) -> Batch {
    let mut batch = batch.clone();
    for record in &mut batch.records {
        match record {
            Record::PageView(row) => row.recorded_at = at,
            Record::Vital(row) => row.timestamp = at,
            Record::Engagement(row) => row.recorded_at = at,
            _ => {}
        }
    }
    batch
}

/// What one engine answers.
#[derive(Debug, PartialEq)]
struct Answers {
    /// From single events and from counted hours.
    said: [Vec<String>; 2],
    views: i64,
    /// 75th and 95th percentile by vital.
    percentiles: Vec<(Vital, f64, f64)>,
}

async fn feed(database: &Database, events: u64) -> (Answers, Truth) {
    let house = House::open_with(midnight(), database).await;
    let mut stream = Stream::new(events);
    let mut round = 0;
    loop {
        let batches: Vec<_> = std::iter::from_fn(|| stream.next()).take(TOGETHER).collect();
        if batches.is_empty() {
            break;
        }
        let recorder = &house.insight.0.context.recorder;
        let recorded = batches.into_iter().map(|batch| recorder.record(batch));
        for outcome in futures_util::future::join_all(recorded).await {
            outcome.expect("recorded");
        }
        let ahead = stream.now().since(house.clock.now());
        house.clock.advance(ahead);
        if stream.made * ROUNDS / events > round {
            round = stream.made * ROUNDS / events;
            reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
        }
    }
    house.clock.advance(2 * HOUR);
    let db = house.store.insight().latest();
    while {
        reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
        !rollup::list_dirty(&db, None, 1).await.expect("dirty").is_empty()
    } {}
    let answers = answers(&house, &db).await;
    house.close().await;
    (answers, stream.truth)
}

async fn answers(house: &House, db: &Engine) -> Answers {
    let raw_range_max = Time::days(365);
    let raw = house.with_settings(Settings { raw_range_max, ..Settings::default() }).await;
    let raw_range_max = Time::seconds(0);
    let counted = house.with_settings(Settings { raw_range_max, ..Settings::default() }).await;
    let to = house.clock.now();
    let span = Span { site: "default", from: midnight(), to, bots: Bots::Exclude };
    assert_folded(db, &span).await;
    let mut vitals = Windows::of(rollup::stream_vitals(db, &span, Group::Site));
    let all = vitals.next_window().await.expect("vitals").expect("some");
    let all = all.into_values().next().expect("the site's");
    let percentiles =
        all.measured().filter_map(|(vital, found)| Some((vital, found.p75()?, found.p95()?)));
    Answers {
        said: [ask(&raw, &span).await, ask(&counted, &span).await],
        views: page_view::total(db, &span).await.expect("a total").pageviews,
        percentiles: percentiles.collect(),
    }
}

fn exact(values: &mut [f64], quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(quantile * (values.len() - 1) as f64) as usize]
}

#[expect(clippy::disallowed_methods, reason = "tests have no settings file to read it from")]
fn events() -> u64 {
    let asked = std::env::var("MAINSTAY_EVENTS").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(EVENTS)
}

fn on(primary: String, pool_max: u32) -> Database {
    Database { primary: Some(primary), pool_min: 0, pool_max, ..Database::default() }
}

/// Waits for its one connection, too, and asks for no other meanwhile: who gave up would be a second client.
fn patient(database: Database) -> Database {
    Database {
        connect_timeout: PATIENCE,
        acquire_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        probe_every: Time::days(1),
        ..database
    }
}

#[tokio::test]
async fn files_partitions_and_hypertables_give_the_same_answers() {
    let events = events();
    let (files, truth) = feed(&Database::default(), events).await;
    assert!(truth.late * 40 > events && truth.repeated * 40 > events, "few are late or repeated");
    assert_eq!(files.views, truth.views.len() as i64);
    for (vital, p75, p95) in &files.percentiles {
        let values = truth.vitals.iter().filter(|((_, name), _)| name == vital.as_str());
        let mut values: Vec<_> = values.map(|(_, (_, value))| *value).collect();
        assert!(values.len() > 100, "{vital:?}");
        for (got, quantile) in [(p75, 0.75), (p95, 0.95)] {
            let want = exact(&mut values, quantile);
            assert!((got - want).abs() <= want * 0.01, "{vital:?} {quantile}: {got}, not {want}");
        }
    }
    assert_eq!(files.percentiles.len(), 3);

    let server = Postgres::shared();
    let (native, _) = feed(&on(server.primary_url(&server.create_database()), 4), events).await;
    same(&files, &native, "daily partitions");
    // It takes one client at a time, and is several times slower than a server.
    let timescale = Timescale::start();
    let patient = patient(on(timescale.url(), 1));
    let fewer = events.min(TIMESCALE_MAX);
    let (hyper, _) = feed(&patient, fewer).await;
    let files = if fewer == events { files } else { feed(&Database::default(), fewer).await.0 };
    same(&files, &hyper, "hypertables");
}

fn same(files: &Answers, other: &Answers, which: &str) {
    for (a, b) in files.said.iter().flatten().zip(other.said.iter().flatten()) {
        assert_eq!(a, b, "{which}");
    }
    assert_eq!(files, other, "{which}");
}
