//! `mainstay jobs`: jobs added, looked at, tried again and removed, queues paused. The running server is asked; without one
//! the command opens the store itself, and the next server does what was added.

use std::io::Write;

use mainstay_api::control::Failure;
use mainstay_api::control::jobs::{self, Question};
use mainstay_base::Clock;
use mainstay_base::task::Group;
use mainstay_store::Store;
use serde_json::Value;

use crate::cli::Exit;
use crate::command::asked::{self, Lacking};
use crate::command::check::Format;
use crate::command::{Readable, write_columns};
use crate::settings::{Inputs, Settings};
use crate::work;

/// Does what is asked, and prints what came of it.
///
/// # Errors
/// When standard output is closed or the system gives no threads.
pub fn jobs(
    inputs: &Inputs,
    question: &Question,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let readable = Readable::read(inputs)?;
    let asked = jobs::request_answer(&readable.settings.data_dir, question);
    let lacking =
        if matches!(question, Question::Add { .. }) { Lacking::Made } else { Lacking::Told };
    let look = "`mainstay jobs counts` shows what there is";
    let alone = async |store: &Store| answer_alone(store, &readable.settings, question).await;
    let exit = |error: &Failure| match error {
        Failure::Refused { status, .. } => asked::exit_of_status(*status),
        Failure::Nobody(_) | Failure::Silent(_) => Exit::Unavailable,
    };
    let answer = match asked::find(&readable, asked, (lacking, look), alone, exit)? {
        Ok(answer) => answer,
        Err(exit) => return Ok(exit),
    };
    match (format, question) {
        (Format::Json, _) => writeln!(out, "{answer}")?,
        (Format::Text, Question::Add { .. }) => writeln!(out, "{}", text(&answer["id"]))?,
        (Format::Text, Question::Counts) => write_counts(&answer, out)?,
        (Format::Text, Question::List { .. }) => write_list(&answer, out)?,
        (Format::Text, Question::Show { .. }) => write_job(&answer, out)?,
        (Format::Text, Question::Cancel { .. }) if answer["status"] == "active" => {
            writeln!(
                out,
                "active; whoever works on it is told within a second of hearing the store"
            )?;
        }
        (Format::Text, Question::Retry { .. } | Question::Cancel { .. }) => {
            writeln!(out, "{}", text(&answer["status"]))?;
        }
        (Format::Text, Question::Remove { .. }) => writeln!(out, "removed")?,
        (Format::Text, Question::Pause { .. }) => writeln!(out, "paused")?,
        (Format::Text, Question::Resume { .. }) => writeln!(out, "resumed")?,
    }
    Ok(Exit::Done)
}

async fn answer_alone(
    store: &Store,
    settings: &Settings,
    question: &Question,
) -> Result<Value, Failure> {
    let writers = Group::new();
    let jobs = work::open_for_others(settings, store, &writers);
    let answered = jobs::answer_alone(&jobs, Clock::System.now(), question.clone()).await;
    // What was answered is written; nobody else asks.
    drop(jobs);
    writers.finish(asked::LAST, asked::LAST).await;
    answered
}

fn write_counts(queues: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    const COUNTS: [&str; 6] = ["waiting", "active", "delayed", "completed", "failed", "dead"];
    let head =
        ["QUEUE", "WAITING", "ACTIVE", "DELAYED", "COMPLETED", "FAILED", "DEAD", "OLDEST", ""];
    let row = |queue: &Value| {
        let count = |at: usize| text(&queue[COUNTS[at]]);
        let oldest =
            queue["oldest_ms"].as_u64().map_or("-".into(), |ms| format!("{}s", ms / 1_000));
        let paused = if queue["paused"] == true { "paused" } else { "" };
        let counts: [String; 6] = std::array::from_fn(count);
        let [a, b, c, d, e, f] = counts;
        [text(&queue["queue"]), a, b, c, d, e, f, oldest, paused.into()]
    };
    let rows = queues.as_array().into_iter().flatten().map(row);
    write_columns(&std::iter::once(head.map(String::from)).chain(rows).collect::<Vec<_>>(), out)
}

fn write_list(list: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let head = ["ID", "TYPE", "STATUS", "ATTEMPTS", "MAY BEGIN", "ERROR"].map(String::from);
    let row = |job: &Value| {
        let attempts = format!("{}/{}", text(&job["attempts"]), text(&job["attempts_max"]));
        // One line each.
        let error = text(&job["error"]).lines().next().unwrap_or_default().to_owned();
        [
            text(&job["id"]),
            text(&job["type"]),
            text(&job["status"]),
            attempts,
            text(&job["run_at"]),
            error,
        ]
    };
    let rows = list["data"].as_array().into_iter().flatten().map(row);
    write_columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), out)?;
    if let Some(next) = list["next"].as_i64() {
        writeln!(std::io::stderr(), "mainstay: there may be more: --after {next}")?;
    }
    Ok(())
}

fn write_job(job: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let rows = job.as_object().into_iter().flatten();
    let rows: Vec<_> = rows.map(|(name, value)| [name.clone(), text(value)]).collect();
    write_columns(&rows, out)
}

/// A word as it is, anything else as JSON; nothing for null.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        value => value.to_string(),
    }
}
