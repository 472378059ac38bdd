//! Tests of `visitor`.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use mainstay_base::task::Stop;
use mainstay_store::visitor_salt;

use super::*;
use crate::fixture::{DAY, FIREFOX, House, page_view};
use crate::retain;

#[test]
fn ids_differ_by_everything_that_makes_them() {
    let client = |text: &str| text.parse::<IpAddr>().expect("an address");
    let key = Key::new([7; 16]);
    let id = key.id("default", client("192.0.2.1"), "Firefox");
    assert_eq!(key.id("default", client("::ffff:192.0.2.1"), "Firefox"), id);
    assert_eq!(id.get_version_num(), 8);
    for other in [
        Key::new([8; 16]).id("default", client("192.0.2.1"), "Firefox"),
        key.id("shop", client("192.0.2.1"), "Firefox"),
        key.id("default", client("192.0.2.2"), "Firefox"),
        key.id("default", client("2001:db8::1"), "Firefox"),
        key.id("default", client("192.0.2.1"), "Chrome"),
    ] {
        assert_ne!(other, id);
    }
    assert!(!format!("{key:?}").contains('7'));
}

#[test]
fn days_begin_at_midnight_utc() {
    assert_eq!(day_of(Timestamp::from_seconds(86_399)), 0);
    assert_eq!(day_of(Timestamp::from_seconds(86_400)), 1);
    assert_eq!(day_of(Timestamp::from_seconds(-1)), -1);
}

/// Every address of a /16, as somebody with the files would try them.
fn crack(salt: [u8; 16], files: &[u8]) -> Option<Ipv4Addr> {
    let windows: HashSet<&[u8]> = files.windows(16).collect();
    let key = Key::new(salt);
    (0..=u16::MAX).map(|low| Ipv4Addr::from_bits(0xC000_0000 | u32::from(low))).find(|address| {
        windows.contains(key.id("default", IpAddr::V4(*address), FIREFOX).as_bytes().as_slice())
    })
}

#[tokio::test]
async fn after_48_hours_no_byte_on_disk_leads_back_to_an_address() {
    let house = House::open().await;
    let day = day_of(house.clock.now());
    assert!(house.send(&page_view(1, "https://h/")).await.is_ok());
    let salt =
        visitor_salt::find_or_create(house.store.core(), day, [0; 16]).await.expect("a salt");
    let holds_salt = |files: &[u8]| memchr::memmem::find(files, &salt).is_some();
    let files = house.files();
    assert!(holds_salt(&files), "the attack below must be able to succeed");
    assert_eq!(crack(salt, &files), Some(Ipv4Addr::new(192, 0, 2, 1)));

    // A day later the salt still joins visits over midnight; at the end of that day its time is over.
    house.clock.advance(DAY);
    retain::reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    assert!(holds_salt(&house.files()));
    house.clock.advance(DAY);
    assert!(house.send(&page_view(2, "https://h/")).await.is_ok());
    retain::reconcile(&house.insight, &Stop::default()).await.expect("reconciled");

    let files = house.files();
    assert!(!holds_salt(&files));
    let id = Key::new(salt).id("default", IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), FIREFOX);
    assert!(memchr::memmem::find(&files, id.as_bytes()).is_some(), "the page view is still there");
    // Whatever lies in the files is no salt of that day …
    let candidates: HashSet<[u8; 16]> =
        files.windows(16).filter_map(|w| w.try_into().ok()).collect();
    let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let found =
        candidates.iter().find(|salt| Key::new(**salt).id("default", client, FIREFOX) == id);
    assert_eq!(found, None);
    // … and no address of the network makes that id with the salts that are left.
    for left in [day + 1, day + 2] {
        let salt =
            visitor_salt::find_or_create(house.store.core(), left, [0; 16]).await.expect("a salt");
        let key = Key::new(salt);
        for low in 0..=u16::MAX {
            let address = IpAddr::V4(Ipv4Addr::from_bits(0xC000_0000 | u32::from(low)));
            assert_ne!(key.id("default", address, FIREFOX), id);
        }
    }
    house.close().await;
}

#[tokio::test]
async fn the_keys_of_yesterday_serve_requests_that_came_before_midnight() {
    let house = House::open().await;
    let (salts, day) = (&house.insight.0.salts, day_of(house.clock.now()));
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let before = salts.find(day).await.expect("keys").today.id("default", client, "");
    let next = salts.find(day + 1).await.expect("keys");
    assert_eq!(next.yesterday.id("default", client, ""), before);
    assert_ne!(next.today.id("default", client, ""), before);
    assert_eq!(salts.find(day).await.expect("keys").today.id("default", client, ""), before);
    assert!(Arc::ptr_eq(&salts.find(day + 1).await.expect("keys"), &next), "read once");
    house.close().await;
}
