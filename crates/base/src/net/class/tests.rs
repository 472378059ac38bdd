//! The table against the ends of every block of the registries.

use super::*;

fn check(address: &str, expected: Class) {
    assert_eq!(address.parse().map(class), Ok(expected), "{address}");
}

#[test]
fn both_ends_of_every_block_are_known_and_their_neighbours_are_not_taken_along() {
    use Class::{
        Benchmarking, Broadcast, Documentation, LinkLocal, Loopback, Multicast, Private, Protocol,
        Public, Reserved, Shared, Transition, Unspecified,
    };
    for (address, expected) in [
        ("0.0.0.0", Unspecified),
        ("0.255.255.255", Unspecified),
        ("1.0.0.0", Public),
        ("9.255.255.255", Public),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("11.0.0.0", Public),
        ("100.63.255.255", Public),
        ("100.64.0.0", Shared),
        ("100.100.100.200", Shared),
        ("100.127.255.255", Shared),
        ("100.128.0.0", Public),
        ("126.255.255.255", Public),
        ("127.0.0.0", Loopback),
        ("127.255.255.255", Loopback),
        ("128.0.0.0", Public),
        ("168.63.129.15", Public),
        ("168.63.129.16", LinkLocal),
        ("168.63.129.17", Public),
        ("169.253.255.255", Public),
        ("169.254.169.254", LinkLocal),
        ("169.255.0.0", Public),
        ("172.15.255.255", Public),
        ("172.16.0.0", Private),
        ("172.31.255.255", Private),
        ("172.32.0.0", Public),
        ("192.0.0.8", Protocol),
        ("192.0.1.0", Public),
        ("192.0.2.1", Documentation),
        ("192.88.99.1", Transition),
        ("192.167.255.255", Public),
        ("192.168.0.0", Private),
        ("192.168.255.255", Private),
        ("192.169.0.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.0", Benchmarking),
        ("198.19.255.255", Benchmarking),
        ("198.20.0.0", Public),
        ("198.51.100.9", Documentation),
        ("203.0.113.9", Documentation),
        ("223.255.255.255", Public),
        ("224.0.0.1", Multicast),
        ("239.255.255.255", Multicast),
        ("240.0.0.1", Reserved),
        ("255.255.255.254", Reserved),
        ("255.255.255.255", Broadcast),
        ("8.8.8.8", Public),
    ] {
        check(address, expected);
        // What a system connects to IPv4 is judged as IPv4, however it is written.
        check(&format!("::ffff:{address}"), expected);
        check(&format!("64:ff9b::{address}"), expected);
        // An ISATAP host of a public network.
        check(&format!("2a00:1450::5efe:{address}"), expected);
        check(&format!("2a00:1450::200:5efe:{address}"), expected);
    }
}

#[test]
fn of_ipv6_only_what_hosts_are_given_is_public() {
    use Class::{
        Benchmarking, Documentation, LinkLocal, Loopback, Multicast, Private, Protocol, Public,
        Reserved, Transition, Unspecified,
    };
    for (address, expected) in [
        ("::", Unspecified),
        ("::1", Loopback),
        ("::2", Transition),
        ("::127.0.0.1", Transition),
        ("::8.8.8.8", Transition),
        ("::ffff:0:127.0.0.1", Transition),
        ("64:ff9b::1:0:0", Reserved),
        ("64:ff9b:1::a00:1", Transition),
        ("100::1", Reserved),
        ("1fff:ffff::1", Reserved),
        ("2000::1", Public),
        ("2001::1", Transition),
        ("2001:0:7f00:1::", Transition),
        ("2001:1::1", Protocol),
        ("2001:2::1", Benchmarking),
        ("2001:20::1", Protocol),
        ("2001:1ff:ffff::1", Protocol),
        ("2001:200::1", Public),
        ("2001:4860:4860::8888", Public),
        ("2001:db7::1", Public),
        ("2001:db8::1", Documentation),
        ("2001:db9::1", Public),
        ("2002:7f00:1::1", Transition),
        ("2002:808:808::1", Transition),
        ("2002:ffff:ffff::1", Transition),
        ("2003::1", Public),
        ("2606:4700::1111", Public),
        ("3ffe::1", Public),
        ("3fff:fff::1", Documentation),
        ("3fff:1000::1", Public),
        ("4000::1", Reserved),
        ("5f00::1", Protocol),
        ("fbff::1", Reserved),
        ("fc00::1", Private),
        ("fdff:ffff::1", Private),
        ("fe00::1", Reserved),
        ("fe80::1", LinkLocal),
        ("febf::1", LinkLocal),
        ("fec0::1", Private),
        ("feff::1", Private),
        ("ff02::1", Multicast),
    ] {
        check(address, expected);
    }
}

#[test]
fn names_of_rules_are_told_apart() {
    let mut names: Vec<_> = V4.iter().map(|row| row.2.as_str()).collect();
    names.extend(V6.iter().map(|row| row.2.as_str()));
    names.sort_unstable();
    names.dedup();
    // Every class but `Public`.
    assert_eq!(names.len(), 12, "{names:?}");
}
