//! `webhook`: a worker of the owner's, over HTTP. Signed by the rules of Standard Webhooks; the status says whether it is done,
//! to be tried again, or dead.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use mainstay_base::Clock;
use mainstay_base::units::{Size, Span};
use mainstay_jobs::{ANY, Failure, Job, Running, Work};
use mainstay_telemetry::outbound::{
    Answer, Client, Error, Excess, Limits, Origin, Policy, Purpose, Request, Rule,
};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use url::Url;

use super::payload::{Payload, dead};
use super::{Context, id_of};

const QUEUE: &str = "webhook";
/// How secrets may begin, so that people know them for what they are.
const PREFIX: &str = "whsec_";
/// Shortest secret, in bytes: as of Standard Webhooks.
const SECRET_MIN: usize = 24;

/// With `=` at the end or without: secrets are made both ways.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How jobs are handed to workers over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What requests are signed with, by which a worker knows that they are ours: base64 of at least 24 bytes, with or without `"whsec_"` before it. Not set: none are sent.
    #[schemars(extend("writeOnly" = true))]
    pub secret: Option<String>,
    /// Workers that may be on private addresses or other ports than 80 and 443, as scheme, host and port: `"http://worker.internal:9000"`. All others are asked at public addresses only.
    #[schemars(extend("examples" = [["http://127.0.0.1:9000"]]))]
    pub origins: Vec<String>,
    /// How long a worker may take, connecting included. Default `"30s"`.
    pub timeout: Span,
    /// How long connecting may take. Default `"3s"`.
    pub connect_timeout: Span,
    /// Size of an answer that is kept as the job's result; of a longer one nothing is. Default `"64KiB"`.
    pub answer_max: Size,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            secret: None,
            origins: Vec::new(),
            timeout: Span::seconds(30),
            connect_timeout: Span::seconds(3),
            answer_max: Size::kib(64),
        }
    }
}

impl Settings {
    /// Every value that means nothing: its field, and what to write instead.
    #[must_use]
    pub fn list_problems(&self) -> Vec<(&'static str, String)> {
        let secret = self.key().err().map(|what| ("secret", what.to_owned()));
        let is_wrong = |text: &&String| origin(text).is_none();
        let origins = self.origins.iter().filter(is_wrong).map(|text| {
            let what =
                format!("must be scheme and host such as \"http://127.0.0.1:9000\", not {text:?}");
            ("origins", what)
        });
        secret.into_iter().chain(origins).collect()
    }

    fn key(&self) -> Result<Option<Vec<u8>>, &'static str> {
        let Some(text) = &self.secret else { return Ok(None) };
        let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
        let key = BASE64.decode(encoded).ok().filter(|key| key.len() >= SECRET_MIN);
        key.map(Some).ok_or(
            "must be base64 of at least 24 bytes, with or without \"whsec_\" before it: make one with `openssl rand -base64 32`",
        )
    }
}

/// The origin of an address that says nothing else.
fn origin(text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok()?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_bare = is_bare && url.username().is_empty() && url.password().is_none();
    Origin::of(&url).filter(|_| is_bare)
}

/// Asks workers.
#[derive(Debug)]
pub(super) struct Webhook {
    client: Client,
    settings: Settings,
    clock: Clock,
    answer_max: usize,
}

impl Webhook {
    pub(super) fn new(context: Context, result_max: usize) -> Self {
        let settings = context.settings.borrow().webhook.clone();
        let answer_max = settings.answer_max.bytes().min(result_max);
        Self { client: context.client, settings, clock: context.clock, answer_max }
    }

    async fn ask(&self, work: &Work) -> Result<Option<String>, Failure> {
        let payload = Payload::read(&work.job.payload, &["url", "body"])?;
        let url: String = payload.get("url", "the address of a worker")?;
        let body = payload.raw("body").unwrap_or("null").to_owned();
        let request = Request {
            purpose: Purpose::Webhook,
            policy: self.policy(&url),
            limits: Limits {
                total: self.settings.timeout.0,
                connect: self.settings.connect_timeout.0,
                body_bytes_max: self.answer_max,
                excess: Excess::Cut,
                redirects_max: 0,
            },
            method: Method::POST,
            url,
            headers: self.headers(work, &body)?,
            body: body.into(),
        };
        let answer = self.client.send(request).await.map_err(|error| failure(&error))?;
        judge(answer.status).map(|()| result(&answer))
    }

    /// The owner's own workers are asked wherever they are.
    fn policy(&self, url: &str) -> Policy {
        let asked = Url::parse(url).ok().and_then(|url| Origin::of(&url));
        let mut ours = self.settings.origins.iter().filter_map(|text| origin(text));
        match ours.find(|ours| asked.as_ref() == Some(ours)) {
            Some(origin) => Policy::ours([origin]),
            None => Policy::stranger(),
        }
    }

    fn headers(&self, work: &Work, body: &str) -> Result<HeaderMap, Failure> {
        let key = self.settings.key().ok().flatten();
        let key = key.ok_or_else(|| dead("no worker is asked: set webhook.secret"))?;
        let (id, at) = (id_of(QUEUE, work), self.clock.now().as_seconds());
        let mut headers = HeaderMap::new();
        let mut set = |name, value: String| {
            // What is no header's value, an id beyond ASCII, is left out.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("content-type", "application/json".into());
        set("accept", "application/json".into());
        set("webhook-signature", sign(&key, &id, at, body)?);
        set("webhook-id", id);
        set("webhook-timestamp", at.to_string());
        set("mainstay-job", work.id());
        set("mainstay-type", work.job.kind.clone());
        set("mainstay-attempt", (work.job.attempts_made + 1).to_string());
        set("mainstay-fencing-token", work.fencing_token().to_string());
        if let Some(trace) = &work.job.trace {
            set("traceparent", trace.clone());
        }
        Ok(headers)
    }
}

impl Job for Webhook {
    fn kind(&self) -> &str {
        ANY
    }

    fn queue(&self) -> &str {
        QUEUE
    }

    fn run(&self, work: Work) -> Running<'_> {
        Box::pin(async move { self.ask(&work).await })
    }
}

/// Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over id, time and body.
fn sign(key: &[u8], id: &str, at: i64, body: &str) -> Result<String, Failure> {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mut mac = mac.map_err(|_| dead("webhook.secret cannot be used"))?;
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    Ok(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
}

/// Whether the worker has done it.
fn judge(status: StatusCode) -> Result<(), Failure> {
    let code = status.as_u16();
    match code {
        200..300 => Ok(()),
        408 | 425 | 429 | 500.. => Err(Failure::Again(format!("the worker answered {code}"))),
        300..400 => Err(dead(format!(
            "the worker answered {code}, and redirects are not followed: give the address that it sends to"
        ))),
        _ => Err(dead(format!("the worker refused it: {code}"))),
    }
}

/// Its answer, where that is JSON and not too long.
fn result(answer: &Answer) -> Option<String> {
    let text = std::str::from_utf8(&answer.body).ok().filter(|_| !answer.is_cut)?;
    serde_json::from_str::<IgnoredAny>(text).ok().map(|_| text.to_owned())
}

/// Repeats no address: the path may be a secret.
fn failure(error: &Error) -> Failure {
    match error.rule() {
        // Names come and go.
        None | Some(Rule::NoAddress) => {
            Failure::Again(format!("the worker gave no answer: {error}"))
        }
        Some(rule) => dead(format!(
            "the worker may not be asked ({rule}): only public addresses at ports 80 and 443 are, and what webhook.origins names"
        )),
    }
}
