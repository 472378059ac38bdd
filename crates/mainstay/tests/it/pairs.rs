//! Who shows the token of a write sees it, at whichever process; the others stay on the replicas.

use xtask::soak::pairs::{self, Plan};

#[test]
fn heavy_a_read_with_the_token_of_a_write_sees_it_at_every_process() {
    hold(&plan());
}

#[test]
fn heavy_clocks_that_are_ten_minutes_apart_change_nothing_of_it() {
    hold(&plan().wrong_clocks());
}

fn plan() -> Plan {
    Plan::short(env!("CARGO_BIN_EXE_mainstay").into())
}

fn hold(plan: &Plan) {
    let outcome = pairs::run(plan);
    outcome.expect("a run to its end").verdict().expect("promises kept");
}
