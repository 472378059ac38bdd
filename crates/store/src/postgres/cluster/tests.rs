//! Whose turn it is.

use std::sync::Arc;

use super::*;
use crate::Database;
use crate::postgres::position::Lsn;

/// A primary and replicas that are fit, none of which is there.
fn cluster(replicas: usize) -> Cluster {
    let url = |port: usize| format!("postgres://app@127.0.0.1:{port}/none");
    let database = Database {
        primary: Some(url(1)),
        replicas: (2..2 + replicas).map(url).collect(),
        ..Database::default()
    };
    let cluster = database.open().unwrap();
    for node in &cluster.nodes[1..] {
        node.change(|state| state.role = Role::Replica);
    }
    cluster
}

/// How often each is chosen.
fn tally(cluster: &Cluster, times: usize, choose: impl Fn() -> Option<Place>) -> Vec<usize> {
    let mut chosen = vec![0; cluster.nodes.len()];
    for _ in 0..times {
        let place = choose().unwrap();
        let is_it = |node: &Arc<Node>| Arc::ptr_eq(node, place.node());
        chosen[cluster.nodes.iter().position(is_it).unwrap()] += 1;
    }
    chosen
}

#[test]
fn equals_have_the_same_share_however_many_they_are() {
    for replicas in 1..=6 {
        let cluster = cluster(replicas);
        let chosen = tally(&cluster, 60 * replicas, || cluster.choose_replica(&[]));
        assert_eq!(chosen[0], 0);
        assert_eq!(chosen[1..], vec![60; replicas], "{replicas} replicas");
    }
}

#[test]
fn the_one_with_the_least_under_way_is_asked() {
    let cluster = cluster(2);
    let choose = || cluster.choose_replica(&[]).unwrap();
    let mut held: Vec<_> = (0..8).map(|_| choose()).collect();
    let under_way = || cluster.nodes.iter().map(|node| node.in_flight()).collect::<Vec<_>>();
    assert_eq!(under_way(), [0, 4, 4]);
    // Whichever answers is asked next, however often in a row.
    for round in 0..60 {
        let node = &cluster.nodes[if round % 10 < 7 { 1 } else { 2 }];
        let answered = held.iter().position(|place| Arc::ptr_eq(place.node(), node)).unwrap();
        drop(held.remove(answered));
        held.push(choose());
        assert_eq!(under_way(), [0, 4, 4], "round {round}");
    }
    drop(held);
    assert_eq!(under_way(), [0, 0, 0]);
}

#[test]
fn a_question_that_nobody_passes_takes_nobodys_turn() {
    let cluster = cluster(2);
    // As a read that must have seen a change: first those that have, then those that nearly have.
    let chosen = tally(&cluster, 100, || {
        cluster
            .choose_replica_where(&[], |_| false)
            .or_else(|| cluster.choose_replica_where(&[], |_| true))
    });
    assert_eq!(chosen, [0, 50, 50]);
}

#[test]
fn without_a_primary_the_one_that_has_come_furthest_is_chosen() {
    let cluster = cluster(3);
    for (node, lsn) in cluster.nodes[1..].iter().zip([5, 9, 7]) {
        node.change(|state| state.position.lsn = Lsn(lsn));
    }
    assert_eq!(tally(&cluster, 10, || cluster.choose_furthest(&[])), [0, 0, 10, 0]);
    let failed = [Arc::clone(&cluster.nodes[2])];
    assert_eq!(tally(&cluster, 10, || cluster.choose_furthest(&failed)), [0, 0, 0, 10]);
}

#[test]
fn who_failed_or_is_busier_is_not_chosen() {
    let cluster = cluster(3);
    let busy = Place::on(&cluster.nodes[2]);
    let failed = [Arc::clone(&cluster.nodes[1])];
    assert_eq!(tally(&cluster, 10, || cluster.choose_replica(&failed)), [0, 0, 0, 10]);
    drop(busy);
    assert_eq!(tally(&cluster, 10, || cluster.choose_replica(&failed)), [0, 0, 5, 5]);
}
