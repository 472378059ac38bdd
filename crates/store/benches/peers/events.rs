//! The events that both sides of a row store: made alike, with ids as browsers make them: the time, then something random.

use std::cell::Cell;
use std::sync::Arc;

use mainstay_base::agent::AgentClass;
use mainstay_base::{Clock, Timestamp};
use mainstay_store::{
    Batch, Record, custom_event, engagement, page_view, performance_metric, user_session,
};
use uuid::Uuid;

pub(crate) const EVENTS_PER_BEACON: u64 = 10;
const VITALS: [(&str, f64); 5] =
    [("LCP", 1_900.0), ("INP", 120.0), ("CLS", 0.04), ("FCP", 900.0), ("TTFB", 210.0)];
const CUSTOM: [&str; 3] = ["signup", "download", "play"];

/// Numbers that no two events share.
pub(crate) struct Events {
    next: Cell<u64>,
    site: Arc<str>,
    /// When all of them were received.
    pub(crate) at: Timestamp,
}

impl Events {
    /// Those of `side`: ids of two sides differ.
    pub(crate) fn new(side: u64, at: Timestamp) -> Self {
        Self { next: Cell::new(side << 48), site: "default".into(), at }
    }

    /// The milliseconds in base 32, then thirteen characters that look random: an odd factor maps no two numbers to one.
    fn id(&self) -> String {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let number = self.next.get();
        self.next.set(number + 1);
        let mut id = String::with_capacity(22);
        base_32(Clock::System.now().as_micros().cast_unsigned() / 1_000, 9, &mut id);
        base_32(number.wrapping_mul(ODD), 13, &mut id);
        id
    }

    /// One page view of a visitor's running visit.
    pub(crate) fn view(&self, visitor: usize) -> Batch {
        let (page, visitor) = (self.id(), name(visitor));
        Batch {
            records: vec![Record::PageView(self.page_view(&page, visitor))],
            visit: Some(self.touch(visitor)),
        }
    }

    /// What a page that was read tells at once: its view, five vitals, how long it was read, three named events.
    pub(crate) fn beacon(&self, visitor: usize) -> Batch {
        let (page, visitor) = (self.id(), name(visitor));
        let mut records = Vec::with_capacity(EVENTS_PER_BEACON as usize);
        records.push(Record::PageView(self.page_view(&page, visitor)));
        records.extend(VITALS.map(|vital| Record::Vital(self.vital(&page, visitor, vital))));
        records.push(Record::Engagement(self.engagement(&page, visitor)));
        records.extend(CUSTOM.map(|name| Record::Custom(self.custom(&page, visitor, name))));
        Batch { records, visit: Some(self.touch(visitor)) }
    }

    fn page_view(&self, page: &str, visitor: Uuid) -> page_view::Row {
        page_view::Row {
            id: self.id(),
            site: Arc::clone(&self.site),
            recorded_at: self.at,
            page_id: page.into(),
            session_id: Some(visitor),
            visitor_id: Some(visitor),
            path: "/blog/how-we-ship".into(),
            referrer_host: Some("example.com".into()),
            referrer_path: Some("/a/b".into()),
            source: Some("letter".into()),
            campaign: None,
            device: AgentClass::Desktop,
            browser: Some("Firefox".into()),
            os: Some("Linux".into()),
            country: Some("DE".into()),
            width: Some(1_280),
            release: None,
            bot_reason: None,
        }
    }

    fn vital(
        &self,
        page: &str,
        visitor: Uuid,
        (name, value): (&str, f64),
    ) -> performance_metric::Row {
        performance_metric::Row {
            id: self.id(),
            site: Arc::clone(&self.site),
            timestamp: self.at,
            page_id: page.into(),
            session_id: Some(visitor),
            metric_type: "core_web_vital".into(),
            metric_name: name.into(),
            value,
            page_ms: 4_000,
            rating: "good".into(),
            navigation: "navigate".into(),
            url: "/blog/how-we-ship".into(),
            device: AgentClass::Desktop,
            release: None,
            additional_data: None,
            bot: false,
        }
    }

    fn engagement(&self, page: &str, visitor: Uuid) -> engagement::Row {
        engagement::Row {
            id: self.id(),
            site: Arc::clone(&self.site),
            page_id: page.into(),
            recorded_at: self.at,
            session_id: Some(visitor),
            path: "/blog/how-we-ship".into(),
            engaged_ms: 21_000,
            scroll_percent: 80,
            bot: false,
        }
    }

    fn custom(&self, page: &str, visitor: Uuid, name: &str) -> custom_event::Row {
        custom_event::Row {
            id: self.id(),
            site: Arc::clone(&self.site),
            recorded_at: self.at,
            page_id: page.into(),
            session_id: Some(visitor),
            visitor_id: Some(visitor),
            name: name.into(),
            path: "/blog/how-we-ship".into(),
            props: None,
            revenue_amount: None,
            revenue_currency: None,
            bot: false,
        }
    }

    fn touch(&self, visitor: Uuid) -> user_session::Touch {
        user_session::Touch {
            session_id: visitor,
            site: Arc::clone(&self.site),
            visitor_id: visitor,
            at: self.at,
            ip_address: "203.0.113.0".into(),
            user_agent: Some("Firefox 128 on Linux".into()),
            referrer: Some("example.com".into()),
            source: Some("letter".into()),
            country_code: Some("DE".into()),
            device: AgentClass::Desktop,
            browser: Some("Firefox".into()),
            os: Some("Linux".into()),
            bot: false,
        }
    }
}

fn base_32(number: u64, length: u32, out: &mut String) {
    let digits = (0..length).rev().map(|at| (number >> (5 * at)) as u32 & 31);
    out.extend(digits.filter_map(|digit| char::from_digit(digit, 32)));
}

fn name(visitor: usize) -> Uuid {
    Uuid::from_u128(0x1000 + visitor as u128)
}
