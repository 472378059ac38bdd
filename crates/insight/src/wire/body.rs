//! The shape of the body: envelope, events, and the objects inside an event; every one tells when it is something else.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Field, Key, skip_list, skip_object};
use crate::settings::EVENTS_MAX as EVENTS_KEPT_MAX;

/// Most entries of one object that are kept; further ones are counted only.
const ENTRIES_KEPT_MAX: usize = 64;

/// The body.
#[derive(Debug, Default)]
pub(crate) struct Envelope<'a> {
    pub(crate) is_object: bool,
    pub(crate) v: Field<'a>,
    pub(crate) site: Field<'a>,
    pub(crate) page: Field<'a>,
    pub(crate) url: Field<'a>,
    pub(crate) referrer: Field<'a>,
    pub(crate) width: Field<'a>,
    pub(crate) events: Events<'a>,
}

/// The list of events.
#[derive(Debug, Default)]
pub(crate) enum Events<'a> {
    #[default]
    Missing,
    NotList,
    List {
        kept: Vec<Event<'a>>,
        total: usize,
    },
}

/// One event of any kind.
#[derive(Debug, Default)]
pub(crate) struct Event<'a> {
    pub(crate) is_object: bool,
    pub(crate) id: Field<'a>,
    pub(crate) kind: Field<'a>,
    pub(crate) t: Field<'a>,
    pub(crate) name: Field<'a>,
    pub(crate) value: Field<'a>,
    pub(crate) nav: Field<'a>,
    pub(crate) message: Field<'a>,
    pub(crate) stack: Field<'a>,
    pub(crate) line: Field<'a>,
    pub(crate) col: Field<'a>,
    pub(crate) src: Field<'a>,
    pub(crate) ms: Field<'a>,
    pub(crate) scroll: Field<'a>,
    pub(crate) attr: Object<'a>,
    pub(crate) props: Object<'a>,
    pub(crate) revenue: Object<'a>,
}

/// An object of scalars.
#[derive(Debug, Default)]
pub(crate) enum Object<'a> {
    #[default]
    Missing,
    /// Something else.
    Wrong,
    Entries {
        kept: Vec<(Cow<'a, str>, Field<'a>)>,
        total: usize,
    },
}

/// Reads the body.
pub(crate) fn parse(body: &[u8]) -> Result<Envelope<'_>, serde_json::Error> {
    serde_json::from_slice(body)
}

/// A visitor that takes an object, or answers every other shape with a value that says so.
macro_rules! object_or {
    ($type:ident, null: $null:expr, else: $otherwise:expr, |$object:ident| $read:block) => {
        impl<'de: 'a, 'a> Deserialize<'de> for $type<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Shape;
                impl<'de> Visitor<'de> for Shape {
                    type Value = $type<'de>;
                    otherwise!($type, $null, $otherwise);

                    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<$type<'de>, A::Error> {
                        skip_list(list).map(|()| $otherwise)
                    }

                    fn visit_map<A: MapAccess<'de>>(
                        self,
                        mut $object: A,
                    ) -> Result<$type<'de>, A::Error> {
                        $read
                    }
                }
                deserializer.deserialize_any(Shape)
            }
        }
    };
}

macro_rules! otherwise {
    ($type:ident, $null:expr, $otherwise:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value")
        }

        fn visit_bool<E>(self, _: bool) -> Result<$type<'de>, E> {
            Ok($otherwise)
        }

        fn visit_i64<E>(self, _: i64) -> Result<$type<'de>, E> {
            Ok($otherwise)
        }

        fn visit_u64<E>(self, _: u64) -> Result<$type<'de>, E> {
            Ok($otherwise)
        }

        fn visit_f64<E>(self, _: f64) -> Result<$type<'de>, E> {
            Ok($otherwise)
        }

        fn visit_str<E>(self, _: &str) -> Result<$type<'de>, E> {
            Ok($otherwise)
        }

        fn visit_unit<E>(self) -> Result<$type<'de>, E> {
            Ok($null)
        }
    };
}

object_or!(Envelope, null: Envelope::default(), else: Envelope::default(), |object| {
    let mut envelope = Envelope { is_object: true, ..Envelope::default() };
    while let Some(Key(key)) = object.next_key()? {
        match &*key {
            "v" => envelope.v = object.next_value()?,
            "site" => envelope.site = object.next_value()?,
            "page" => envelope.page = object.next_value()?,
            "url" => envelope.url = object.next_value()?,
            "ref" => envelope.referrer = object.next_value()?,
            "w" => envelope.width = object.next_value()?,
            "events" => envelope.events = object.next_value()?,
            _ => drop(object.next_value::<IgnoredAny>()?),
        }
    }
    Ok(envelope)
});

object_or!(Event, null: Event::default(), else: Event::default(), |object| {
    let mut event = Event { is_object: true, ..Event::default() };
    while let Some(Key(key)) = object.next_key()? {
        match &*key {
            "id" => event.id = object.next_value()?,
            "type" => event.kind = object.next_value()?,
            "t" => event.t = object.next_value()?,
            "name" => event.name = object.next_value()?,
            "value" => event.value = object.next_value()?,
            "nav" => event.nav = object.next_value()?,
            "message" => event.message = object.next_value()?,
            "stack" => event.stack = object.next_value()?,
            "line" => event.line = object.next_value()?,
            "col" => event.col = object.next_value()?,
            "src" => event.src = object.next_value()?,
            "ms" => event.ms = object.next_value()?,
            "scroll" => event.scroll = object.next_value()?,
            "attr" => event.attr = object.next_value()?,
            "props" => event.props = object.next_value()?,
            "revenue" => event.revenue = object.next_value()?,
            _ => drop(object.next_value::<IgnoredAny>()?),
        }
    }
    Ok(event)
});

object_or!(Object, null: Object::Missing, else: Object::Wrong, |object| {
    let (mut kept, mut total) = (Vec::new(), 0);
    while let Some(Key(key)) = object.next_key()? {
        total += 1;
        if kept.len() < ENTRIES_KEPT_MAX {
            kept.push((key, object.next_value()?));
        } else {
            object.next_value::<IgnoredAny>()?;
        }
    }
    Ok(Object::Entries { kept, total })
});

impl<'de: 'a, 'a> Deserialize<'de> for Events<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Events<'de>;
            otherwise!(Events, Events::NotList, Events::NotList);

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Events<'de>, A::Error> {
                let mut kept = Vec::with_capacity(1);
                while kept.len() < EVENTS_KEPT_MAX {
                    match list.next_element()? {
                        Some(event) => kept.push(event),
                        None => break,
                    }
                }
                let mut total = kept.len();
                if total == EVENTS_KEPT_MAX {
                    while list.next_element::<IgnoredAny>()?.is_some() {
                        total += 1;
                    }
                }
                Ok(Events::List { kept, total })
            }

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Events<'de>, A::Error> {
                skip_object(object).map(|()| Events::NotList)
            }
        }
        deserializer.deserialize_any(Shape)
    }
}
