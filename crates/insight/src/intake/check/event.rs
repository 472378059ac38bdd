//! The kinds of events and the rules of each; an event of another kind is left out, never refused.

use super::field::{Place, any_text, id, invalid, number, optional_integer, optional_text, text};
use super::{Cow, Error, Event, Field, Object};
use crate::vitals::Vital;

/// A page cannot be older than a day, and nothing on it can take longer.
const DAY_MS: f64 = 86_400_000.0;
/// Most entries of `props` and `attr`.
const ENTRIES_MAX: usize = 20;
/// Most bytes of all keys and texts of `props`.
pub(crate) const PROPS_BYTES_MAX: usize = 2_048;
/// Most bytes of an event's name.
const NAME_BYTES_MAX: usize = 100;
/// Largest believable amount, either way (a refund is negative).
const AMOUNT_MAX: f64 = 1e12;
/// How a page came to be shown, in the words of the browser script's library.
const NAVIGATIONS: [&str; 7] = [
    "navigate",
    "reload",
    "back-forward",
    "back-forward-cache",
    "prerender",
    "restore",
    "soft-navigation",
];

/// An event that keeps every rule of its kind.
#[derive(Debug)]
pub(crate) enum Known<'a> {
    PageView { id: &'a str },
    Vital(Measured<'a>),
    Error(Thrown<'a>),
    Engagement { id: &'a str, engaged_ms: i64, scroll_percent: i32 },
    Custom(Named<'a>),
}

/// The scalars of an object, in its order.
pub(crate) type Entries<'a> = &'a [(Cow<'a, str>, Field<'a>)];

/// A web vital.
#[derive(Debug)]
pub(crate) struct Measured<'a> {
    pub(crate) id: &'a str,
    pub(crate) page_ms: i64,
    pub(crate) vital: Vital,
    pub(crate) value: f64,
    pub(crate) navigation: &'static str,
    pub(crate) attribution: Entries<'a>,
}

/// A JavaScript error.
#[derive(Debug)]
pub(crate) struct Thrown<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) message: &'a str,
    pub(crate) stack: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
    pub(crate) line: Option<i32>,
    pub(crate) column: Option<i32>,
}

/// An event the site's own pages name.
#[derive(Debug)]
pub(crate) struct Named<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) props: Entries<'a>,
    pub(crate) revenue: Option<Revenue<'a>>,
}

/// What an event was worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Revenue<'a> {
    pub(crate) amount: f64,
    /// ISO 4217.
    pub(crate) currency: &'a str,
}

impl Known<'_> {
    /// Whether a visitor did something that begins a visit. Vitals, errors and engagement of a page left open for
    /// hours report on a visit that is over.
    pub(crate) fn begins_visit(&self) -> bool {
        matches!(self, Self::PageView { .. } | Self::Custom(_))
    }
}

/// Checks one event; `None` when it is of a kind we do not know.
pub(super) fn check<'a>(event: &'a Event<'a>, index: usize) -> Result<Option<Known<'a>>, Error> {
    let place = Place::Event(index);
    if !event.is_object {
        return Err(invalid(place, "", "must be an object"));
    }
    let kind = text(&event.kind, place, "type", NAME_BYTES_MAX)?;
    if !matches!(kind, "pageview" | "vital" | "error" | "engagement" | "custom") {
        return Ok(None);
    }
    let id = id(&event.id, place, "id")?;
    let page_ms = number(&event.t, place, "t", 0.0..=DAY_MS)? as i64;
    match kind {
        "pageview" => Ok(Known::PageView { id }),
        "vital" => check_vital(event, place, id, page_ms),
        "error" => check_error(event, place, id),
        "engagement" => check_engagement(event, place, id),
        _ => check_custom(event, index, id),
    }
    .map(Some)
}

fn check_vital<'a>(
    event: &'a Event<'a>,
    place: Place,
    id: &'a str,
    page_ms: i64,
) -> Result<Known<'a>, Error> {
    let vital = match &event.name {
        Field::Text(name) => Vital::from_name(name),
        _ => None,
    }
    .ok_or_else(|| invalid(place, "name", "must be LCP, INP, CLS, FCP or TTFB"))?;
    let value = number(&event.value, place, "value", 0.0..=vital.value_max())?;
    let navigation = match optional_text(&event.nav, place, "nav", NAME_BYTES_MAX)? {
        None => NAVIGATIONS[0],
        Some(nav) => NAVIGATIONS
            .into_iter()
            .find(|known| *known == nav)
            .ok_or_else(|| invalid(place, "nav", "is no known kind of navigation"))?,
    };
    let attribution = entries(&event.attr, place, "attr")?;
    let attribution = &attribution[..attribution.len().min(ENTRIES_MAX)];
    Ok(Known::Vital(Measured { id, page_ms, vital, value, navigation, attribution }))
}

fn check_error<'a>(event: &'a Event<'a>, place: Place, id: &'a str) -> Result<Known<'a>, Error> {
    Ok(Known::Error(Thrown {
        id,
        name: any_text(&event.name, place, "name")?
            .filter(|name| !name.is_empty())
            .unwrap_or("Error"),
        message: any_text(&event.message, place, "message")?.unwrap_or(""),
        stack: any_text(&event.stack, place, "stack")?,
        source: any_text(&event.src, place, "src")?,
        line: optional_integer(&event.line, place, "line", i32::MAX)?,
        column: optional_integer(&event.col, place, "col", i32::MAX)?,
    }))
}

fn check_engagement<'a>(
    event: &'a Event<'a>,
    place: Place,
    id: &'a str,
) -> Result<Known<'a>, Error> {
    let engaged_ms = number(&event.ms, place, "ms", 0.0..=DAY_MS)? as i64;
    let scroll_percent = optional_integer(&event.scroll, place, "scroll", 100)?.unwrap_or(0);
    Ok(Known::Engagement { id, engaged_ms, scroll_percent })
}

fn check_custom<'a>(event: &'a Event<'a>, index: usize, id: &'a str) -> Result<Known<'a>, Error> {
    let place = Place::Event(index);
    let name = text(&event.name, place, "name", NAME_BYTES_MAX)?;
    let props = check_props(&event.props, place)?;
    let revenue = check_revenue(&event.revenue, index)?;
    Ok(Known::Custom(Named { id, name, props, revenue }))
}

fn check_props<'a>(props: &'a Object<'a>, place: Place) -> Result<Entries<'a>, Error> {
    if let Object::Entries { total, .. } = props
        && *total > ENTRIES_MAX
    {
        let reason = format!("holds more than {ENTRIES_MAX} entries");
        return Err(invalid(place, "props", &reason));
    }
    let props = entries(props, place, "props")?;
    // A key may be long or hold a secret: its number tells enough.
    if let Some(at) = props.iter().position(|(_, value)| *value == Field::Nested) {
        let reason = format!("entry {at} must be text, a number, true, false or null");
        return Err(invalid(place, "props", &reason));
    }
    let bytes = |(key, value): &(Cow<'_, str>, Field<'_>)| match value {
        Field::Text(text) => key.len() + text.len(),
        _ => key.len(),
    };
    if props.iter().map(bytes).sum::<usize>() > PROPS_BYTES_MAX {
        return Err(invalid(place, "props", &format!("holds more than {PROPS_BYTES_MAX} bytes")));
    }
    Ok(props)
}

fn check_revenue<'a>(revenue: &'a Object<'a>, index: usize) -> Result<Option<Revenue<'a>>, Error> {
    let entries = match revenue {
        Object::Missing => return Ok(None),
        Object::Wrong => return Err(invalid(Place::Event(index), "revenue", "must be an object")),
        Object::Entries { kept, .. } => kept,
    };
    let find = |name: &str| {
        entries.iter().find(|(key, _)| key == name).map_or(&Field::Missing, |(_, value)| value)
    };
    let place = Place::Revenue(index);
    let amount = number(find("amount"), place, "amount", -AMOUNT_MAX..=AMOUNT_MAX)?;
    match find("currency") {
        Field::Text(code) if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) => {
            Ok(Some(Revenue { amount, currency: code }))
        }
        _ => Err(invalid(place, "currency", "must be three capital letters (ISO 4217)")),
    }
}

fn entries<'a>(object: &'a Object<'a>, place: Place, name: &str) -> Result<Entries<'a>, Error> {
    match object {
        Object::Missing => Ok(&[]),
        Object::Wrong => Err(invalid(place, name, "must be an object")),
        Object::Entries { kept, .. } => Ok(kept),
    }
}
