//! `/api/v1/jobs…`: the queues and their jobs for the owner, what may be a person's or a secret left out; and what he does
//! with them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::routing::MethodFilter;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{Method, StatusCode};
use mainstay_base::{ErrorCode, Timestamp};
use mainstay_jobs::{Cursor, Error, Jobs, Queue, Row, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::openapi::{NONE, Reads};
use super::page::{Page, invalid};
use crate::access::Caller;
use crate::admin::Admin;
use crate::jobs::problem;
use crate::jobs::wire::{Standing, redact, value};
use crate::problem::Problem;

/// Jobs of one page, where nothing else is asked for.
const LIMIT_DEFAULT: u32 = 100;
/// As many as may be asked for.
const LIMIT_MAX: u32 = 1_000;
/// As many as a page has: their data may be large.
const PAGE_MAX: u32 = 200;

/// A queue.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JobQueue")]
pub(crate) struct QueueRow {
    queue: String,
    paused: bool,
    waiting: u64,
    active: u64,
    delayed: u64,
    completed: u64,
    failed: u64,
    dead: u64,
    /// How long the one that waits longest could have begun; null where none waits.
    oldest_ms: Option<u64>,
}

impl QueueRow {
    pub(crate) fn of(queue: Queue, now: Timestamp) -> Self {
        let of = |status| queue.counts.of(status);
        Self {
            paused: queue.paused,
            waiting: of(Status::Waiting),
            active: of(Status::Active),
            delayed: of(Status::Delayed),
            completed: of(Status::Completed),
            failed: of(Status::Failed),
            dead: of(Status::Dead),
            oldest_ms: queue
                .oldest
                .map(|oldest| now.since(oldest).as_millis().try_into().unwrap_or(u64::MAX)),
            queue: queue.name,
        }
    }
}

/// A job, with its data as far as it may be shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub(crate) struct JobRow {
    #[serde(flatten)]
    standing: Standing,
    /// Any JSON. What may be a person's or a secret is left out.
    payload: Value,
    /// How often whoever had it was not heard of again.
    stalled: i32,
}

impl JobRow {
    fn of(queue: &str, row: &Row) -> Self {
        let mut payload = value(Some(&row.payload));
        redact(&mut payload);
        Self { standing: Standing::of(queue, row).redacted(), payload, stalled: row.stalled }
    }
}

#[derive(Deserialize)]
struct Wire {
    queue: Option<String>,
    status: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Which jobs are asked for.
pub(crate) struct Asked {
    /// None where there are no queues.
    queue: Option<String>,
    status: Status,
    limit: u32,
    after: Option<Cursor>,
}

impl FromRequestParts<Arc<Admin>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let Query(wire) = Query::<Wire>::from_request_parts(parts, admin)
            .await
            .map_err(|_| invalid("query", "names a parameter twice"))?;
        let first = || admin.jobs.queues().first().cloned();
        let queue = wire.queue.or_else(first);
        if let Some(queue) = queue.as_ref().filter(|queue| !admin.jobs.queues().contains(*queue)) {
            return Err(problem(&Error::NoQueue(queue.clone())).with_field("queue"));
        }
        let status = wire.status.as_deref().unwrap_or("waiting");
        let status =
            Status::ALL.into_iter().find(|known| known.as_str() == status).ok_or_else(|| {
                invalid("status", "is waiting, delayed, active, completed, failed or dead")
            })?;
        let limit = wire.limit.map_or(Some(LIMIT_DEFAULT), |limit| limit.parse().ok());
        let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
        let limit = limit.ok_or_else(|| invalid("limit", "is 1 to 1000"))?.min(PAGE_MAX);
        let after = wire.cursor.as_deref().map(|cursor| {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            serde_json::from_slice(&bytes).ok().map(Cursor)
        });
        let after = match after {
            Some(None) => return Err(invalid("cursor", "is not one that this server gave out")),
            Some(after) => after,
            None => None,
        };
        Ok(Self { queue, status, limit, after })
    }
}

pub(crate) async fn queues(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
) -> Result<Json<Page<QueueRow>>, Problem> {
    let now = admin.clock.now();
    // An open page is worth a database that is awake.
    admin.store.note_use();
    let queues = admin.jobs.list_queues().await.map_err(|error| problem(&error))?;
    let rows = queues.into_iter().map(|queue| QueueRow::of(queue, now)).collect();
    Ok(Json(Page::whole(rows, now)))
}

pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Result<Json<Page<JobRow>>, Problem> {
    let now = admin.clock.now();
    let Asked { queue, status, limit, after } = asked;
    let Some(queue) = queue else { return Ok(Json(Page::whole(Vec::new(), now))) };
    let rows =
        admin.jobs.list(&queue, status, after, limit).await.map_err(|error| problem(&error))?;
    let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.seq);
    let rows = rows.iter().map(|row| JobRow::of(&queue, row)).collect();
    Ok(Json(Page::part(rows, next, now)))
}

pub(crate) async fn find(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    Path((queue, id)): Path<(String, String)>,
) -> Result<Json<JobRow>, Problem> {
    let row = admin.jobs.get(&queue, &id).await.map_err(|error| problem(&error))?;
    Ok(Json(JobRow::of(&queue, &row)))
}

/// What becomes of a job that something was asked of.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JobChanged")]
pub(crate) struct Changed {
    /// How it stands now; of one that was removed, how it stood.
    status: &'static str,
}

impl Changed {
    async fn of(
        jobs: &Jobs,
        change: Change,
        (queue, id): (String, String),
    ) -> Result<Json<Self>, Problem> {
        let status = change.make(jobs, &queue, &id).await?;
        Ok(Json(Self { status: status.as_str() }))
    }
}

/// What is asked of a job.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    Retry,
    Cancel,
    Remove,
}

impl Change {
    /// How the job stands now, or stood last.
    pub(crate) async fn make(self, jobs: &Jobs, queue: &str, id: &str) -> Result<Status, Problem> {
        let changed = match self {
            Self::Retry => jobs.retry(queue, id).await,
            Self::Cancel => jobs.cancel(queue, id).await,
            Self::Remove => jobs.remove(queue, id).await,
        };
        let error = match changed {
            Ok(status) => return Ok(status),
            Err(error) => error,
        };
        let there = match error {
            Error::NoJob(_) => jobs.get(queue, id).await.ok(),
            _ => None,
        };
        let Some(there) = there else { return Err(problem(&error)) };
        let rule = match self {
            Self::Retry => "only failed and dead jobs are tried again",
            Self::Cancel => "it has ended already",
            Self::Remove => "whoever works on it must end first; cancel it",
        };
        let said = format!("Job {id} is {}: {rule}.", there.status.as_str());
        Err(Problem::new(ErrorCode::Conflict, said))
    }
}

async fn retry(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    Path((queue, id)): Path<(String, String)>,
) -> Result<Json<Changed>, Problem> {
    Changed::of(&admin.jobs, Change::Retry, (queue, id)).await
}

async fn cancel(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    Path((queue, id)): Path<(String, String)>,
) -> Result<Json<Changed>, Problem> {
    Changed::of(&admin.jobs, Change::Cancel, (queue, id)).await
}

async fn remove(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    Path((queue, id)): Path<(String, String)>,
) -> Result<Json<Changed>, Problem> {
    Changed::of(&admin.jobs, Change::Remove, (queue, id)).await
}

async fn pause(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    Path(queue): Path<String>,
) -> Result<StatusCode, Problem> {
    admin.jobs.pause(&queue).await.map_err(|error| problem(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn resume(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    Path(queue): Path<String>,
) -> Result<StatusCode, Problem> {
    admin.jobs.resume(&queue).await.map_err(|error| problem(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// One job, and what changes jobs.
pub(crate) fn changes(mut reads: Reads) -> Reads {
    const POST: (Method, MethodFilter) = (Method::POST, MethodFilter::POST);
    const DELETE: (Method, MethodFilter) = (Method::DELETE, MethodFilter::DELETE);
    const ONE: &str = "/api/v1/jobs/{queue}/{id}";
    const RETRY: &str = "/api/v1/jobs/{queue}/{id}/retry";
    const CANCEL: &str = "/api/v1/jobs/{queue}/{id}/cancel";
    const PAUSE: &str = "/api/v1/jobs/queues/{queue}/pause";
    const RESUME: &str = "/api/v1/jobs/queues/{queue}/resume";
    let changed = reads.schema::<Changed>();
    let changed = Some(&changed);
    reads
        .read(ONE, NONE, "A job, with its data.", find)
        .change(DELETE, ONE, "Forgets a job that nobody works on.", changed, remove)
        .change(POST, RETRY, "Lets a failed or dead job wait again.", changed, retry)
        .change(POST, CANCEL, "Ends a job, or tells whoever works on it.", changed, cancel)
        .change(POST, PAUSE, "Lets nothing more of the queue begin.", None, pause)
        .change(POST, RESUME, "Lets its jobs begin again.", None, resume)
}
