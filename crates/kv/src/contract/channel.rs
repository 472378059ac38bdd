//! Contract of channels.

use bytes::Bytes;

use super::fixture::{Fixture, WITHIN, until};
use crate::{Event, Subscription, Taken};

/// Waits until the store listens: what is published before is not promised.
async fn subscribe(f: &Fixture, channel: &str) -> (Subscription, Subscription) {
    let mut own = f.one.subscribe(channel).unwrap();
    let mut others = f.other.subscribe(channel).unwrap();
    for subscription in [&mut own, &mut others] {
        until("a channel that is listened to", async || {
            f.one.publish(channel, Bytes::from_static(b"hello")).await.unwrap();
            let short = std::time::Duration::from_millis(100);
            tokio::time::timeout(short, subscription.next()).await.is_ok()
        })
        .await;
    }
    f.one.publish(channel, Bytes::from_static(b"begin")).await.unwrap();
    for subscription in [&mut own, &mut others] {
        while next(subscription).await != "begin" {}
    }
    (own, others)
}

async fn next(subscription: &mut Subscription) -> String {
    match tokio::time::timeout(WITHIN, subscription.next()).await.unwrap() {
        Event::Message { payload, .. } => String::from_utf8(payload.to_vec()).unwrap(),
        Event::Gap => "gap".to_owned(),
    }
}

pub(super) async fn messages_come_in_order_to_all_who_listen(f: &Fixture) {
    let (mut own, mut others) = subscribe(f, "news").await;
    for n in 0..100 {
        let kv = if n % 2 == 0 { &f.one } else { &f.other };
        assert_eq!(kv.publish("news", Bytes::from(n.to_string())).await, Ok(Taken::Shared));
    }
    for subscription in [&mut own, &mut others] {
        let mut before = None;
        for n in 0..100 {
            let event = tokio::time::timeout(WITHIN, subscription.next()).await.unwrap();
            let Event::Message { sequence: Some(number), payload } = event else {
                panic!("{event:?} in place of {n}")
            };
            assert_eq!(payload, n.to_string());
            assert!(before.is_none_or(|before: u64| before + 1 == number), "{before:?} {number}");
            before = Some(number);
        }
    }
}

pub(super) async fn channels_are_kept_apart(f: &Fixture) {
    let (mut news, _) = subscribe(f, "news").await;
    let (mut weather, _) = subscribe(f, "weather").await;
    for kv in [&f.one, &f.other] {
        kv.publish("nobody-listens", Bytes::from_static(b"0")).await.unwrap();
        kv.publish("news", Bytes::from_static(b"1")).await.unwrap();
        kv.publish("weather", Bytes::from_static(b"2")).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(next(&mut news).await, "1");
        assert_eq!(next(&mut weather).await, "2");
    }
}

pub(super) async fn a_silent_channel_is_no_gap(f: &Fixture) {
    let (mut own, _) = subscribe(f, "news").await;
    let silence = f.settings.silence_max.0 + f.settings.heartbeat_every.0;
    let heard = tokio::time::timeout(silence, own.next()).await;
    assert!(heard.is_err(), "{heard:?}");
    f.other.publish("news", Bytes::from_static(b"1")).await.unwrap();
    assert_eq!(next(&mut own).await, "1");
}
