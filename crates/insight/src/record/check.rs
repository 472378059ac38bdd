//! What an app may record and the rules of each kind; keeps and counts nothing.

use mainstay_telemetry::metrics::app::{Kind, Update};
use serde_json::Value;

use super::fields::{Entries, Fields, invalid};
use super::id;
use crate::intake::rows::render;
use crate::intake::{Error, PROPS_BYTES_MAX};
use crate::label::template;
use crate::scrub::scrub_text;
use crate::wire::Field;

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
    pub(super) items: Vec<Entry<'a>>,
}

/// An item, and what makes it the same as one that was sent before; none where nothing does.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) id: Option<String>,
    pub(super) item: Item<'a>,
}

#[derive(Debug)]
pub(super) enum Item<'a> {
    Event(Event<'a>),
    /// With its source and plan.
    Signup(Event<'a>, [String; 2]),
    Revenue(Event<'a>),
    Error(Thrown<'a>),
    Usage(Usage),
}

impl Item<'_> {
    fn sent_id(&self) -> Option<&str> {
        match self {
            Self::Event(event) | Self::Signup(event, _) | Self::Revenue(event) => event.id,
            Self::Error(thrown) => thrown.id,
            Self::Usage(_) => None,
        }
    }
}

/// Something with a name that becomes a row of named events.
#[derive(Debug)]
pub(super) struct Event<'a> {
    id: Option<&'a str>,
    pub(super) name: &'a str,
    /// As JSON, as they are kept.
    pub(super) properties: Option<String>,
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
    id: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) message: &'a str,
    pub(super) stack: Option<&'a str>,
    pub(super) release: Option<&'a str>,
}

/// Calls of the app's own API.
#[derive(Debug)]
pub(super) struct Usage {
    /// Endpoint, type of the key, type of the client.
    pub(super) labels: [String; 3],
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
    let request = root.maybe_id("id")?;
    let mut items = Vec::with_capacity(total);
    for (list, read) in kinds {
        for (at, value) in root.list(list)?.iter().enumerate() {
            let item = read(value, format!("{list}[{at}]"))?;
            let sent = item.sent_id().map(|sent| id::of_sent(list, sent));
            let id = sent.or_else(|| Some(id::of_place(list, at, request?)));
            items.push(Entry { id, item });
        }
    }
    Ok(Checked {
        id: request,
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
    Ok(Item::Signup(event, [source, plan_type].map(label)))
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

/// A label's value: no secret of an address may stand in the metrics.
fn label(sent: Option<&str>) -> String {
    scrub_text(sent.unwrap_or(UNKNOWN), NAME_BYTES_MAX)
}

/// Those of the kind, whom it is about (the app's own word for somebody), and those that were sent.
fn properties<'a>(
    fields: &Fields<'a>,
    more: &[(&'static str, Option<&'a str>)],
) -> Result<Option<String>, Error> {
    let user = [("user", fields.maybe_text("user", NAME_BYTES_MAX)?)];
    let ours = more.iter().chain(&user);
    let ours = ours.filter_map(|(key, value)| Some(((*key).into(), Field::Text((*value)?.into()))));
    let mut entries: Entries<'a> = ours.collect();
    let count = entries.len();
    for (key, value) in fields.properties("properties")? {
        if entries[..count].iter().all(|(known, _)| *known != key) {
            entries.push((key, value));
        }
    }
    let (rendered, is_whole) = render(&entries);
    if !is_whole {
        let reason = format!(
            "takes more than {PROPS_BYTES_MAX} bytes as JSON, together with user and what is of the kind"
        );
        return Err(invalid(fields.place("properties"), reason));
    }
    Ok(rendered)
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
    let label = |name| Ok::<_, Error>(label(fields.maybe_text(name, NAME_BYTES_MAX)?));
    let count = match fields.find("count") {
        None => 1.0,
        Some(_) => fields.number("count", 1.0..=COUNT_MAX)?,
    };
    if count.fract() != 0.0 {
        return Err(invalid(fields.place("count"), "must be a whole number"));
    }
    let endpoint = scrub_text(fields.text("endpoint", NAME_BYTES_MAX)?, NAME_BYTES_MAX);
    let endpoint = template(&endpoint).into_owned();
    let labels = [endpoint, label("api_key_type")?, label("client_type")?];
    Ok(Item::Usage(Usage { labels, count: count as u64 }))
}
