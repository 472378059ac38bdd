//! The room against real sockets: one file per subject, the app behind us scripted byte by byte.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests: a failed expectation is a failed test"
)]

mod answers;
mod balance;
mod bodies;
mod failures;
mod life;
mod stage;
mod tls;
mod upgrade;
