//! The scanner against real servers: the Observatory's own grader beside it, a site full of faults, and its twin without.
#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]

mod bounds;
mod cases;
mod grades;
mod old_tls;
mod planted;
mod told;
mod world;
