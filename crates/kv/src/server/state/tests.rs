//! A write and the deletion that repairs an earlier one of the same key: whatever their order, nobody is told that a value is there which may be gone.

use mainstay_telemetry::metrics::Registry;
use mainstay_testkit::Redis;

use super::*;

async fn used() -> State {
    let nodes = vec![Redis::shared().to_string()];
    let settings = Settings { nodes, ..Settings::default() };
    let link = Link::open(&settings).await.unwrap();
    let metrics = mainstay_telemetry::settings::Metrics::default();
    let metrics = Metrics::new(&Registry::new(&metrics, Clock::System));
    let state = State::new(&settings, Clock::System, Arc::new(Local::new(&settings)), metrics);
    assert!(state.finish_return(&link, 0));
    state
}

#[tokio::test]
async fn to_forgive_a_failure_takes_no_later_one_away() {
    let mut state = used().await;
    let handle = state.handle().unwrap();
    let late = || Failure::late(Duration::from_millis(1));
    let first = state.note_failure(&handle, &late()).unwrap();
    state.note_failure(&handle, &late());
    state.forgive(first);
    assert_eq!(state.lock().failures, 1);
    // Each is too late for the ones before.
    state.failure_window = Duration::ZERO;
    let first = state.note_failure(&handle, &late()).unwrap();
    state.note_failure(&handle, &late());
    state.forgive(first);
    assert_eq!(state.lock().failures, 1);
}

fn repair_of(state: &State) -> Repair {
    let repairs = state.list_repairs();
    assert_eq!(repairs.len(), 1);
    repairs[0].clone()
}

#[tokio::test]
async fn a_write_repairs_what_failed_before() {
    let state = used().await;
    state.note_unwritten("a", &|| {});
    let listed = repair_of(&state);
    let (handle, before) = state.for_write_of("a", &|| {}).unwrap();
    assert!(state.note_written(&handle, "a", before));
    assert!(!state.begin_repair(&listed), "it would delete what was taken");
    assert!(state.for_read("a").is_some());
}

#[tokio::test]
async fn a_write_during_a_repair_is_made_here() {
    let state = used().await;
    state.note_unwritten("a", &|| {});
    let repair = repair_of(&state);
    assert!(state.begin_repair(&repair));
    let here = std::cell::Cell::new(false);
    assert!(state.for_write_of("a", &|| here.set(true)).is_none());
    assert!(here.get());
    state.finish_repair(&repair, true);
    assert!(state.for_read("a").is_none(), "memory knows the later write");
    let later = repair_of(&state);
    assert!(state.begin_repair(&later));
    state.finish_repair(&later, true);
    assert!(state.for_read("a").is_some());
}

#[tokio::test]
async fn a_repair_during_a_write_makes_it_unsure() {
    for is_done in [None, Some(true), Some(false)] {
        let state = used().await;
        state.note_unwritten("a", &|| {});
        let repair = repair_of(&state);
        let (handle, before) = state.for_write_of("a", &|| {}).unwrap();
        assert!(state.begin_repair(&repair));
        if let Some(is_done) = is_done {
            state.finish_repair(&repair, is_done);
        }
        assert!(!state.note_written(&handle, "a", before), "{is_done:?}");
    }
}

/// The store may do the later write, this one and the deletion in one go, and the deletion's end be heard of first.
#[tokio::test]
async fn a_repair_that_a_later_write_needed_makes_a_write_unsure() {
    for is_done in [None, Some(true), Some(false)] {
        let state = used().await;
        let (handle, before) = state.for_write_of("a", &|| {}).unwrap();
        state.note_unwritten("a", &|| {});
        let repair = repair_of(&state);
        assert!(state.begin_repair(&repair));
        if let Some(is_done) = is_done {
            state.finish_repair(&repair, is_done);
        }
        assert!(!state.note_written(&handle, "a", before), "{is_done:?}");
    }
}

#[tokio::test]
async fn a_later_write_that_failed_is_repaired_by_one_that_did_not() {
    let state = used().await;
    let (handle, before) = state.for_write_of("a", &|| {}).unwrap();
    state.note_unwritten("a", &|| {});
    assert!(state.note_written(&handle, "a", before));
    assert!(state.list_repairs().is_empty());
}

#[tokio::test]
async fn a_write_of_a_generation_that_was_left_is_not_shared() {
    let state = used().await;
    let (handle, before) = state.for_write_of("a", &|| {}).unwrap();
    assert!(state.adopt(1));
    assert!(!state.note_written(&handle, "a", before), "another process began it");
    let (handle, before) = state.for_write_of("a", &|| {}).unwrap();
    state.note_missed(&|| {}, "a test");
    let (_, is_new) = state.begin_return();
    assert!(is_new && !state.note_written(&handle, "a", before), "this one begins it");
    assert!(state.finish_return(&handle.link, 2));
    assert!(!state.note_written(&handle, "a", before), "this one began it");
}

#[tokio::test]
async fn a_write_that_is_late_and_not_shared_makes_memory_forget_nothing() {
    let state = used().await;
    let (handle, before) = state.for_write_of("a", &|| {}).unwrap();
    state.note_unwritten("a", &|| {});
    let late = Failure { is_final: true, ..Failure::late(Duration::ZERO) };
    state.note_failure(&handle, &late);
    let value = bytes::Bytes::from_static(b"kept");
    let here = || state.memory.set("a", value.clone(), Duration::from_secs(60));
    assert!(state.for_write_of("a", &here).is_none());
    assert!(!state.note_written(&handle, "a", before), "the next generation hides it");
    assert_eq!(state.memory.get("a"), Some(value));
}

#[tokio::test]
async fn a_write_from_before_the_store_was_away_meets_the_repairs_of_after() {
    for is_repaired in [None, Some(false), Some(true)] {
        let state = used().await;
        let (handle, before) = state.for_write_of("a", &|| {}).unwrap();
        lose(&state, &handle);
        assert!(state.finish_return(&handle.link, 0), "nothing was missed");
        if let Some(is_done) = is_repaired {
            state.note_unwritten("a", &|| {});
            if is_done {
                let repair = repair_of(&state);
                assert!(state.begin_repair(&repair));
                state.finish_repair(&repair, true);
            }
        }
        let is_sure = state.note_written(&handle, "a", before);
        assert_eq!(is_sure, is_repaired.is_none(), "{is_repaired:?}");
    }
}

/// A failure after which memory answers.
fn lose(state: &State, handle: &Handle) {
    let late = Failure { is_final: true, ..Failure::late(Duration::ZERO) };
    state.note_failure(handle, &late);
    assert!(state.for_read("a").is_none(), "away");
}

#[tokio::test]
async fn a_repair_that_ends_while_the_store_is_away_leaves_memory_alone() {
    let state = used().await;
    let (handle, _) = state.for_write_of("a", &|| {}).unwrap();
    state.note_unwritten("a", &|| {});
    let repair = repair_of(&state);
    assert!(state.begin_repair(&repair));
    lose(&state, &handle);
    let value = bytes::Bytes::from_static(b"newer");
    let here = || state.memory.set("a", value.clone(), Duration::from_secs(60));
    assert!(state.for_write_of("a", &here).is_none());
    state.finish_repair(&repair, true);
    assert_eq!(state.memory.get("a"), Some(value.clone()));
}

#[tokio::test]
async fn a_repair_that_began_before_the_store_was_away_makes_a_write_unsure() {
    for is_repaired in [false, true] {
        let state = used().await;
        state.note_unwritten("a", &|| {});
        let (handle, before) = state.for_write_of("a", &|| {}).unwrap();
        let repair = repair_of(&state);
        if is_repaired {
            assert!(state.begin_repair(&repair));
            state.finish_repair(&repair, true);
        } else {
            let (other, begun) = state.for_write_of("a", &|| {}).unwrap();
            assert!(state.note_written(&other, "a", begun), "needs no repair any more");
        }
        lose(&state, &handle);
        assert_eq!(state.note_written(&handle, "a", before), !is_repaired);
    }
}

#[tokio::test]
async fn of_two_writes_that_repair_the_same_both_are_taken() {
    let state = used().await;
    state.note_unwritten("a", &|| {});
    let writes = [(); 2].map(|()| state.for_write_of("a", &|| {}).unwrap());
    for (handle, before) in &writes {
        assert!(state.note_written(handle, "a", *before));
    }
    assert!(state.list_repairs().is_empty());
}
