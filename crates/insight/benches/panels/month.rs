//! A month of a site as its recorder gets it: visits of a few pages, each with its vitals and how long it was read; some faults, some bots. The same every time.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::agent::AgentClass;
use mainstay_base::{Entropy, Timestamp};
use mainstay_insight::vitals::Vital;
use mainstay_store::{
    Batch, Record, engagement, error_event, page_view, performance_metric, report, traffic,
    user_session,
};
use mainstay_telemetry::sketch::Latency;
use uuid::Uuid;

pub(crate) const SITE: &str = "default";
pub(crate) const DAYS: u32 = 30;
const MONTH: Duration = Duration::from_secs(DAYS as u64 * 86_400);
/// Pages; the first ones are viewed far more often than the last.
const PAGES: f64 = 200.0;
const SOURCES: u64 = 40;
const COUNTRIES: u64 = 30;
const FAULTS: u64 = 40;
/// Of so many page views one meets a fault, and one is reported by the browser.
const FAULT_EVERY: u64 = 50;
/// Of so many visitors one is a bot.
const BOT_EVERY: u64 = 10;

/// 2026-10-23T00:00:00Z.
pub(crate) fn begin() -> Timestamp {
    Timestamp::from_seconds(1_792_713_600)
}

pub(crate) struct Month {
    entropy: Entropy,
    site: Arc<str>,
    events: u64,
    made: u64,
    visit: Visit,
}

#[derive(Clone, Default)]
struct Visit {
    id: Uuid,
    visitor: u64,
    /// Pages that are still to come.
    pages: u64,
}

impl Month {
    pub(crate) fn new(events: u64) -> Self {
        let (entropy, site) = (Entropy::seeded(11), SITE.into());
        Self { entropy, site, events, made: 0, visit: Visit::default() }
    }

    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// When the next event happens.
    pub(crate) fn now(&self) -> Timestamp {
        let share = self.made as f64 / self.events as f64;
        begin().plus(MONTH.mul_f64(share.min(0.999)))
    }

    fn below(&self, end: u64) -> u64 {
        u64::from_le_bytes(self.entropy.bytes().expect("seeded")) % end
    }

    fn unit(&self) -> f64 {
        self.below(1 << 32) as f64 / (1_u64 << 32) as f64
    }

    fn id(&mut self) -> String {
        self.made += 1;
        format!("{:022}", self.made)
    }

    /// What the next page tells, when there is one.
    pub(crate) fn next_batch(&mut self) -> Option<Batch> {
        if self.made >= self.events {
            return None;
        }
        let at = self.now();
        if self.visit.pages == 0 {
            let id = self.entropy.uuid_v7(at).expect("seeded");
            self.visit = Visit { id, visitor: self.below(1 << 40), pages: 1 + self.below(4) };
        }
        self.visit.pages -= 1;
        let page = format!("page-{:019}", self.made);
        let path = format!("/p{:.0}", (PAGES * self.unit().powi(3)).floor());
        let mut records = vec![Record::PageView(self.view(at, &page, &path))];
        for vital in Vital::ALL {
            records.push(Record::Vital(self.vital(at, (&page, &path), vital)));
        }
        records.push(Record::Engagement(self.engagement(at, &page, &path)));
        if self.below(FAULT_EVERY) == 0 {
            records.push(Record::Error(self.fault(at, &page, &path)));
        }
        if self.below(FAULT_EVERY) == 0 {
            records.push(Record::Report(self.report(at, &path)));
        }
        Some(Batch { records, visit: Some(self.touch(at)) })
    }

    fn is_bot(&self) -> bool {
        self.visit.visitor.is_multiple_of(BOT_EVERY)
    }

    fn device(&self) -> AgentClass {
        if self.visit.visitor % 3 == 1 { AgentClass::Mobile } else { AgentClass::Desktop }
    }

    fn source(&self) -> Option<Arc<str>> {
        let number = self.visit.visitor / 7 % SOURCES;
        (number > 0).then(|| format!("s{number}.example").into())
    }

    fn country(&self) -> String {
        let number = self.visit.visitor / 11 % COUNTRIES;
        ["A", "B", "C"][number as usize / 10].to_owned()
            + ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"][number as usize % 10]
    }

    fn visitor(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.visit.visitor))
    }

    fn view(&mut self, at: Timestamp, page: &str, path: &str) -> page_view::Row {
        page_view::Row {
            id: self.id(),
            site: Arc::clone(&self.site),
            recorded_at: at,
            page_id: page.into(),
            session_id: Some(self.visit.id),
            visitor_id: Some(self.visitor()),
            path: path.into(),
            referrer_host: None,
            referrer_path: None,
            source: self.source(),
            campaign: None,
            device: self.device(),
            browser: Some("Firefox".into()),
            os: Some("Linux".into()),
            country: Some(self.country()),
            width: Some(1_280),
            release: Some(release(at)),
            bot_reason: self.is_bot().then(|| "agent".into()),
        }
    }

    fn vital(
        &mut self,
        at: Timestamp,
        (page, path): (&str, &str),
        vital: Vital,
    ) -> performance_metric::Row {
        // Most are good, a few are far from it.
        let value = vital.thresholds().0 * (0.3 + 3.0 * self.unit().powi(3));
        performance_metric::Row {
            id: self.id(),
            site: Arc::clone(&self.site),
            timestamp: at,
            page_id: page.into(),
            session_id: Some(self.visit.id),
            metric_type: "core_web_vital".into(),
            metric_name: vital.as_str().into(),
            value,
            page_ms: 4_000,
            rating: vital.rate(value).as_str().into(),
            navigation: "navigate".into(),
            url: path.into(),
            device: self.device(),
            release: Some(release(at)),
            additional_data: None,
            bot: self.is_bot(),
        }
    }

    fn engagement(&mut self, at: Timestamp, page: &str, path: &str) -> engagement::Row {
        engagement::Row {
            id: self.id(),
            site: Arc::clone(&self.site),
            page_id: page.into(),
            recorded_at: at,
            session_id: Some(self.visit.id),
            path: path.into(),
            engaged_ms: self.below(60_000).cast_signed(),
            scroll_percent: 50,
            bot: self.is_bot(),
        }
    }

    fn fault(&mut self, at: Timestamp, page: &str, path: &str) -> error_event::Row {
        let number = self.below(FAULTS);
        error_event::Row {
            id: self.id(),
            site: Arc::clone(&self.site),
            timestamp: at,
            fingerprint: format!("{number:032x}"),
            page_id: page.into(),
            session_id: Some(self.visit.id),
            visitor_id: Some(self.visitor()),
            error_type: "TypeError".into(),
            error_message: format!("undefined is not a function ({number})"),
            error_stack: Some(format!("at f{number} (/app.js:1:{number})")),
            url: path.into(),
            source: Some("/app.js".into()),
            line_number: Some(1),
            column_number: Some(2),
            user_agent: Some("Firefox 128 on Linux".into()),
            release: Some(release(at)),
            bot: self.is_bot(),
        }
    }

    fn report(&mut self, at: Timestamp, path: &str) -> report::Row {
        self.made += 1;
        report::Row {
            site: Arc::clone(&self.site),
            fingerprint: Uuid::from_u128(u128::from(self.below(FAULTS))),
            report_type: "csp-violation".into(),
            name: "script-src-elem".into(),
            document: path.into(),
            blocked: "inline".into(),
            source: path.into(),
            line_number: Some(12),
            column_number: None,
            disposition: "enforce".into(),
            message: String::new(),
            user_agent: Some("Firefox 128 on Linux".into()),
            ip_address: "203.0.113.0".into(),
            count: 1,
            first_seen: at,
            last_seen: at,
        }
    }

    fn touch(&self, at: Timestamp) -> user_session::Touch {
        user_session::Touch {
            session_id: self.visit.id,
            site: Arc::clone(&self.site),
            visitor_id: self.visitor(),
            at,
            ip_address: "203.0.113.0".into(),
            user_agent: Some("Firefox 128 on Linux".into()),
            referrer: None,
            source: self.source(),
            country_code: Some(self.country()),
            device: self.device(),
            browser: Some("Firefox".into()),
            os: Some("Linux".into()),
            bot: self.is_bot(),
        }
    }
}

/// One a week.
fn release(at: Timestamp) -> String {
    format!("r{}", at.since(begin()).as_secs() / (7 * 86_400))
}

/// One sample of requests.
pub(crate) fn traffic(t: Timestamp, step_s: u32) -> traffic::Row {
    let latency = Latency::new();
    for n in 0..u64::from(step_s) {
        latency.record(Duration::from_micros(40 + n * n % 9_000));
    }
    traffic::Row {
        requests: step_s.into(),
        bytes: i64::from(step_s) * 10_000,
        latency_sketch: latency.snapshot().encode(),
        ..traffic::Row::empty(t)
    }
}
