//! The command line of `mainstay jobs`. Nothing is done here.

use std::io::Read as _;

use clap::{Args, Subcommand, ValueEnum};
use mainstay_api::control::jobs::Question;
use mainstay_base::units::Span;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Place;

/// More of a payload is not read; the server says how much it takes.
const PAYLOAD_BYTES_MAX: u64 = 16 << 20;

/// `mainstay jobs …`.
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// Add a job.
    Add(JobsAdd),
    /// Show jobs of a queue that stand alike: the oldest first, of finished ones the newest.
    List(JobsList),
    /// Show one job, with its data.
    Show(One),
    /// Let a failed or dead job wait again, with all its attempts.
    Retry(One),
    /// End a job, at once or as soon as whoever works on it hears of it.
    Cancel(One),
    /// Forget a job that nobody works on.
    Remove(One),
    /// Show how many jobs of each queue stand how.
    Counts(JobsCounts),
    /// Let nothing more of a queue begin.
    Pause(JobsQueue),
    /// Let its jobs begin again.
    Resume(JobsQueue),
}

/// `mainstay jobs add`.
#[derive(Debug, Args)]
pub struct JobsAdd {
    /// Name of its queue.
    #[arg(value_name = "QUEUE")]
    pub queue: String,
    /// What kind of work.
    #[arg(value_name = "TYPE")]
    pub kind: String,
    /// Its data, JSON; `-` reads it from standard input.
    #[arg(value_name = "PAYLOAD", default_value = "null", allow_hyphen_values = true)]
    pub payload: String,
    /// Its place before others: 0 comes first, then 1, 2 and so on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub priority: u32,
    /// How often it may fail [default: jobs.attempts].
    #[arg(long, value_name = "N")]
    pub attempts: Option<u32>,
    /// How long it waits before it may begin, as in 30s.
    #[arg(long, value_name = "SPAN")]
    pub delay: Option<Span>,
    /// A name of its own, which is no number.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Only one job with this key at a time.
    #[arg(long, value_name = "KEY")]
    pub unique: Option<String>,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `mainstay jobs list`.
#[derive(Debug, Args)]
pub struct JobsList {
    /// Name of the queue.
    #[arg(value_name = "QUEUE")]
    pub queue: String,
    /// How they stand.
    #[arg(long, value_name = "STATUS", value_enum, default_value_t = Status::Waiting)]
    pub status: Status,
    /// So many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,
    /// `next` of the list before.
    #[arg(long, value_name = "N")]
    pub after: Option<i64>,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A command about one job.
#[derive(Debug, Args)]
pub struct One {
    /// Name of its queue.
    #[arg(value_name = "QUEUE")]
    pub queue: String,
    /// Its id.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A command about one queue.
#[derive(Debug, Args)]
pub struct JobsQueue {
    /// Its name.
    #[arg(value_name = "QUEUE")]
    pub queue: String,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `mainstay jobs counts`.
#[derive(Debug, Args)]
pub struct JobsCounts {
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How jobs stand.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Status {
    /// May begin.
    Waiting,
    /// May begin later.
    Delayed,
    /// Somebody works on it.
    Active,
    /// Done.
    Completed,
    /// Its attempts are used up.
    Failed,
    /// Buried for another reason.
    Dead,
}

impl Jobs {
    /// What is asked, where settings and data are, and whether JSON is wanted.
    ///
    /// # Errors
    /// A payload that is no JSON, or that cannot be read.
    pub fn question(&self) -> Result<(Question, &Place, bool), String> {
        let one = |of: &One| (of.queue.clone(), of.id.clone());
        Ok(match self {
            Self::Add(of) => (of.question()?, &of.place, of.json),
            Self::List(of) => {
                let status = of.status.to_possible_value();
                let status = status.map(|value| value.get_name().to_owned()).unwrap_or_default();
                let (queue, after, limit) = (of.queue.clone(), of.after, of.limit);
                (Question::List { queue, status, after, limit }, &of.place, of.json)
            }
            Self::Show(of) => {
                let (queue, id) = one(of);
                (Question::Show { queue, id }, &of.place, of.json)
            }
            Self::Retry(of) => {
                let (queue, id) = one(of);
                (Question::Retry { queue, id }, &of.place, of.json)
            }
            Self::Cancel(of) => {
                let (queue, id) = one(of);
                (Question::Cancel { queue, id }, &of.place, of.json)
            }
            Self::Remove(of) => {
                let (queue, id) = one(of);
                (Question::Remove { queue, id }, &of.place, of.json)
            }
            Self::Counts(of) => (Question::Counts, &of.place, of.json),
            Self::Pause(of) => (Question::Pause { queue: of.queue.clone() }, &of.place, of.json),
            Self::Resume(of) => (Question::Resume { queue: of.queue.clone() }, &of.place, of.json),
        })
    }
}

/// A job, as the HTTP API takes it.
#[derive(Serialize)]
struct Given<'a> {
    r#type: &'a str,
    payload: &'a RawValue,
    priority: u32,
    delay: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique: Option<&'a str>,
}

impl JobsAdd {
    fn question(&self) -> Result<Question, String> {
        let text = self.payload()?;
        let payload = serde_json::from_str::<&RawValue>(&text)
            .map_err(|error| format!("the payload is not JSON: {error}"))?;
        let delay = self.delay.map_or(0, |span| span.0.as_millis().try_into().unwrap_or(u64::MAX));
        let given = Given {
            r#type: &self.kind,
            payload,
            priority: self.priority,
            delay,
            attempts: self.attempts,
            id: self.id.as_deref(),
            unique: self.unique.as_deref(),
        };
        let job = serde_json::value::to_raw_value(&given).map_err(|error| error.to_string())?;
        Ok(Question::Add { queue: self.queue.clone(), job })
    }

    fn payload(&self) -> Result<String, String> {
        if self.payload != "-" {
            return Ok(self.payload.clone());
        }
        let mut text = String::new();
        let read = std::io::stdin().take(PAYLOAD_BYTES_MAX).read_to_string(&mut text);
        read.map(|_| text).map_err(|error| format!("standard input cannot be read: {error}"))
    }
}
