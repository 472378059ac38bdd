//! Sudden death while events come in: what was acknowledged is there afterwards, once.

use xtask::soak::kill::{self, Plan};

#[test]
fn fifty_kills_lose_no_acknowledged_event_and_repeat_none() {
    let plan = Plan::short(env!("CARGO_BIN_EXE_mainstay").into());
    assert!(plan.kills >= 50, "{plan:?}");
    let outcome = kill::run(&plan).expect("a run to its end");
    outcome.verdict().expect("a promise kept");
}
