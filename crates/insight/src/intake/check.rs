//! What a body must look like: every bound and type, each refusal with the place it is about; changes and keeps nothing.

use std::borrow::Cow;

use mainstay_base::units::Size;

use super::Error;
use crate::scrub::{Address, URL_BYTES_MAX, parse_http};
use crate::settings::EVENTS_MAX;
use crate::wire::{Envelope, Event, Events, Field, Object};

mod event;
mod field;

pub(crate) use event::{Entries, Known, Measured, Named, PROPS_BYTES_MAX, Thrown};
use field::{Place, id, invalid, optional_integer, optional_text};

/// The bounds of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) body_max: Size,
    pub(crate) events_max: usize,
}

/// A body that keeps every rule.
#[derive(Debug)]
pub(crate) struct Checked<'a> {
    /// The browser's id of the page view.
    pub(crate) page_id: &'a str,
    pub(crate) address: Address<'a>,
    /// Where the visitor came from, when it is a web address.
    pub(crate) referrer: Option<Address<'a>>,
    /// Viewport width in CSS pixels.
    pub(crate) width: Option<i32>,
    /// The events of kinds we know.
    pub(crate) events: Vec<Known<'a>>,
    /// How many events were of kinds we do not know.
    pub(crate) unknown: usize,
}

/// Refuses a body longer than allowed, before it is parsed.
pub(crate) fn check_length(body: &[u8], limits: &Limits) -> Result<(), Error> {
    if body.len() <= limits.body_max.bytes() {
        return Ok(());
    }
    Err(Error::TooLarge { field: "body", reason: format!("is longer than {}", limits.body_max) })
}

/// The error of a body that is not JSON; says where, never what.
pub(crate) fn not_json(error: &serde_json::Error) -> Error {
    let reason = format!("is not JSON (line {}, column {})", error.line(), error.column());
    Error::Invalid { field: "body".into(), reason }
}

/// Checks everything there is to check without knowing the sender.
pub(crate) fn check<'a>(
    envelope: &'a Envelope<'a>,
    site: &str,
    limits: &Limits,
) -> Result<Checked<'a>, Error> {
    let root = Place::Root;
    if !envelope.is_object {
        return Err(invalid(root, "body", "must be an object"));
    }
    if envelope.v != Field::Number(1.0) {
        return Err(invalid(root, "v", "must be 1"));
    }
    match optional_text(&envelope.site, root, "site", 100)? {
        Some(named) if named != site => {
            return Err(invalid(root, "site", "is not the site this was sent to"));
        }
        _ => {}
    }
    let page_id = id(&envelope.page, root, "page")?;
    let Field::Text(url) = &envelope.url else {
        return Err(invalid(root, "url", "must be text"));
    };
    let address = parse_http(url).ok_or_else(|| {
        invalid(
            root,
            "url",
            &format!("must be an http or https address of at most {URL_BYTES_MAX} bytes"),
        )
    })?;
    let referrer = match &envelope.referrer {
        Field::Missing | Field::Null => None,
        Field::Text(text) => parse_http(text),
        _ => return Err(invalid(root, "ref", "must be text")),
    };
    let width = optional_integer(&envelope.width, root, "w", 100_000)?;
    let (events, unknown) = check_events(&envelope.events, limits)?;
    Ok(Checked { page_id, address, referrer, width, events, unknown })
}

fn check_events<'a>(
    events: &'a Events<'a>,
    limits: &Limits,
) -> Result<(Vec<Known<'a>>, usize), Error> {
    let Events::List { kept, total } = events else {
        return Err(invalid(Place::Root, "events", "must be a list"));
    };
    if *total == 0 {
        return Err(invalid(Place::Root, "events", "must not be empty"));
    }
    let events_max = limits.events_max.min(EVENTS_MAX);
    if *total > events_max {
        let reason = format!("holds more than {events_max} events");
        return Err(Error::TooLarge { field: "events", reason });
    }
    let mut known = Vec::with_capacity(kept.len());
    for (index, event) in kept.iter().enumerate() {
        known.extend(event::check(event, index)?);
    }
    let unknown = total - known.len();
    Ok((known, unknown))
}
