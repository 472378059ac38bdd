//! One file per table: its row, its statements, its functions. Nothing else of the product speaks SQL.

pub mod api_key;
pub mod console_link;
pub mod console_session;
pub mod custom_event;
pub mod engagement;
pub mod error_event;
pub mod job;
pub mod job_queue;
pub mod metric_series;
pub mod page_view;
pub mod performance_metric;
pub mod report;
pub mod retain;
pub mod rollup;
pub mod traffic;
pub mod user_session;
pub mod visitor_salt;
