//! Redis goes away and comes back: killed, stopped, cut off, moved about. Real servers, real time.
#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod acl;
mod away;
mod channels;
mod clocks;
mod cluster;
mod coherence;
mod cost;
mod moving;
mod patience;
mod process;
mod tls;
