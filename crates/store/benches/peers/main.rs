//! The store beside its peers, in turn within one process: `cargo xtask bench store` asks for rows and puts them beside their bars. Judges nothing.
//!
//! | row | value | unit |
//! |---|---|---|
//! | `store-routing` | processor time (user and system) of this process per read, ours by the peer's | ratio |
//! | `store-copy` | events a second that are durable in PostgreSQL, ours by the peer's | ratio |
//! | `store-copy-replicas` | the same of a primary that two replicas follow | ratio |
//! | `store-group-commit` | events a second that are durable in a file, ours by the peer's | ratio |
//!
//! Each is the median of the rounds' ratios; both sides of a round follow each other at once.
#![expect(clippy::expect_used, reason = "a bench that cannot go on says why and tells no row")]

use mainstay_testkit::bench::{Ask, tell};

mod copy;
mod events;
mod group_commit;
mod house;
mod routing;

fn main() {
    let ask = Ask::of_command_line();
    for (row, measure) in [
        ("store-routing", routing::measure as fn(&Ask) -> (f64, String)),
        ("store-copy", copy::measure),
        ("store-copy-replicas", copy::measure_beside_replicas),
        ("store-group-commit", group_commit::measure),
    ] {
        if ask.wants(row) {
            let (value, detail) = measure(&ask);
            tell(row, Some(value), detail);
        }
    }
}
