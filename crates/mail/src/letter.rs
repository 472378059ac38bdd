//! A letter as it is asked for, and as it goes over the wire. Sends nothing.

use lettre::address::Envelope;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue,
};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use mainstay_base::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::settings::{Problem, Settings, mailbox};
use crate::template::Rendered;

/// Longest recipient, name included, in bytes.
const RECIPIENT_MAX: usize = 512;

/// A letter to be sent.
#[derive(Clone)]
pub struct Letter {
    /// What makes it the same letter when it is sent again.
    pub id: String,
    /// Whom it is for: `"ada@example.org"` or `"Ada <ada@example.org>"`.
    pub to: Vec<String>,
    /// Text with placeholders.
    pub subject: String,
    /// Name of the template.
    pub template: String,
    /// What its placeholders name.
    pub data: Value,
}

/// Says nothing of whom it is for.
impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("template", &self.template).finish_non_exhaustive()
    }
}

/// Who sends.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    from: Mailbox,
    reply_to: Option<Mailbox>,
    recipients_max: usize,
}

/// A letter as it goes over the wire.
pub(crate) struct Message {
    pub(crate) envelope: Envelope,
    pub(crate) bytes: Vec<u8>,
}

/// No person wrote it, so that nobody's machine answers it (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".into())
    }
}

impl Sender {
    pub(crate) fn of(settings: &Settings) -> Result<Option<Self>, Problem> {
        let Some(from) = mailbox("from", &settings.from)? else { return Ok(None) };
        let reply_to = mailbox("reply_to", &settings.reply_to)?;
        let recipients_max = settings.recipients_max as usize;
        Ok(Some(Self { from, reply_to, recipients_max }))
    }

    /// Whom the letter is for, each of them an address.
    pub(crate) fn recipients(&self, letter: &Letter) -> Result<Vec<Mailbox>, Error> {
        let max = self.recipients_max;
        if letter.to.is_empty() || letter.to.len() > max {
            let what = format!("a letter is for 1 to {max} recipients (mail.recipients_max)");
            return Err(Error::Refused(what));
        }
        let address = |(at, text): (usize, &String)| {
            let is_plain = text.len() <= RECIPIENT_MAX && !text.contains(char::is_control);
            let parsed = text.parse::<Mailbox>().ok().filter(|_| is_plain);
            parsed.ok_or_else(|| Error::Refused(format!("recipient {} is no mail address", at + 1)))
        };
        letter.to.iter().enumerate().map(address).collect()
    }

    /// Its `Message-ID`, and the letter.
    pub(crate) fn write(
        &self,
        letter: &Letter,
        recipients: Vec<Mailbox>,
        rendered: Rendered,
        now: Timestamp,
    ) -> Result<(String, Message), Error> {
        let id = self.message_id(&letter.id);
        let mut message = lettre::Message::builder()
            .from(self.from.clone())
            .date(std::time::UNIX_EPOCH + now.since(Timestamp::EPOCH))
            .message_id(Some(id.clone()))
            .header(AutoSubmitted)
            .subject(rendered.subject);
        if let Some(reply_to) = &self.reply_to {
            message = message.reply_to(reply_to.clone());
        }
        for recipient in recipients {
            message = message.to(recipient);
        }
        let text = part(ContentType::TEXT_PLAIN, rendered.text);
        let written = match rendered.html {
            Some(html) => message.multipart(
                MultiPart::alternative()
                    // Sent again it is the same letter, byte for byte.
                    .boundary(boundary(&id))
                    .singlepart(text)
                    .singlepart(part(ContentType::TEXT_HTML, html)),
            ),
            None => message.singlepart(text),
        };
        let written = written.map_err(|error| Error::Refused(format!("no letter: {error}")))?;
        let message = Message { envelope: written.envelope().clone(), bytes: written.formatted() };
        Ok((id, message))
    }

    fn message_id(&self, id: &str) -> String {
        format!("<{}@{}>", digest(id), self.from.email.domain())
    }
}

impl Message {
    /// What servers call its recipients: their addresses, and what stands before the `@`.
    pub(crate) fn recipients(&self) -> Vec<String> {
        let to = self.envelope.to().iter();
        to.flat_map(|to| [to.to_string(), to.user().to_owned()])
            .map(|name| name.to_lowercase())
            .collect()
    }
}

/// Lines as long as they may be and nothing beyond ASCII, whatever is in it: servers that take no more take it as well.
fn part(content_type: ContentType, text: String) -> SinglePart {
    SinglePart::builder()
        .header(content_type)
        .header(ContentTransferEncoding::QuotedPrintable)
        .body(text)
}

/// What no text that is encoded as quoted-printable holds.
fn boundary(id: &str) -> String {
    format!("=_{}", digest(id))
}

fn digest(id: &str) -> String {
    let hash = Sha256::new_with_prefix(b"letter\0").chain_update(id).finalize();
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
