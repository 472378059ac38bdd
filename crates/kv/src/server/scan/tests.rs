//! How often the servers are looked through.

use super::*;

fn layout(slots: &str, moving: &[&str]) -> Layout {
    Layout {
        slots: slots.to_owned(),
        moving: moving.iter().map(|slot| (*slot).to_owned()).collect(),
    }
}

/// Passes that are made while the layouts found are these, and whether all is done then.
fn passes(found: &[Layout]) -> (usize, Option<bool>) {
    let mut passes = Passes::new();
    for (made, layout) in found.iter().enumerate() {
        match passes.is_needed(layout) {
            Ok(true) => passes.note(layout.clone()),
            Ok(false) => return (made, Some(true)),
            Err(failure) => {
                assert!(!failure.is_outage);
                return (made, Some(false));
            }
        }
    }
    (found.len(), None)
}

#[test]
fn a_pass_is_made_again_where_keys_may_have_moved() {
    let (still, later) = (layout("a", &[]), layout("b", &[]));
    let moving = layout("a", &["[7->-b]", "[7-<-a]"]);
    assert_eq!(passes(&[still.clone(), still.clone()]), (1, Some(true)));
    assert_eq!(passes(&[still.clone(), later.clone(), later.clone()]), (2, Some(true)));
    let half = [moving.clone(), moving.clone(), moving.clone()];
    assert_eq!(passes(&half), (2, Some(true)), "what the first missed has arrived");
    let begun = [still.clone(), moving.clone(), moving.clone(), moving.clone()];
    assert_eq!(passes(&begun), (3, Some(true)));
    let ended = [moving.clone(), later.clone(), later.clone()];
    assert_eq!(passes(&ended), (2, Some(true)));
}

#[test]
fn passes_that_never_see_the_same_are_not_enough() {
    let found: Vec<_> = (0..9).map(|n| layout(&n.to_string(), &[])).collect();
    assert_eq!(passes(&found), (PASSES_MAX, Some(false)));
}

#[test]
fn what_was_seen_before_an_outage_does_not_count() {
    let (mut passes, still) = (Passes::new(), layout("a", &[]));
    passes.note(still.clone());
    passes.begin_anew();
    assert_eq!(passes.is_needed(&still), Ok(true));
}

#[test]
fn a_server_tells_of_its_own_slots_alone() {
    let told = "a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5 [5->-b] [77-<-c]\n\
                b 127.0.0.1:3@4 master - 0 0 2 connected 6-9 [9->-c]\n";
    assert_eq!(list_moving(told), ["[5->-b]", "[77-<-c]"]);
    assert!(list_moving("a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5\n").is_empty());
}
