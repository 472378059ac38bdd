//! The only room that speaks SQL.
//!
//! # Invariants
//! - Every statement is written once and runs on both engines; where they differ, the difference is in one place.
//! - One writer per database file; every write transaction begins IMMEDIATE, so that it never meets `SQLITE_BUSY_SNAPSHOT`.
//! - A file that cannot be opened is away, never an end of the process; it is left as it is and tried again.
//! - What [`Recorder::record`] has answered with `Ok` is on disk.
//! - Every visitor-facing question names a site and a time span, and is answered through an index.

mod ask;
mod bulk;
pub mod engine;
pub mod error;
mod machines;
pub mod open;
pub mod postgres;
pub mod query;
pub mod queue;
pub mod record;
pub mod recorder;
pub mod schema;
pub mod settings;
mod sql;
pub mod sqlite;
pub mod tables;
mod token;
pub mod transfer;
mod ts;
mod tx;
mod whole;

#[cfg(test)]
mod contract;

pub use engine::Engine;
pub use error::Error;
pub use machines::FileView;
pub use open::{Away, Place, Store};
pub use postgres::settings::Database;
pub use postgres::{NodeView, Process, Role, list_processes};
pub use query::{Bots, Cursor, Dimension, Group, KeyCount, Span};
pub use queue::Queue;
pub use recorder::{Batch, Health, Record, Recorder, Written};
pub use settings::Settings;
pub use tables::{
    api_key, console_link, console_session, custom_event, engagement, error_event, job, job_queue,
    metric_series, page_view, performance_metric, report, retain, rollup, traffic, user_session,
    visitor_salt,
};
pub use ts::Ts;
pub use tx::Transaction;
