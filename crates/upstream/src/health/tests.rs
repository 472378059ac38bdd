//! Falling, recovering, starting slowly, on a clock moved by hand.

use mainstay_base::units::Span;

use super::*;

const SLOW: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    Settings { fail_after: 3, recover_after: 2, slow_start: Span(SLOW), ..Settings::default() }
}

fn health() -> Health {
    Health::new(Clock::fixed(Timestamp::EPOCH))
}

#[tokio::test(start_paused = true)]
async fn the_share_grows_from_a_tenth_to_all_of_it() {
    let health = health();
    assert_eq!(health.share(SLOW), FULL_SHARE);
    health.start_slowly(&settings());
    let mut shares = Vec::new();
    for _ in 0..6 {
        shares.push(health.share(SLOW));
        assert_eq!(health.state(SLOW) == State::Starting, health.share(SLOW) < FULL_SHARE);
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    // The first millisecond counts from 1, as 0 means that it never began.
    let near = |share: &u64, wanted: u64| share.abs_diff(wanted) <= 1;
    let wanted = [100, 200, 400, 600, 800, 1_000];
    assert!(shares.iter().zip(wanted).all(|(share, wanted)| near(share, wanted)), "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn without_slow_start_the_share_is_full_at_once() {
    let (health, at_once) = (health(), Settings { slow_start: Span(Duration::ZERO), ..settings() });
    health.start_slowly(&at_once);
    assert_eq!(health.share(Duration::ZERO), FULL_SHARE);
}

#[test]
fn only_failures_in_a_row_count() {
    let (health, settings) = (health(), settings());
    for _ in 0..5 {
        assert!(
            !health.lost(Loss::Unanswered, &settings) && !health.lost(Loss::Unanswered, &settings)
        );
        health.answered(&settings);
    }
    for _ in 0..5 {
        assert!(!health.checked_bad(Failure::Silent, &settings));
        assert!(!health.checked_bad(Failure::Silent, &settings));
        health.checked_good(&settings);
    }
    assert!(health.is_asked());
    assert!(
        !health.lost(Loss::Unanswered, &settings)
            && !health.lost(Loss::Unanswered, &settings)
            && health.lost(Loss::Unanswered, &settings)
    );
    assert!(!health.is_asked() && health.may_be_tried());
    assert!(!health.lost(Loss::Unanswered, &settings), "it fell once");
}

#[test]
fn answers_do_not_hide_bad_checks() {
    let (health, settings) = (health(), settings());
    for bad in 1..=3 {
        health.answered(&settings);
        assert_eq!(health.checked_bad(Failure::Refusing, &settings), bad == 3);
    }
    health.answered(&settings);
    assert!(!health.is_asked() && !health.may_be_tried());
    // The app is gone altogether: a request may find out when it is back.
    assert!(!health.checked_bad(Failure::Silent, &settings));
    assert!(health.may_be_tried());
}

#[test]
fn good_checks_in_a_row_bring_it_back() {
    let (health, settings) = (health(), settings());
    for _ in 0..3 {
        health.checked_bad(Failure::Refusing, &settings);
    }
    health.checked_good(&settings);
    health.checked_bad(Failure::Refusing, &settings);
    health.checked_good(&settings);
    assert!(!health.is_asked());
    health.checked_good(&settings);
    assert!(health.is_asked());
    assert_eq!(health.state(SLOW), State::Starting);
}

#[test]
fn whoever_drains_does_so_whatever_becomes_of_it() {
    let (health, settings) = (health(), settings());
    assert!(!health.is_draining());
    health.drain();
    health.answered(&settings);
    assert_eq!((health.is_draining(), health.state(SLOW)), (true, State::Draining));
    health.checked_bad(Failure::Silent, &settings);
    assert_eq!(health.state(SLOW), State::Draining);
}
