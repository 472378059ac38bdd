//! The forwarded matrix: who the client is, for every dialect and every lie.

use super::*;

type Lines = &'static [(&'static str, &'static str)];

/// Trusted: the load balancers 10.0.0.0/8, one address of IPv6, one content network.
fn trust(header: Told) -> Trust {
    let proxies = ["10.0.0.0/8", "2001:db8:1::1", "::ffff:192.0.2.0/120"];
    Trust { proxies: proxies.map(|text| text.parse().unwrap()).to_vec(), header }
}

fn find(header: Told, peer: &str, lines: &[(&str, &str)]) -> Client {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let peer = Peer { address: peer.parse().unwrap(), scheme: Scheme::Http, host: Some("own") };
    Client::find(peer, &headers, &trust(header))
}

#[test]
fn the_client_is_the_right_most_address_nobody_trusts() {
    const STRANGER: &str = "198.51.100.9";
    const LB: &str = "10.0.0.1";
    const XFF: &str = "x-forwarded-for";
    let table: &[(&str, Lines, &str)] = &[
        // Nobody is believed who is not trusted.
        (STRANGER, &[], STRANGER),
        (STRANGER, &[(XFF, "1.1.1.1")], STRANGER),
        (STRANGER, &[("forwarded", "for=1.1.1.1")], STRANGER),
        (STRANGER, &[("x-real-ip", "1.1.1.1")], STRANGER),
        ("::ffff:198.51.100.9", &[(XFF, "1.1.1.1")], STRANGER),
        // One proxy.
        (LB, &[], LB),
        (LB, &[(XFF, "1.1.1.1")], "1.1.1.1"),
        ("::ffff:10.0.0.1", &[(XFF, "1.1.1.1")], "1.1.1.1"),
        ("192.0.2.77", &[(XFF, "1.1.1.1")], "1.1.1.1"),
        ("2001:db8:1::1", &[(XFF, "1.1.1.1")], "1.1.1.1"),
        ("2001:db8:1::2", &[(XFF, "1.1.1.1")], "2001:db8:1::2"),
        (LB, &[("x-real-ip", "1.1.1.1")], LB),
        (LB, &[("cf-connecting-ip", "1.1.1.1")], LB),
        // A client that brings its own list stands right of what it made up.
        (LB, &[(XFF, "6.6.6.6, 1.1.1.1")], "1.1.1.1"),
        (LB, &[(XFF, "10.0.0.9, 1.1.1.1")], "1.1.1.1"),
        (LB, &[(XFF, "6.6.6.6"), (XFF, "1.1.1.1")], "1.1.1.1"),
        (LB, &[(XFF, "1.1.1.1"), (XFF, "6.6.6.6")], "6.6.6.6"),
        // Several proxies.
        (LB, &[(XFF, "1.1.1.1, 10.0.0.2")], "1.1.1.1"),
        (LB, &[(XFF, "6.6.6.6, 1.1.1.1, 10.0.0.3, 10.0.0.2")], "1.1.1.1"),
        (LB, &[(XFF, "1.1.1.1"), (XFF, "10.0.0.2")], "1.1.1.1"),
        (LB, &[(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        (LB, &[(XFF, "1.1.1.1, 192.0.2.5")], "1.1.1.1"),
        (LB, &[(XFF, "1.1.1.1, ::ffff:10.0.0.2")], "1.1.1.1"),
        // Spellings of an address.
        (LB, &[(XFF, "1.1.1.1:4711")], "1.1.1.1"),
        (LB, &[(XFF, "  1.1.1.1  ")], "1.1.1.1"),
        (LB, &[(XFF, "2001:db8::7")], "2001:db8::7"),
        (LB, &[(XFF, "[2001:db8::7]")], "2001:db8::7"),
        (LB, &[(XFF, "[2001:db8::7]:4711")], "2001:db8::7"),
        (LB, &[(XFF, "::ffff:1.1.1.1")], "1.1.1.1"),
        (LB, &[(XFF, "[::ffff:1.1.1.1]:80")], "1.1.1.1"),
        // Rubbish ends the chain: what stands left of it came from nobody we know.
        (LB, &[(XFF, "unknown")], LB),
        (LB, &[(XFF, "")], LB),
        (LB, &[(XFF, "1.1.1.1, unknown, 10.0.0.2")], "10.0.0.2"),
        (LB, &[(XFF, "1.1.1.1, ")], LB),
        (LB, &[(XFF, "6.6.6.6, 010.0.0.1")], LB),
        (LB, &[(XFF, "6.6.6.6, 1.1.1.256")], LB),
        (LB, &[(XFF, "6.6.6.6, fe80::1%eth0")], LB),
        (LB, &[(XFF, "6.6.6.6, 167772161")], LB),
        (LB, &[(XFF, "6.6.6.6"), (XFF, "\u{e9}")], LB),
        (LB, &[(XFF, "1.1.1.1;10.0.0.2")], LB),
        // RFC 7239.
        (LB, &[("forwarded", "for=1.1.1.1")], "1.1.1.1"),
        (LB, &[("forwarded", "For=\"1.1.1.1:80\";proto=https")], "1.1.1.1"),
        (LB, &[("forwarded", "for=\"[2001:db8::7]\"")], "2001:db8::7"),
        (LB, &[("forwarded", "for=\"[2001:db8::7]:4711\";by=10.0.0.1")], "2001:db8::7"),
        (LB, &[("forwarded", "for=6.6.6.6, for=1.1.1.1, for=10.0.0.2")], "1.1.1.1"),
        (LB, &[("forwarded", "for=6.6.6.6"), ("forwarded", "for=1.1.1.1")], "1.1.1.1"),
        (LB, &[("forwarded", "for=6.6.6.6, for=_hidden")], LB),
        (LB, &[("forwarded", "for=6.6.6.6, for=unknown")], LB),
        (LB, &[("forwarded", "for=6.6.6.6, proto=https")], LB),
        (LB, &[("forwarded", "host=\"a,b;for=6.6.6.6\";for=1.1.1.1")], "1.1.1.1"),
        (LB, &[("forwarded", "for=\"1.1.1.1\\\"")], LB),
        (LB, &[("forwarded", "for = 1.1.1.1 ; proto = https")], "1.1.1.1"),
        // Both: the common one counts.
        (LB, &[("forwarded", "for=6.6.6.6"), (XFF, "1.1.1.1")], "1.1.1.1"),
    ];
    assert!(table.len() >= 40);
    for (peer, lines, expected) in table {
        let client = find(Told::Auto, peer, lines);
        assert_eq!(client.address.to_string(), *expected, "{peer} {lines:?}");
    }
}

#[test]
fn a_pinned_dialect_ignores_the_other() {
    let both = [("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "6.6.6.6")];
    assert_eq!(find(Told::Forwarded, "10.0.0.1", &both).address.to_string(), "1.1.1.1");
    assert_eq!(find(Told::XForwardedFor, "10.0.0.1", &both).address.to_string(), "6.6.6.6");
    assert_eq!(find(Told::Forwarded, "10.0.0.1", &both[1..]).address.to_string(), "10.0.0.1");
    assert_eq!(find(Told::XForwardedFor, "10.0.0.1", &both[..1]).address.to_string(), "10.0.0.1");
}

#[test]
fn which_dialect_was_believed_is_known() {
    const XFF: (&str, &str) = ("x-forwarded-for", "1.1.1.1");
    const FORWARDED: (&str, &str) = ("forwarded", "for=1.1.1.1");
    const PROTO: (&str, &str) = ("x-forwarded-proto", "https");
    let (x, rfc) = (Some(Dialect::XForwarded), Some(Dialect::Forwarded));
    let table: &[(Told, Lines, Option<Dialect>)] = &[
        (Told::Auto, &[], x),
        (Told::Auto, &[PROTO], x),
        (Told::Auto, &[XFF, FORWARDED], x),
        (Told::Auto, &[FORWARDED, PROTO], rfc),
        (Told::XForwardedFor, &[FORWARDED], x),
        (Told::Forwarded, &[XFF], rfc),
    ];
    for (header, lines, expected) in table {
        assert_eq!(find(*header, "10.0.0.1", lines).told, *expected, "{header:?} {lines:?}");
        assert_eq!(find(*header, "198.51.100.9", lines).told, None, "a stranger's word");
    }
}

#[test]
fn protocol_and_host_come_from_the_hop_that_names_the_client() {
    const XFF: &str = "x-forwarded-for";
    const PROTO: &str = "x-forwarded-proto";
    const HOST: &str = "x-forwarded-host";
    let table: &[(&str, Lines, bool, &str)] = &[
        ("198.51.100.9", &[(PROTO, "https"), (HOST, "evil")], false, "own"),
        ("10.0.0.1", &[], false, "own"),
        ("10.0.0.1", &[(XFF, "1.1.1.1"), (PROTO, "https")], true, "own"),
        ("10.0.0.1", &[(PROTO, "HTTPS")], true, "own"),
        ("10.0.0.1", &[(PROTO, "wss")], true, "own"),
        ("10.0.0.1", &[(PROTO, "gopher")], false, "own"),
        ("10.0.0.1", &[(XFF, "1.1.1.1"), (HOST, "www.example:8443")], false, "www.example:8443"),
        ("10.0.0.1", &[(HOST, "user@evil")], false, "own"),
        ("10.0.0.1", &[(HOST, "no host")], false, "own"),
        // One entry per hop: the client's own.
        ("10.0.0.1", &[(XFF, "1.1.1.1, 10.0.0.2"), (PROTO, "https, http")], true, "own"),
        ("10.0.0.1", &[(XFF, "6.6.6.6, 1.1.1.1"), (PROTO, "https, http")], false, "own"),
        // Another number of entries: the nearest proxy's.
        ("10.0.0.1", &[(XFF, "1.1.1.1"), (PROTO, "https, http")], false, "own"),
        ("10.0.0.1", &[(XFF, "6.6.6.6, 1.1.1.1"), (PROTO, "https")], true, "own"),
        (
            "10.0.0.1",
            &[("forwarded", "for=1.1.1.1;proto=https;host=\"a.example\"")],
            true,
            "a.example",
        ),
        (
            "10.0.0.1",
            &[("forwarded", "for=6.6.6.6;proto=https;host=evil, for=1.1.1.1;proto=http;host=a")],
            false,
            "a",
        ),
    ];
    for (peer, lines, https, host) in table {
        let client = find(Told::Auto, peer, lines);
        assert_eq!(
            (client.https, client.host.as_deref()),
            (*https, Some(*host)),
            "{peer} {lines:?}"
        );
    }
}

#[test]
fn networks_are_read_as_people_write_them() {
    for (text, inside, outside) in [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("10.1.2.3/8", "10.255.0.1", "11.0.0.1"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("::1", "::1", "::2"),
        ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.1"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
    ] {
        let trust = Trust { proxies: vec![text.parse().unwrap()], ..Trust::default() };
        assert!(trust.contains(inside.parse().unwrap()), "{text}");
        assert!(!trust.contains(outside.parse().unwrap()), "{text}");
    }
    for text in ["", "10.0.0.0/33", "10.0.0", "example.org", "10.0.0.1:80"] {
        assert!(text.parse::<Network>().is_err(), "{text}");
    }
}
