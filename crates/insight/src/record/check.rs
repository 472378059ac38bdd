//! What an app may record and the rules of each kind; keeps and counts nothing.

use mainstay_telemetry::metrics::app::{Kind, Update};
use serde_json::Value;

use super::fields::{Entries, Fields, invalid};
use crate::intake::Error;

/// Longest name, source, plan, user and the like, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// Longest release, in bytes, as for that of the settings.
const RELEASE_BYTES_MAX: usize = crate::settings::RELEASE_BYTES_MAX;
/// Largest believable amount, either way (a refund is negative), as of browsers.
const AMOUNT_MAX: f64 = 1e12;
/// Most calls told at a time.
const COUNT_MAX: f64 = 1e9;
/// What a sign-up or a call does not tell.
const UNKNOWN: &str = "unknown";
/// What an amount of money is made of.
const REVENUE: [&str; 2] = ["amount", "currency"];

/// A body that keeps every rule.
#[derive(Debug)]
pub(super) struct Checked<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) site: Option<&'a str>,
    pub(super) metrics: Vec<Update<'a>>,
    pub(super) items: Vec<Item<'a>>,
}

#[derive(Debug)]
pub(super) enum Item<'a> {
    Event(Event<'a>),
    /// With its source and plan.
    Signup(Event<'a>, [&'a str; 2]),
    Revenue(Event<'a>),
    Error(Thrown<'a>),
    Usage(Usage<'a>),
}

/// Something with a name that becomes a row of named events.
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) properties: Entries<'a>,
    pub(super) revenue: Option<Revenue<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Revenue<'a> {
    pub(super) amount: f64,
    /// ISO 4217.
    pub(super) currency: &'a str,
}

#[derive(Debug)]
pub(super) struct Thrown<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) message: &'a str,
    pub(super) stack: Option<&'a str>,
    pub(super) release: Option<&'a str>,
}

/// Calls of the app's own API.
#[derive(Debug)]
pub(super) struct Usage<'a> {
    /// Endpoint, type of the key, type of the client.
    pub(super) labels: [&'a str; 3],
    pub(super) count: u64,
}

/// The lists of a body, each with the rules of its items.
type Read<'a> = fn(&'a Value, String) -> Result<Item<'a>, Error>;

/// Checks everything that can be said without knowing any other metric.
pub(super) fn check(body: &Value, items_max: usize) -> Result<Checked<'_>, Error> {
    const KNOWN: [&str; 8] =
        ["id", "site", "metrics", "events", "signups", "revenue", "errors", "api_usage"];
    let root = Fields::of(body, String::new(), &KNOWN)?;
    let lists = KNOWN[2..].iter().map(|name| root.list(name));
    let total: usize = lists.collect::<Result<Vec<_>, _>>()?.iter().map(|list| list.len()).sum();
    if total == 0 {
        let reason = format!("must hold something in one of {}", KNOWN[2..].join(", "));
        return Err(invalid("body", reason));
    }
    if total > items_max {
        let reason = format!("holds more than {items_max} items");
        return Err(Error::TooLarge { field: "body", reason });
    }
    let metrics = root.list("metrics")?.iter().enumerate();
    let metrics = metrics.map(|(at, value)| metric(value, format!("metrics[{at}]")));
    let kinds: [(&str, Read<'_>); 5] = [
        ("events", event),
        ("signups", signup),
        ("revenue", revenue),
        ("errors", error),
        ("api_usage", usage),
    ];
    let mut items = Vec::with_capacity(total);
    for (list, read) in kinds {
        for (at, value) in root.list(list)?.iter().enumerate() {
            items.push(read(value, format!("{list}[{at}]"))?);
        }
    }
    Ok(Checked {
        id: root.maybe_id("id")?,
        site: root.maybe_text("site", NAME_BYTES_MAX)?,
        metrics: metrics.collect::<Result<_, _>>()?,
        items,
    })
}

fn metric(value: &Value, at: String) -> Result<Update<'_>, Error> {
    let fields = Fields::of(value, at, &["type", "name", "labels", "value"])?;
    let kind = fields.maybe_text("type", NAME_BYTES_MAX)?.and_then(Kind::find);
    let kind =
        kind.ok_or_else(|| invalid(fields.place("type"), "must be counter, gauge or histogram"))?;
    // How far the value of each kind may go is the registry's to say.
    let value = fields.number("value", f64::MIN..=f64::MAX)?;
    Ok(Update {
        kind,
        name: fields.text("name", NAME_BYTES_MAX)?,
        labels: fields.labels("labels")?,
        value,
    })
}

fn event(value: &Value, at: String) -> Result<Item<'_>, Error> {
    let fields = Fields::of(value, at, &["id", "name", "properties", "user", "revenue"])?;
    let revenue = match fields.find("revenue") {
        None => None,
        Some(value) => Some(money(&Fields::of(value, fields.place("revenue"), &REVENUE)?)?),
    };
    let name = fields.text("name", NAME_BYTES_MAX)?;
    let properties = properties(&fields, &[])?;
    Ok(Item::Event(Event { id: fields.maybe_id("id")?, name, properties, revenue }))
}

fn signup(value: &Value, at: String) -> Result<Item<'_>, Error> {
    let fields = Fields::of(value, at, &["id", "source", "plan_type", "user", "properties"])?;
    let source = fields.maybe_text("source", NAME_BYTES_MAX)?;
    let plan_type = fields.maybe_text("plan_type", NAME_BYTES_MAX)?;
    let more = [("source", source), ("plan_type", plan_type)];
    let properties = properties(&fields, &more)?;
    let event = Event { id: fields.maybe_id("id")?, name: "signup", properties, revenue: None };
    Ok(Item::Signup(event, [source, plan_type].map(|label| label.unwrap_or(UNKNOWN))))
}

fn revenue(value: &Value, at: String) -> Result<Item<'_>, Error> {
    let fields = Fields::of(value, at, &["id", "amount", "currency", "user", "properties"])?;
    let revenue = Some(money(&fields)?);
    let properties = properties(&fields, &[])?;
    Ok(Item::Revenue(Event { id: fields.maybe_id("id")?, name: "revenue", properties, revenue }))
}

fn money<'a>(fields: &Fields<'a>) -> Result<Revenue<'a>, Error> {
    let amount = fields.number("amount", -AMOUNT_MAX..=AMOUNT_MAX)?;
    match fields.find("currency") {
        Some(Value::String(code))
            if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) =>
        {
            Ok(Revenue { amount, currency: code })
        }
        _ => Err(invalid(fields.place("currency"), "must be three capital letters (ISO 4217)")),
    }
}

/// Those that were sent, those of the kind, and whom it is about: the app's own word for somebody.
fn properties<'a>(
    fields: &Fields<'a>,
    more: &[(&'static str, Option<&'a str>)],
) -> Result<Entries<'a>, Error> {
    let mut entries = fields.properties("properties")?;
    let user = ("user", fields.maybe_text("user", NAME_BYTES_MAX)?);
    for (key, value) in more.iter().chain(&[user]) {
        let Some(value) = value else { continue };
        entries.retain(|(known, _)| known != key);
        entries.push(((*key).into(), crate::wire::Field::Text((*value).into())));
    }
    Ok(entries)
}

fn error(value: &Value, at: String) -> Result<Item<'_>, Error> {
    let fields = Fields::of(value, at, &["id", "name", "message", "stack", "release"])?;
    Ok(Item::Error(Thrown {
        id: fields.maybe_id("id")?,
        name: fields.any_text("name")?.unwrap_or("Error"),
        message: match fields.any_text("message")? {
            Some(message) => message,
            None => return Err(invalid(fields.place("message"), "must be text")),
        },
        stack: fields.any_text("stack")?,
        release: fields.maybe_text("release", RELEASE_BYTES_MAX)?,
    }))
}

fn usage(value: &Value, at: String) -> Result<Item<'_>, Error> {
    let fields = Fields::of(value, at, &["endpoint", "api_key_type", "client_type", "count"])?;
    let label = |name| Ok(fields.maybe_text(name, NAME_BYTES_MAX)?.unwrap_or(UNKNOWN));
    let count = match fields.find("count") {
        None => 1.0,
        Some(_) => fields.number("count", 1.0..=COUNT_MAX)?,
    };
    if count.fract() != 0.0 {
        return Err(invalid(fields.place("count"), "must be a whole number"));
    }
    let endpoint = fields.text("endpoint", NAME_BYTES_MAX)?;
    let labels = [endpoint, label("api_key_type")?, label("client_type")?];
    Ok(Item::Usage(Usage { labels, count: count as u64 }))
}
