//! What an app recorded as rows of the store: shortened and scrubbed like browsers' events.

use std::sync::Arc;

use mainstay_base::{Entropy, Timestamp};
use mainstay_store::Record;
use mainstay_store::tables::{custom_event, error_event};

use super::PAGE;
use super::check::{Entry, Event, Item, Thrown};
use crate::errors::fingerprint;
use crate::intake::Error;
use crate::intake::rows::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX, STACK_BYTES_MAX};
use crate::scrub::{scrub_error_text, scrub_text};
use crate::settings::RELEASE_BYTES_MAX;

/// What is known beside the items.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) site: &'a Arc<str>,
    pub(super) received: Timestamp,
    pub(super) release: Option<&'a str>,
    pub(super) entropy: &'a Entropy,
}

impl Context<'_> {
    /// The rows of one request.
    pub(super) fn list(&self, items: &[Entry<'_>]) -> Result<Vec<Record>, Error> {
        let mut records = Vec::with_capacity(items.len());
        for Entry { id, item } in items {
            let id = id.as_deref();
            match item {
                Item::Event(event) | Item::Signup(event, _) | Item::Revenue(event) => {
                    records.push(Record::Custom(self.custom(id, event)?));
                }
                Item::Error(thrown) => records.push(Record::Error(self.error(id, thrown)?)),
                Item::Usage(_) => {}
            }
        }
        Ok(records)
    }

    /// The id that is known; else one that nobody can repeat.
    fn id(&self, known: Option<&str>) -> Result<String, Error> {
        match known {
            Some(id) => Ok(id.to_owned()),
            None => {
                let id = self.entropy.uuid_v7(self.received);
                Ok(id.map_err(|e| Error::Internal(e.into()))?.simple().to_string())
            }
        }
    }

    fn custom(&self, id: Option<&str>, event: &Event<'_>) -> Result<custom_event::Row, Error> {
        Ok(custom_event::Row {
            id: self.id(id)?,
            site: Arc::clone(self.site),
            recorded_at: self.received,
            page_id: PAGE.into(),
            session_id: None,
            visitor_id: None,
            name: scrub_text(event.name, NAME_BYTES_MAX),
            path: String::new(),
            props: event.properties.clone(),
            revenue_amount: event.revenue.map(|revenue| revenue.amount),
            revenue_currency: event.revenue.map(|revenue| revenue.currency.into()),
            bot: false,
        })
    }

    fn error(&self, id: Option<&str>, thrown: &Thrown<'_>) -> Result<error_event::Row, Error> {
        let error_type = scrub_error_text(thrown.name, NAME_BYTES_MAX);
        let error_message = scrub_error_text(thrown.message, MESSAGE_BYTES_MAX);
        let error_stack = thrown.stack.map(|stack| scrub_error_text(stack, STACK_BYTES_MAX));
        Ok(error_event::Row {
            id: self.id(id)?,
            site: Arc::clone(self.site),
            timestamp: self.received,
            fingerprint: fingerprint(&error_type, &error_message, error_stack.as_deref(), None),
            page_id: PAGE.into(),
            session_id: None,
            visitor_id: None,
            error_type,
            error_message,
            error_stack,
            url: String::new(),
            source: None,
            line_number: None,
            column_number: None,
            user_agent: None,
            release: thrown.release.map_or_else(
                || self.release.map(Into::into),
                |release| Some(scrub_text(release, RELEASE_BYTES_MAX)),
            ),
            bot: false,
        })
    }
}
