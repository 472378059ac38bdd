//! Waiting for an event with a deadline. Never waits for time alone.

use std::time::{Duration, Instant};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something to see.
///
/// # Panics
/// When nothing came `within` the time; `what` says what was missed.
pub fn eventually<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < within, "{what}: not within {within:?}");
        pause();
    }
}

/// Looks until it is so.
///
/// # Panics
/// When it is not so `within` the time; `what` says what was missed.
pub fn until(what: &str, within: Duration, mut look: impl FnMut() -> bool) {
    eventually(what, within, || look().then_some(()));
}

/// Looks for as long as `time` whether it stays so, for what must *not* happen.
///
/// # Panics
/// At the first look at which it is not so.
pub fn holds_for(what: &str, time: Duration, mut look: impl FnMut() -> bool) {
    let began = Instant::now();
    while began.elapsed() < time {
        assert!(look(), "{what}: not after {:?}", began.elapsed());
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "the one pause between two looks at an event")]
fn pause() {
    // What is awaited (another process, a file, a port) tells nobody when it comes; looking without a pause would take
    // the processor from it.
    std::thread::sleep(PAUSE);
}
