//! `/_mainstay/jobs/{queue}`: an app adds jobs and asks how they stand, by an API key of scope `jobs`. 201 once they are
//! durable; what repeats an earlier request (`Idempotency-Key`, an id, a unique key) answers the job that is there.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts as Head;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use mainstay_base::{Coded as _, ErrorCode};
use mainstay_identity::Scope;
use mainstay_jobs::{Add, Added, Error, Jobs};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize as _, Serialize};

use crate::intake::read_body;
use crate::problem::Problem;
use crate::public::{Public, wrong_method};
use crate::token;

pub(crate) mod wire;

use wire::{Id, Standing, Wanted};

/// The route template answers count for.
pub(crate) const ROUTE: &str = "/_mainstay/jobs/{queue}";
/// The same for one job.
pub(crate) const ROUTE_ONE: &str = "/_mainstay/jobs/{queue}/{id}";

/// Between the parts of a key: no header holds it.
const SEPARATOR: char = '\u{1f}';
/// draft-ietf-httpapi-idempotency-key-header-07.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Seconds to wait where jobs cannot be taken.
const RETRY_AFTER_S: u64 = 5;
/// Jobs of one request that have names or a key: each name is a lock while they are added.
const NAMED_MAX: usize = 1_000;
/// Characters of an `Idempotency-Key`, of a trace context and of a token.
const KEY_MAX: usize = 200;
const HEADER_MAX: usize = 1_024;

/// Answers what lies below `/jobs/`: a queue's name, and perhaps an id.
pub(crate) async fn jobs(
    public: &Public,
    path: &str,
    head: &Head,
    body: Incoming,
) -> (&'static str, Response<Bytes>) {
    let (queue, id) = path.split_once('/').map_or((path, None), |(queue, id)| (queue, Some(id)));
    match (id, &head.method) {
        (None, &Method::POST) => (ROUTE, answer(add(public, queue, head, body).await)),
        (None, _) => (ROUTE, wrong_method("POST")),
        (Some(id), &(Method::GET | Method::HEAD)) => {
            (ROUTE_ONE, answer(show(public, queue, id, head).await))
        }
        (Some(_), _) => (ROUTE_ONE, wrong_method("GET, HEAD")),
    }
}

fn answer(answered: Result<Response<Bytes>, Problem>) -> Response<Bytes> {
    answered.unwrap_or_else(Problem::into_bytes)
}

async fn add(
    public: &Public,
    queue: &str,
    head: &Head,
    body: Incoming,
) -> Result<Response<Bytes>, Problem> {
    // Before the body: a stranger's costs nothing.
    let caller = public.gate.require(&head.headers, Scope::Jobs).await?;
    let queue = &decode(queue)?;
    let jobs = &public.jobs;
    if !jobs.queues().contains(queue) {
        return Err(problem(&Error::NoQueue(queue.clone())));
    }
    check_media_type(&head.headers)?;
    let common = Common::of(&head.headers, &caller.id)?;
    let body = read_body(body, jobs.request_max(), public.insight.body_timeout()).await?;
    let Body { jobs: wanted, is_list } = read(&body, jobs.batch_max())?;
    let (added, ids) = add_to(jobs, queue, wanted, &common).await?;
    let status = match added.iter().any(|added| added.is_new) {
        true => StatusCode::CREATED,
        // A repeat is answered as the first was; nothing was created.
        false if head.headers.contains_key(IDEMPOTENCY_KEY) => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    match (is_list, ids.as_slice()) {
        (false, [id]) => {
            let mut response = json(status, id);
            let segment = utf8_percent_encode(&id.id, NON_ALPHANUMERIC);
            if let Ok(at) = HeaderValue::try_from(format!("{}/{segment}", head.uri.path())) {
                response.headers_mut().insert(header::LOCATION, at);
            }
            Ok(response)
        }
        (_, ids) => Ok(json(status, &ids)),
    }
}

async fn show(
    public: &Public,
    queue: &str,
    id: &str,
    head: &Head,
) -> Result<Response<Bytes>, Problem> {
    public.gate.require(&head.headers, Scope::Jobs).await?;
    let (queue, id) = (decode(queue)?, decode(id)?);
    let row = public.jobs.get(&queue, &id).await.map_err(|error| problem(&error))?;
    Ok(json(StatusCode::OK, &Standing::of(&queue, &row)))
}

/// What of a request's head goes along with each of its jobs.
#[derive(Debug, Default)]
pub(crate) struct Common {
    /// With whose it is: two callers may choose the same.
    idempotency_key: Option<String>,
    trace: Option<Arc<str>>,
    written: Option<Arc<str>>,
}

impl Common {
    fn of(headers: &HeaderMap, caller: &str) -> Result<Self, Problem> {
        let key = headers.get(IDEMPOTENCY_KEY).map(|value| {
            let text = value.to_str().ok().filter(|text| (1..=KEY_MAX).contains(&text.len()));
            text.map(|text| format!("{caller}{SEPARATOR}{text}"))
        });
        if key == Some(None) {
            return Err(invalid("idempotency-key", "is 1 to 200 visible ASCII characters"));
        }
        let short = |text: &&str| text.len() <= HEADER_MAX;
        let trace = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).filter(short);
        let written = token::list(headers).into_iter().find(short);
        let (trace, written) = (trace.map(Arc::from), written.map(Arc::from));
        Ok(Self { idempotency_key: key.flatten(), trace, written })
    }

    /// The job as it is added. Of several each has a key of its own, which no header can be.
    fn complete(&self, add: Add, at: usize) -> Add {
        let key = self.idempotency_key.as_ref();
        let key =
            key.map(|key| if at == 0 { key.clone() } else { format!("{key}{SEPARATOR}{at}") });
        let (trace, written) = (self.trace.clone(), self.written.clone());
        Add { idempotency_key: key, trace, written, ..add }
    }
}

/// One job, or several.
struct Body {
    jobs: Vec<Wanted>,
    is_list: bool,
}

fn read(body: &[u8], max: usize) -> Result<Body, Problem> {
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let mut source = serde_json::Deserializer::from_slice(body);
    let jobs = if is_list {
        wire::read_list(&mut source, max)
    } else {
        Wanted::deserialize(&mut source).map(|one| vec![one])
    };
    match jobs.and_then(|jobs| source.end().map(|()| jobs)) {
        Ok(jobs) if jobs.len() > max => {
            Err(invalid("body", &format!("has more jobs than jobs.batch_max ({max})")))
        }
        Ok(jobs) => Ok(Body { jobs, is_list }),
        // Its words may repeat what was sent; where it is wrong is enough.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let text = format!(
                "A job is a JSON object with \"type\" and \"payload\"; see line {line}, column {column}."
            );
            Err(Problem::new(ErrorCode::Invalid, text).with_field("body"))
        }
    }
}

/// Adds jobs, and says what they are called.
pub(crate) async fn add_to(
    jobs: &Jobs,
    queue: &str,
    wanted: Vec<Wanted>,
    common: &Common,
) -> Result<(Vec<Added>, Vec<Id>), Problem> {
    if wanted.is_empty() {
        return Err(invalid("body", "has no job"));
    }
    let has_key = common.idempotency_key.is_some();
    if wanted.len() > NAMED_MAX && (has_key || wanted.iter().any(Wanted::is_named)) {
        return Err(invalid("body", "has more than 1000 jobs that have an id or a key"));
    }
    let adds = wanted.into_iter().enumerate();
    let adds = adds.map(|(at, job)| Ok(common.complete(job.into_add()?, at)));
    let adds = adds.collect::<Result<Vec<_>, Problem>>()?;
    let named: Vec<Option<String>> = adds.iter().map(|add| add.id.clone()).collect();
    let added = jobs.add_many(queue, adds).await.map_err(|error| problem(&error))?;
    let mut ids = Vec::with_capacity(added.len());
    for (added, named) in added.iter().zip(named) {
        let number = added.seq.to_string();
        let own = named.clone();
        let id = match named.filter(|_| added.is_new) {
            Some(named) => named,
            None if added.is_new => number,
            // Another one's, by whatever name it was found; forgotten meanwhile, its number still says which.
            None => match jobs.get(queue, &number).await {
                Ok(row) => row.id(),
                Err(_) => own.unwrap_or(number),
            },
        };
        ids.push(Id { id });
    }
    Ok((added, ids))
}

/// A name in a path; what no queue and no job can be called is not asked for.
fn decode(part: &str) -> Result<String, Problem> {
    let decoded = percent_decode_str(part).decode_utf8().ok();
    let decoded = decoded.filter(|name| !name.contains(char::is_control));
    decoded.map(Into::into).ok_or_else(|| {
        Problem::new(ErrorCode::NotFound, "There is no queue and no job of this name.")
    })
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or("").split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(ErrorCode::Invalid, "Jobs are application/json.")
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .with_field("content-type"))
}

pub(crate) fn invalid(field: &str, reason: &str) -> Problem {
    Problem::new(ErrorCode::Invalid, format!("{field} {reason}.")).with_field(field)
}

/// Why a job was not added, found or changed.
pub(crate) fn problem(error: &Error) -> Problem {
    match error.code() {
        // Logged by who noticed, not once for each who asks.
        ErrorCode::Unavailable => {
            Problem::new(error.code(), error.public()).retry_after(RETRY_AFTER_S)
        }
        _ => Problem::of(error),
    }
}

fn json(status: StatusCode, body: &(impl Serialize + ?Sized)) -> Response<Bytes> {
    let mut response = Response::new(serde_json::to_vec(body).unwrap_or_default().into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
