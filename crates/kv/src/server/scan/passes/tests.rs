//! How often the servers are looked through.

use super::*;

/// Slots up to `first` lie on a, the others on b; some of a's are on their way.
fn layout(first: usize, moving: &[&str]) -> Layout {
    let mut layout = Layout::new();
    layout.note_told(&line("a", &format!("0-{first} {}", moving.join(" "))));
    layout.note_told(&line("b", &format!("{}-16383", first + 1)));
    layout
}

fn line(id: &str, slots: &str) -> String {
    format!(
        "{id} 127.0.0.1:1@2 myself,master - 0 0 1 connected {slots}\n\
         other 127.0.0.1:3@4 master - 0 0 2 connected 0-16383 [9->-{id}]\n"
    )
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

/// The same while it stays so.
fn passes_of(layout: &Layout) -> (usize, Option<bool>) {
    passes(&vec![layout.clone(); PASSES_MAX + 1])
}

#[test]
fn a_pass_is_made_again_where_keys_may_have_moved() {
    let (still, later) = (layout(7, &[]), layout(6, &[]));
    let moving = layout(7, &["[7->-b]"]);
    assert_eq!(passes_of(&still), (1, Some(true)));
    assert_eq!(passes(&[still.clone(), later.clone(), later.clone()]), (2, Some(true)));
    assert_eq!(passes_of(&moving), (2, Some(true)), "what the first missed has arrived");
    let begun = [still.clone(), moving.clone(), moving.clone(), moving.clone()];
    assert_eq!(passes(&begun), (3, Some(true)));
    let ended = [moving.clone(), later.clone(), later.clone()];
    assert_eq!(passes(&ended), (2, Some(true)));
}

/// Whichever of the two says so, and whether both do.
#[test]
fn the_way_of_a_slot_is_told_by_either_end() {
    let (mut from, mut to) = (layout(7, &[]), layout(7, &[]));
    from.note_moving("a", "7->-b");
    to.note_moving("b", "7-<-a");
    assert_eq!(from, to);
    let mut both = from.clone();
    both.note_moving("b", "7-<-a");
    assert_eq!(both, from);
    let mut back = layout(7, &[]);
    back.note_moving("a", "7-<-b");
    assert_ne!(back, from);
    for odd in ["", "x->-b", "7", "-7-<-a"] {
        let mut same = from.clone();
        same.note_moving("a", odd);
        assert_eq!(same, from, "{odd}");
    }
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
    let found: Vec<_> = (0..=PASSES_MAX).map(|n| layout(n % 2, &[])).collect();
    assert_eq!(passes(&found), (PASSES_MAX, Some(false)));
}

#[test]
fn a_slot_on_its_way_to_a_server_that_is_not_asked_is_not_looked_through() {
    let mut first = layout(7, &["[7->-new]"]);
    assert_eq!(passes_of(&first), (PASSES_MAX, Some(false)));
    first.note_told(&line("new", "[7-<-a]"));
    assert_eq!(passes_of(&first), (2, Some(true)));
    // One that is there already, where nobody asked: nobody says that it is its own.
    let mut lost = Layout::new();
    lost.note_told(&line("a", "0-6"));
    lost.note_told(&line("b", "8-16383"));
    assert_eq!(passes_of(&lost), (PASSES_MAX, Some(false)));
}

#[test]
fn a_slot_that_two_say_is_theirs_is_at_another_place_than_that_of_one() {
    let (one, mut two) = (layout(7, &[]), layout(7, &[]));
    two.note_told(&line("b", "7"));
    assert_ne!(one, two);
    assert_eq!(passes(&[one, two.clone(), two]), (2, Some(true)));
}

#[test]
fn whoever_does_not_tell_is_looked_through_twice() {
    let server = Member { host: "127.0.0.1".to_owned(), port: 1, is_primary: true };
    let mut layout = Layout::new();
    layout.note_told(&line("b", "8-16383"));
    let other = Member { port: 2, ..server.clone() };
    let ranges = [(0..=7, &server), (8..=99_999, &other)];
    let ranges = ranges.map(|(slots, primary)| Range { slots, primary: primary.clone() });
    layout.note_untold(&server, &ranges);
    assert_eq!(layout.moving.keys().copied().collect::<Vec<_>>(), (0..=7).collect::<Vec<_>>());
    assert_eq!(passes_of(&layout), (2, Some(true)));
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
    let mut found = Layout::new();
    found.note_told(&line("a", "0-5 9 16380-99999 x 7- [5->-b] [77-<-c] [ [x->-b]"));
    assert_eq!(found.moving.keys().copied().collect::<Vec<_>>(), [5, 77]);
    let own = |slot: &usize| found.owners[*slot].is_some();
    let owned: Vec<_> = (0..SLOTS).filter(own).collect();
    assert_eq!(owned, [0, 1, 2, 3, 4, 5, 9, 16_380, 16_381, 16_382, 16_383]);
}
