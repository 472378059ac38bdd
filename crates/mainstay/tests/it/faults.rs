//! Servers of the database and of Redis fail while requests come: nobody notices, and every acknowledged event is there.
//! A cell of the matrix each, so that one that fails is named.

use xtask::soak::faults::{self, Plan};

fn strike(fault: &str) {
    let plan = Plan::short(env!("CARGO_BIN_EXE_mainstay").into()).only(fault);
    let outcome = faults::run(&plan).expect("a run to its end");
    outcome.verdict().expect("promises kept");
}

#[test]
fn every_cell_of_the_short_form_has_a_test() {
    assert_eq!(Plan::short("mainstay".into()).faults.len(), 8);
}

#[test]
fn heavy_a_replica_is_killed() {
    strike("SIGKILL replica 1");
}

#[test]
fn heavy_a_replica_is_stopped() {
    strike("SIGSTOP replica 2");
}

#[test]
fn heavy_the_primary_is_cut_off() {
    strike("network to primary cut");
}

#[test]
fn heavy_the_primary_is_killed_and_a_replica_takes_its_place() {
    strike("SIGKILL primary, promotion");
}

#[test]
fn heavy_the_primary_is_killed_and_a_late_replica_takes_its_place() {
    strike("a late replica promoted");
}

#[test]
fn heavy_a_stopped_primary_is_replaced_and_comes_back() {
    strike("SIGSTOP primary, promotion, return");
}

#[test]
fn heavy_a_master_of_redis_is_killed() {
    strike("SIGKILL a Redis master");
}

#[test]
fn heavy_every_server_of_redis_is_stopped() {
    strike("SIGSTOP every Redis server");
}
