//! Checked events as rows of the store: shortened, scrubbed, with what we know of the sender; decides nothing about a visitor.

use std::sync::Arc;

use mainstay_base::Timestamp;
use mainstay_store::tables::{
    custom_event, engagement, error_event, page_view, performance_metric, user_session,
};
use mainstay_store::{Batch, Record};
use uuid::Uuid;

use super::check::{Checked, Entries, Known, Measured, Named, PROPS_BYTES_MAX, Thrown};
use crate::agent::{Agent, BotReason};
use crate::errors::fingerprint;
use crate::scrub::{Address, campaign, scrub_error_text, scrub_text};
use crate::visit::Visit;
use crate::wire::Field;

pub(crate) const NAME_BYTES_MAX: usize = 100;
pub(crate) const MESSAGE_BYTES_MAX: usize = 1_024;
pub(crate) const STACK_BYTES_MAX: usize = 8_192;
const SOURCE_BYTES_MAX: usize = 1_024;
const KEY_BYTES_MAX: usize = 100;
const VALUE_BYTES_MAX: usize = 500;

/// What is known beside the events.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) site: &'a Arc<str>,
    pub(super) received: Timestamp,
    pub(super) opted_out: bool,
    /// Truncated.
    pub(super) client: String,
    pub(super) agent: &'a Agent,
    pub(super) bot_reason: Option<BotReason>,
    pub(super) country: Option<String>,
    pub(super) release: Option<&'a str>,
    /// The visitor's pseudonym; none when opted out.
    pub(super) visitor_id: Option<Uuid>,
    /// The running visit; none when opted out, a bot, or reporting on a visit that is over.
    pub(super) visit: Option<Visit>,
}

/// The rows of one request.
pub(super) fn batch(checked: &Checked<'_>, context: &Context<'_>) -> Batch {
    let records = checked.events.iter().map(|event| context.record(checked, event)).collect();
    let visit = context.visit.as_ref();
    let visit = visit.map(|visit| context.touch(visit, external_host(checked)));
    Batch { records, visit }
}

/// The referring host when it is another site than the page's own.
pub(super) fn external_host<'a>(checked: &'a Checked<'_>) -> Option<&'a str> {
    external(checked).map(|referrer| &*referrer.host)
}

fn external<'a, 'b>(checked: &'a Checked<'b>) -> Option<&'a Address<'b>> {
    checked.referrer.as_ref().filter(|referrer| referrer.host != checked.address.host)
}

/// Where a visit that begins with this page came from: the campaign of its address, else the referring site.
pub(super) fn source(checked: &Checked<'_>) -> Option<Arc<str>> {
    let named = campaign(checked.address.query).source.map(Arc::from);
    named.or_else(|| external_host(checked).map(Arc::from))
}

impl Context<'_> {
    fn record(&self, checked: &Checked<'_>, event: &Known<'_>) -> Record {
        match event {
            Known::PageView { id } => Record::PageView(self.page_view(checked, id)),
            Known::Vital(measured) => Record::Vital(self.vital(checked, measured)),
            Known::Error(thrown) => Record::Error(self.error(checked, thrown)),
            Known::Custom(named) => Record::Custom(self.custom(checked, named)),
            Known::Engagement { id, engaged_ms, scroll_percent } => {
                Record::Engagement(engagement::Row {
                    id: (*id).into(),
                    site: Arc::clone(self.site),
                    page_id: checked.page_id.into(),
                    recorded_at: self.received,
                    session_id: self.session_id(),
                    path: path(checked),
                    engaged_ms: *engaged_ms,
                    scroll_percent: *scroll_percent,
                    bot: self.is_bot(),
                })
            }
        }
    }

    fn page_view(&self, checked: &Checked<'_>, id: &str) -> page_view::Row {
        let referrer = external(checked);
        let campaign = if self.opted_out { None } else { Some(campaign(checked.address.query)) };
        let (own_source, campaign) = campaign.map_or((None, None), |c| (c.source, c.rest));
        let host = referrer.map(|r| r.host.to_string());
        // Later views of a visit are its source's merit too, whatever their own address says.
        let source = match &self.visit {
            Some(visit) => visit.source.clone(),
            None => own_source.or_else(|| host.clone()).map(Arc::from),
        };
        page_view::Row {
            id: id.into(),
            site: Arc::clone(self.site),
            recorded_at: self.received,
            page_id: checked.page_id.into(),
            session_id: self.session_id(),
            visitor_id: self.visitor_id,
            path: path(checked),
            source,
            referrer_host: host,
            referrer_path: referrer.filter(|_| !self.opted_out).map(|r| r.path.to_string()),
            campaign,
            device: self.agent.class,
            browser: self.agent.browser.map(Into::into),
            os: self.agent.os.map(Into::into),
            country: self.country.clone(),
            width: checked.width,
            release: self.release.map(Into::into),
            bot_reason: self.bot_reason.map(|reason| reason.as_str().into()),
        }
    }

    fn vital(&self, checked: &Checked<'_>, event: &Measured<'_>) -> performance_metric::Row {
        performance_metric::Row {
            id: event.id.into(),
            site: Arc::clone(self.site),
            timestamp: self.received,
            page_id: checked.page_id.into(),
            session_id: self.session_id(),
            metric_type: "core_web_vital".into(),
            metric_name: event.vital.as_str().into(),
            value: event.value,
            page_ms: event.page_ms,
            rating: event.vital.rate(event.value).as_str().into(),
            navigation: event.navigation.into(),
            url: path(checked),
            device: self.agent.class,
            release: self.release.map(Into::into),
            additional_data: json_object(event.attribution),
            bot: self.is_bot(),
        }
    }

    fn error(&self, checked: &Checked<'_>, event: &Thrown<'_>) -> error_event::Row {
        let error_type = scrub_error_text(event.name, NAME_BYTES_MAX);
        let error_message = scrub_error_text(event.message, MESSAGE_BYTES_MAX);
        let error_stack = event.stack.map(|stack| scrub_error_text(stack, STACK_BYTES_MAX));
        let source = event.source.map(|source| scrub_error_text(source, SOURCE_BYTES_MAX));
        error_event::Row {
            id: event.id.into(),
            site: Arc::clone(self.site),
            timestamp: self.received,
            fingerprint: fingerprint(
                &error_type,
                &error_message,
                error_stack.as_deref(),
                source.as_deref(),
            ),
            page_id: checked.page_id.into(),
            session_id: self.session_id(),
            visitor_id: self.visitor_id,
            error_type,
            error_message,
            error_stack,
            url: path(checked),
            source,
            line_number: event.line,
            column_number: event.column,
            user_agent: self.agent.label.as_deref().map(Into::into),
            release: self.release.map(Into::into),
            bot: self.is_bot(),
        }
    }

    fn custom(&self, checked: &Checked<'_>, event: &Named<'_>) -> custom_event::Row {
        custom_event::Row {
            id: event.id.into(),
            site: Arc::clone(self.site),
            recorded_at: self.received,
            page_id: checked.page_id.into(),
            session_id: self.session_id(),
            visitor_id: self.visitor_id,
            name: scrub_text(event.name, NAME_BYTES_MAX),
            path: path(checked),
            props: json_object(event.props),
            revenue_amount: event.revenue.map(|revenue| revenue.amount),
            revenue_currency: event.revenue.map(|revenue| revenue.currency.into()),
            bot: self.is_bot(),
        }
    }

    fn touch(&self, visit: &Visit, referrer: Option<&str>) -> user_session::Touch {
        user_session::Touch {
            session_id: visit.session_id,
            site: Arc::clone(self.site),
            visitor_id: visit.visitor_id,
            at: self.received,
            ip_address: self.client.clone(),
            user_agent: self.agent.label.as_deref().map(Into::into),
            referrer: referrer.map(Into::into),
            source: visit.source.clone(),
            country_code: self.country.clone(),
            device: self.agent.class,
            browser: self.agent.browser.map(Into::into),
            os: self.agent.os.map(Into::into),
            bot: self.is_bot(),
        }
    }

    fn is_bot(&self) -> bool {
        self.bot_reason.is_some()
    }

    fn session_id(&self) -> Option<Uuid> {
        self.visit.as_ref().map(|visit| visit.session_id)
    }
}

fn path(checked: &Checked<'_>) -> String {
    checked.address.path.to_string()
}

/// A JSON object of scrubbed scalars, at most [`PROPS_BYTES_MAX`] bytes: what does not fit any more is left out.
fn json_object(entries: Entries<'_>) -> Option<String> {
    render(entries).0
}

/// The same, and whether everything fitted.
pub(crate) fn render(entries: Entries<'_>) -> (Option<String>, bool) {
    let (mut out, mut is_whole) = (String::from("{"), true);
    for (key, value) in entries {
        let value = match value {
            Field::Missing | Field::Nested => continue,
            Field::Null => serde_json::Value::Null,
            Field::Bool(value) => (*value).into(),
            Field::Number(value) if value.fract() == 0.0 && value.abs() < 9e15 => {
                (*value as i64).into()
            }
            Field::Number(value) => (*value).into(),
            Field::Text(text) => scrub_text(text, VALUE_BYTES_MAX).into(),
        };
        let key = serde_json::Value::String(scrub_text(key, KEY_BYTES_MAX));
        let entry = format!("{}{key}:{value}", if out.len() == 1 { "" } else { "," });
        if out.len() + entry.len() < PROPS_BYTES_MAX {
            out.push_str(&entry);
        } else {
            is_whole = false;
        }
    }
    out.push('}');
    ((out.len() > 2).then_some(out), is_whole)
}
