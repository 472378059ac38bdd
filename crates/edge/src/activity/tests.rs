//! Tests of `activity`: who may be parked, and how long a handshake may take.

use std::time::Duration;

use super::*;

const HANDSHAKE_TIMEOUT: Span = Span::seconds(10);
const PARK_AFTER: Span = Span(Duration::from_millis(500));

fn new_activity() -> (Arc<Coarse>, Arc<Activity>) {
    let clock = Arc::new(Coarse::default());
    (Arc::clone(&clock), Arc::new(Activity::new(clock)))
}

/// What a connection is told within this moment.
fn told(activity: &Activity) -> Option<Order> {
    use futures_util::FutureExt;
    activity.ordered().now_or_never()
}

fn parks(activity: &Activity) -> bool {
    activity.park_after(PARK_AFTER);
    told(activity) == Some(Order::Park)
}

fn judged(activity: &Activity) -> Verdict {
    activity.judge(&Settings::default(), HANDSHAKE_TIMEOUT, 1_000)
}

#[test]
fn only_a_quiet_connection_with_nothing_on_the_way_is_parked() {
    let (clock, activity) = new_activity();
    assert!(!parks(&activity), "not at once");
    clock.set(600);
    assert!(parks(&activity));

    let in_hand = Arc::clone(&activity).begin_request();
    clock.set(2_000);
    assert!(!parks(&activity), "a request is in hand");
    let answer = Arc::clone(&activity).begin_answer();
    drop(in_hand);
    clock.set(4_000);
    assert!(!parks(&activity), "its answer is on the way");
    drop(answer);
    assert!(!parks(&activity), "it was busy until now");
    clock.set(6_000);
    activity.write_blocked();
    assert!(!parks(&activity), "the socket has not taken all of it");
    activity.wrote(1);
    clock.set(8_000);
    assert!(parks(&activity));

    let exchange = activity.begin_exchange();
    assert!(!parks(&activity), "somebody still reads the request's body");
    drop(exchange);
    activity.read_some();
    clock.set(9_900);
    assert!(!parks(&activity), "half a head came");
}

#[test]
fn bytes_behind_a_request_that_is_still_busy_are_no_slow_head() {
    for uploads in [true, false] {
        let (clock, activity) = new_activity();
        let in_hand = Arc::clone(&activity).begin_request();
        let busy = (
            uploads.then(|| activity.begin_exchange()),
            (!uploads).then(|| Arc::clone(&activity).begin_answer()),
        );
        drop(in_hand);
        for second in 1..30 {
            clock.set(second * 1_000);
            activity.read_some();
            assert_eq!(judged(&activity), Verdict::Keep, "{second}");
        }
        drop(busy);
        clock.set(31_000);
        activity.read_some();
        clock.set(42_000);
        assert_eq!(judged(&activity), Verdict::Refuse(Refusal::HeaderTimeout), "a head of its own");
    }
}

#[test]
fn what_was_read_during_an_answer_starts_no_clock_after_it() {
    let (clock, activity) = new_activity();
    let in_hand = Arc::clone(&activity).begin_request();
    let answer = Arc::clone(&activity).begin_answer();
    drop(in_hand);
    activity.read_some();
    drop(answer);
    clock.set(11_000);
    assert_eq!(judged(&activity), Verdict::Keep);
}

#[test]
fn a_request_that_an_app_has_is_not_ours_to_time() {
    let (clock, activity) = new_activity();
    let in_hand = Arc::clone(&activity).begin_request();
    clock.set(91_000);
    assert_eq!(judged(&activity), Verdict::Refuse(Refusal::BodyTimeout));
    in_hand.hand_over();
    assert_eq!(judged(&activity), Verdict::Keep);
    assert!(!activity.is_idle());
    drop(in_hand);
    assert!(activity.is_idle());

    let (clock, activity) = new_activity();
    activity.multiplexed();
    let exchange = activity.begin_exchange();
    exchange.hand_over();
    clock.set(91_000);
    assert_eq!(judged(&activity), Verdict::Keep);
}

#[test]
fn who_is_parked_or_leaves_or_speaks_http2_is_left_alone() {
    let (clock, activity) = new_activity();
    clock.set(1_000);
    activity.parked();
    assert!(!parks(&activity));
    activity.unparked();
    assert!(parks(&activity));
    activity.drain();
    assert_eq!(told(&activity), Some(Order::Drain));
    assert!(!parks(&activity));

    let (clock, activity) = new_activity();
    activity.multiplexed();
    clock.set(1_000);
    assert!(!parks(&activity));
}

#[test]
fn a_request_that_comes_with_the_order_is_served() {
    let (clock, activity) = new_activity();
    clock.set(1_000);
    activity.park_after(PARK_AFTER);
    activity.read_some();
    assert_eq!(told(&activity), Some(Order::Park));
    assert!(!activity.is_idle(), "the connection looks before it obeys");
}

#[test]
fn a_late_order_to_park_is_no_goodbye() {
    use futures_util::FutureExt;
    let (clock, activity) = new_activity();
    clock.set(1_000);
    activity.park_after(PARK_AFTER);
    assert!(activity.told_to_leave().now_or_never().is_none());
    activity.park_after(PARK_AFTER);
    activity.drain();
    assert!(activity.told_to_leave().now_or_never().is_some());
}

#[test]
fn the_stronger_order_wins() {
    let (clock, activity) = new_activity();
    clock.set(1_000);
    activity.park_after(PARK_AFTER);
    activity.drain();
    assert_eq!(told(&activity), Some(Order::Drain));
    activity.cut();
    assert_eq!(told(&activity), Some(Order::Cut));
}

#[test]
fn a_handshake_has_one_limit_that_bytes_do_not_push_on() {
    let (clock, activity) = new_activity();
    clock.set(1_000);
    activity.begin_handshake();
    clock.set(10_000);
    activity.wrote(100);
    activity.read_some();
    assert_eq!(judged(&activity), Verdict::Keep);
    clock.set(11_100);
    assert_eq!(judged(&activity), Verdict::Refuse(Refusal::HandshakeTimeout));
    activity.end_handshake();
    assert_eq!(judged(&activity), Verdict::Keep);
    activity.switched();
    clock.set(10_000_000);
    assert_eq!(judged(&activity), Verdict::Keep, "what left HTTP has limits of its own");
}
