//! `email`: a letter by template to one or more recipients. Answers its `Message-ID`.

use mainstay_jobs::{ANY, Failure, Job, Running, Work};
use mainstay_mail::{Error, Letter, Mail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::id_of;
use super::payload::Payload;

const QUEUE: &str = "email";

/// Sends letters.
#[derive(Debug)]
pub(super) struct Email(Mail);

/// One, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum To {
    One(String),
    Many(Vec<String>),
}

impl Email {
    pub(super) fn new(mail: Mail) -> Self {
        Self(mail)
    }

    async fn send(&self, work: &Work) -> Result<Option<String>, Failure> {
        let letter = read(work)?;
        match self.0.send(&letter).await {
            Ok(id) => Ok(Some(json!({ "messageId": id }).to_string())),
            Err(Error::Refused(what)) => Err(Failure::Dead(what)),
            Err(Error::Unavailable(what)) => Err(Failure::Again(what)),
        }
    }
}

impl Job for Email {
    fn kind(&self) -> &str {
        ANY
    }

    fn queue(&self) -> &str {
        QUEUE
    }

    fn run(&self, work: Work) -> Running<'_> {
        Box::pin(async move { self.send(&work).await })
    }
}

fn read(work: &Work) -> Result<Letter, Failure> {
    let payload = Payload::read(&work.job.payload, &["to", "subject", "template", "data"])?;
    let to = match payload.get("to", "an address or a list of addresses")? {
        To::One(to) => vec![to],
        To::Many(to) => to,
    };
    let data: Option<Map<String, Value>> = payload.find("data", "an object")?;
    Ok(Letter {
        id: id_of(QUEUE, work),
        to,
        subject: payload.get("subject", "text")?,
        template: payload.get("template", "the name of a template")?,
        data: Value::Object(data.unwrap_or_default()),
    })
}
