//! Jobs over the control socket: added, looked at, tried again, removed, and queues paused, by who may read the data dir.
//! What a command prints is said here as well, whether a server answers or the command opens the store itself.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use mainstay_base::{ErrorCode, Timestamp};
use mainstay_jobs::{Cursor, Error, Jobs, Status};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Control, Failure, request};
use crate::jobs::wire::{Standing, Wanted, value};
use crate::jobs::{Common, add_to, problem};
use crate::problem::Problem;
use crate::v1::jobs::{Change, QueueRow};

/// Jobs of one list at most.
pub const LIST_MAX: u32 = 100;

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// A job, as the HTTP API takes it.
    Add {
        /// To this queue.
        queue: String,
        /// JSON, as it was given.
        job: Box<RawValue>,
    },
    /// How the queues stand.
    Counts,
    /// Jobs that stand so, without their data.
    List {
        /// Of this queue.
        queue: String,
        /// `waiting`, `delayed`, …
        status: String,
        /// Behind this one.
        after: Option<i64>,
        /// So many.
        limit: u32,
    },
    /// One job, with its data.
    Show {
        /// Of this queue.
        queue: String,
        /// Its id.
        id: String,
    },
    /// A failed or dead job waits again.
    Retry {
        /// Of this queue.
        queue: String,
        /// Its id.
        id: String,
    },
    /// Ends a job, at once or as soon as whoever works on it hears of it.
    Cancel {
        /// Of this queue.
        queue: String,
        /// Its id.
        id: String,
    },
    /// Forgets a job that nobody works on.
    Remove {
        /// Of this queue.
        queue: String,
        /// Its id.
        id: String,
    },
    /// Lets nothing more of the queue begin.
    Pause {
        /// This one.
        queue: String,
    },
    /// Lets its jobs begin again.
    Resume {
        /// This one.
        queue: String,
    },
}

pub(super) fn routes() -> Router<Arc<Control>> {
    Router::new().route("/jobs", post(ask))
}

async fn ask(
    State(control): State<Arc<Control>>,
    Json(question): Json<Question>,
) -> Result<Json<Value>, Problem> {
    answer(&control.jobs, control.clock.now(), question).await.map(Json)
}

/// Answers a command that opened the store itself.
///
/// # Errors
/// [`Failure::Refused`], as a server would.
pub async fn answer_alone(
    jobs: &Jobs,
    now: Timestamp,
    question: Question,
) -> Result<Value, Failure> {
    let answered = answer(jobs, now, question).await;
    answered.map_err(|problem| {
        let (status, said) = problem.into_words();
        Failure::Refused { status, said }
    })
}

async fn answer(jobs: &Jobs, now: Timestamp, question: Question) -> Result<Value, Problem> {
    let refused = |error: Error| problem(&error);
    let changed = async |change: Change, queue: String, id: String| {
        let status = change.make(jobs, &queue, &id).await?;
        Ok(serde_json::json!({ "status": status.as_str() }))
    };
    match question {
        Question::Add { queue, job } => {
            let wanted: Wanted = serde_json::from_str(job.get())
                .map_err(|error| Problem::new(ErrorCode::Invalid, format!("not a job: {error}")))?;
            let (_, ids) = add_to(jobs, &queue, vec![wanted], &Common::default()).await?;
            Ok(json(&ids.first()))
        }
        Question::Counts => {
            let queues = jobs.list_queues().await.map_err(refused)?;
            let of = |queue| QueueRow::of(queue, now);
            Ok(json(&queues.into_iter().map(of).collect::<Vec<_>>()))
        }
        Question::List { queue, status, after, limit } => {
            let status = Status::ALL.into_iter().find(|known| known.as_str() == status);
            let status =
                status.ok_or_else(|| Problem::new(ErrorCode::Invalid, "no such status"))?;
            let limit = limit.clamp(1, LIST_MAX);
            let rows =
                jobs.list(&queue, status, after.map(Cursor), limit).await.map_err(refused)?;
            let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.seq);
            let rows: Vec<_> =
                rows.iter().map(|row| Standing::of(&queue, row)).map(Standing::brief).collect();
            Ok(serde_json::json!({ "data": rows, "next": next }))
        }
        Question::Show { queue, id } => {
            let row = jobs.get(&queue, &id).await.map_err(refused)?;
            let mut shown = json(&Standing::of(&queue, &row));
            shown["payload"] = value(Some(&row.payload));
            Ok(shown)
        }
        Question::Retry { queue, id } => changed(Change::Retry, queue, id).await,
        Question::Cancel { queue, id } => changed(Change::Cancel, queue, id).await,
        Question::Remove { queue, id } => changed(Change::Remove, queue, id).await,
        Question::Pause { queue } => {
            jobs.pause(&queue).await.map_err(refused)?;
            Ok(serde_json::json!({ "paused": true }))
        }
        Question::Resume { queue } => {
            jobs.resume(&queue).await.map_err(refused)?;
            Ok(serde_json::json!({ "paused": false }))
        }
    }
}

fn json(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// Asks the server that owns `data_dir`.
///
/// # Errors
/// [`Failure`].
pub fn request_answer(data_dir: &Path, question: &Question) -> Result<Value, Failure> {
    let body = serde_json::to_string(question).unwrap_or_default();
    request(data_dir, "POST", "/jobs", &body)
}
