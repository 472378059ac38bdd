//! How often the servers are looked through.

use super::*;

/// Slots up to `first` lie on a, the others on b; some are on their way.
fn layout(first: i64, moving: &[&str]) -> Layout {
    let server = |port| {
        let host = Value::BulkString(b"127.0.0.1".to_vec());
        Value::Array(vec![host, Value::Int(port)])
    };
    let range = |first, last, port| {
        Value::Array(vec![Value::Int(first), Value::Int(last), server(port), server(port + 9)])
    };
    let answer = Value::Array(vec![range(0, first, 1), range(first + 1, 16_383, 2)]);
    let mut layout = Layout::read(&answer).unwrap();
    for word in moving {
        layout.note_moving(&format!("a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5 {word}"));
    }
    layout
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
    let (still, later) = (layout(7, &[]), layout(6, &[]));
    let moving = layout(7, &["[7->-b]"]);
    assert_eq!(passes(&[still.clone(), still.clone()]), (1, Some(true)));
    assert_eq!(passes(&[still.clone(), later.clone(), later.clone()]), (2, Some(true)));
    let half = [moving.clone(), moving.clone(), moving.clone()];
    assert_eq!(passes(&half), (2, Some(true)), "what the first missed has arrived");
    let begun = [still.clone(), moving.clone(), moving.clone(), moving.clone()];
    assert_eq!(passes(&begun), (3, Some(true)));
    let ended = [moving.clone(), later.clone(), later.clone()];
    assert_eq!(passes(&ended), (2, Some(true)));
}

/// Whichever of the two says so, and whether both do.
#[test]
fn the_way_of_a_slot_is_told_by_either_end() {
    let (mut from, mut to) = (layout(7, &[]), layout(7, &[]));
    from.note_moving("a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-7 [7->-b]");
    to.note_moving("b 127.0.0.1:3@4 myself,master - 0 0 2 connected 8-9 [7-<-a]");
    assert_eq!(from, to);
    let mut both = from.clone();
    both.note_moving("b 127.0.0.1:3@4 myself,master - 0 0 2 connected 8-9 [7-<-a]");
    assert_eq!(both, from);
    let mut back = layout(7, &[]);
    back.note_moving("a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-7 [7-<-b]");
    assert_ne!(back, from);
}

#[test]
fn slots_that_move_one_after_another_are_looked_through() {
    // Each pass meets other slots on their way than the one before.
    let found: Vec<_> = [(99, 98), (90, 89), (80, 79), (70, 69), (60, 59)]
        .map(|(last, next)| layout(last, &[&format!("[{next}->-b]")]))
        .to_vec();
    assert_eq!(passes(&found), (3, Some(true)));
}

#[test]
fn slots_that_never_lie_still_are_not_looked_through() {
    let found: Vec<_> = (0..=PASSES_MAX as i64).map(|n| layout(n % 2, &[])).collect();
    assert_eq!(passes(&found), (PASSES_MAX, Some(false)));
}

#[test]
fn what_was_seen_before_an_outage_does_not_count() {
    let (mut passes, still) = (Passes::new(), layout(5, &[]));
    passes.note(still.clone());
    passes.begin_anew();
    assert_eq!(passes.is_needed(&still), Ok(true));
    passes.note(still.clone());
    assert_eq!(passes.is_needed(&still), Ok(false));
    passes.begin_anew();
    assert_eq!(passes.is_needed(&still), Ok(true));
}

#[test]
fn a_server_tells_of_its_own_slots_alone() {
    let told = "a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5 [5->-b] [77-<-c]\n\
                b 127.0.0.1:3@4 master - 0 0 2 connected 6-9 [9->-c]\n";
    let mut found = layout(7, &[]);
    found.note_moving(told);
    assert_eq!(found.moving.into_keys().collect::<Vec<_>>(), [5, 77]);
    let mut found = layout(7, &[]);
    found.note_moving("a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5 [ [x->-b]\n");
    assert!(found.moving.is_empty());
}

#[test]
fn an_answer_that_says_nothing_is_none() {
    assert_eq!(Layout::read(&Value::Nil), None);
    assert_eq!(Layout::read(&Value::Array(Vec::new())), None);
    let odd = Value::Array(vec![Value::Array(vec![Value::Int(-3), Value::Int(9_999_999)])]);
    assert_eq!(Layout::read(&odd), None);
}
