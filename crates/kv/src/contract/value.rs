//! Contract of values.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::fixture::{Fixture, until};
use crate::{Error, Freshness::Exact, Freshness::Stale, Taken};

const HOUR: Option<Duration> = Some(Duration::from_secs(3_600));

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub(super) async fn an_empty_value_is_one_and_a_missing_one_is_none(f: &Fixture) {
    assert_eq!(f.one.get("a", Exact).await, Ok(None));
    assert_eq!(f.one.set("a", Bytes::new(), HOUR).await, Ok(Taken::Shared));
    assert_eq!(f.one.get("a", Exact).await, Ok(Some(Bytes::new())));
    assert_eq!(f.one.delete("a").await, Ok(Taken::Shared));
    assert_eq!(f.one.get("a", Exact).await, Ok(None));
}

pub(super) async fn what_one_writes_the_other_reads(f: &Fixture) {
    for value in [&b"text"[..], b"\0\r\n$-1\r\n\xff", &[7; 100_000]] {
        let value = Bytes::copy_from_slice(value);
        f.one.set("a", value.clone(), HOUR).await.unwrap();
        assert_eq!(f.other.get("a", Exact).await, Ok(Some(value.clone())));
        until("a replica that caught up", async || {
            f.other.get("a", Stale).await == Ok(Some(value.clone()))
        })
        .await;
    }
    f.other.delete("a").await.unwrap();
    assert_eq!(f.one.get("a", Exact).await, Ok(None));
}

pub(super) async fn a_value_goes_after_its_time(f: &Fixture) {
    f.one.set("long", bytes("x"), HOUR).await.unwrap();
    f.one.set("short", bytes("x"), Some(Duration::from_millis(60))).await.unwrap();
    let began = Instant::now();
    f.one.set("default", bytes("x"), None).await.unwrap();
    until("the end of the short one", async || f.other.get("short", Exact).await == Ok(None)).await;
    until("the end of the usual one", async || f.other.get("default", Exact).await == Ok(None))
        .await;
    assert!(began.elapsed() >= f.settings.ttl.0 - Duration::from_millis(2), "not before its time");
    assert!(f.other.get("long", Exact).await.unwrap().is_some());
}

pub(super) async fn many_keys_come_in_their_order(f: &Fixture) {
    let keys: Vec<_> = (0..700).map(|n| format!("key-{n}")).collect();
    for (n, key) in keys.iter().enumerate().filter(|(n, _)| n % 7 != 0) {
        f.one.set(key, Bytes::from(n.to_string()), HOUR).await.unwrap();
    }
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let expected: Vec<_> =
        (0..700).map(|n| (n % 7 != 0).then(|| Bytes::from(n.to_string()))).collect();
    assert_eq!(f.other.get_many(&keys, Exact).await, Ok(expected.clone()));
    until("replicas that caught up", async || {
        f.other.get_many(&keys, Stale).await == Ok(expected.clone())
    })
    .await;
    assert_eq!(f.other.get_many(&[], Exact).await, Ok(Vec::new()));
}

pub(super) async fn bounds_are_kept(f: &Fixture) {
    let long = "k".repeat(f.settings.key_bytes_max.bytes() + 1);
    assert_eq!(f.one.get(&long, Exact).await, Err(Error::Key));
    assert_eq!(f.one.get("", Exact).await, Err(Error::Key));
    assert_eq!(f.one.get_many(&["a", ""], Exact).await, Err(Error::Key));
    let large = Bytes::from(vec![0; f.settings.value_bytes_max.bytes() + 1]);
    assert_eq!(f.one.set("a", large.clone(), None).await, Err(Error::TooLarge));
    assert_eq!(f.one.publish("a", large).await, Err(Error::TooLarge));
    assert_eq!(f.one.subscribe("a}b").err(), Some(Error::Key));
    let longest = &long[1..];
    f.one.set(longest, bytes("x"), HOUR).await.unwrap();
    assert_eq!(f.one.get(longest, Exact).await, Ok(Some(bytes("x"))));
}
