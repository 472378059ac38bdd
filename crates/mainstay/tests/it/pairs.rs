//! Who shows the token of a write sees it, at whichever process; the others stay on the replicas.

use xtask::soak::pairs::{self, Plan};

#[test]
fn heavy_a_read_with_the_token_of_a_write_sees_it_at_every_process() {
    let outcome = pairs::run(&Plan::short(env!("CARGO_BIN_EXE_mainstay").into()));
    outcome.expect("a run to its end").verdict().expect("promises kept");
}
