//! When a gap is told, and when not.

use super::*;

fn channels(settings: &Settings) -> Arc<Channels> {
    let registry = mainstay_telemetry::metrics::Registry::new(
        &mainstay_telemetry::settings::Metrics::default(),
        mainstay_base::Clock::System,
    );
    Channels::new(settings, &Metrics::new(&registry))
}

fn message(number: u64) -> Event {
    Event::Message { sequence: Some(number), payload: Bytes::new() }
}

/// What is heard of these signs after listening began at `last`.
async fn heard(last: Option<u64>, signs: &[Sign]) -> Vec<Event> {
    let channels = channels(&Settings::default());
    let mut subscription = channels.subscribe("a").unwrap();
    if let Some(last) = last {
        channels.join("a", last);
    }
    for sign in signs {
        channels.hear("a", *sign, Bytes::new());
    }
    channels.deliver_here("a", Bytes::from_static(b"end"));
    let mut heard = Vec::new();
    loop {
        match subscription.next().await {
            Event::Message { sequence: None, .. } => return heard,
            event => heard.push(event),
        }
    }
}

#[tokio::test]
async fn a_missing_number_is_a_gap() {
    use Sign::{Heartbeat, Message};
    let check = async |last, signs: &[Sign], events: &[Event]| {
        assert_eq!(heard(last, signs).await, events, "{last:?} {signs:?}");
    };
    check(Some(4), &[Message(5), Message(6)], &[message(5), message(6)]).await;
    check(Some(4), &[Message(6)], &[Event::Gap, message(6)]).await;
    check(Some(4), &[Heartbeat(4), Message(5)], &[message(5)]).await;
    check(Some(4), &[Heartbeat(5)], &[Event::Gap]).await;
    check(Some(4), &[Message(5), Heartbeat(5), Heartbeat(7)], &[message(5), Event::Gap]).await;
    // The number was asked for after listening began: what it counts may come in later.
    check(Some(4), &[Message(3), Message(4), Message(5)], &[3, 4, 5].map(message)).await;
    check(Some(4), &[Message(3), Message(5)], &[message(3), Event::Gap, message(5)]).await;
    // A store that lost its data begins anew.
    check(Some(4), &[Message(5), Message(1)], &[message(5), Event::Gap, message(1)]).await;
    check(None, &[Message(7), Message(8)], &[message(7), message(8)]).await;
}

#[tokio::test]
async fn who_lags_hears_of_it_and_room_is_bounded() {
    let settings = Settings { channel_queue: 2, channels_max: 1, ..Settings::default() };
    let channels = channels(&settings);
    let mut slow = channels.subscribe("a").unwrap();
    for number in 1..=4 {
        channels.hear("a", Sign::Message(number), Bytes::new());
    }
    assert_eq!(slow.next().await, Event::Gap);
    assert_eq!(slow.next().await, message(3));
    assert_eq!(channels.subscribe("b").err(), Some(Error::Full));
    drop(slow);
    assert!(channels.subscribe("b").is_ok(), "nobody listens to the other any more");
}
