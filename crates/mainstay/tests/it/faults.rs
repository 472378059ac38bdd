//! Servers of the database fail while requests come: nobody notices, and every acknowledged event is there.

use xtask::soak::faults::{self, Plan};

#[test]
fn heavy_servers_of_the_database_fail_unnoticed() {
    let plan = Plan::short(env!("CARGO_BIN_EXE_mainstay").into());
    let outcome = faults::run(&plan).expect("a run to its end");
    outcome.verdict().expect("promises kept");
}
