//! Headers both ways, as tables.

use http::Response;

use super::*;
use crate::client::Told;
use crate::{Peer, Scheme, Trust};

type Lines<'a> = &'a [(&'a str, &'a str)];

const PEER: &str = "203.0.113.7";
const ID: u128 = 0xabcd;
const MARK: HeaderValue = HeaderValue::from_static("mainstay-1-shop");

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

fn forwarded(lines: &[(&str, &str)], trust: &[&str]) -> HeaderMap {
    forwarded_by(Told::Auto, lines, trust)
}

fn forwarded_by(header: Told, lines: &[(&str, &str)], trust: &[&str]) -> HeaderMap {
    let incoming = headers(lines);
    let proxies = trust.iter().map(|text| text.parse().unwrap()).collect();
    let trust = Trust { proxies, header };
    let (peer, host) = (PEER.parse().unwrap(), Some("shop.example"));
    let client =
        Client::find(Peer { address: peer, scheme: Scheme::Http, host }, &incoming, &trust);
    let kind = kind(&Method::GET, Version::HTTP_11, &incoming);
    let (request_id, mark) = (ID, &MARK);
    request_headers(&incoming, &Forward { peer, client: &client, host, request_id, kind, mark })
}

fn values<'h>(map: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    map.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn what_a_stranger_says_about_itself_is_replaced_or_dropped() {
    let out = forwarded(
        &[
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("x-real-ip", "1.1.1.1"),
            ("forwarded", "for=1.1.1.1;proto=https"),
            ("cf-connecting-ip", "1.1.1.1"),
            ("true-client-ip", "1.1.1.1"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-user", "admin"),
            ("front-end-https", "443"),
            ("x-request-id", "mine"),
            ("traceparent", "00-11111111111111111111111111111111-2222222222222222-01"),
            ("tracestate", "a=b"),
            ("x-mainstay-user", "admin"),
            ("x-mainstay-identity", "e30"),
            ("content-security-policy", "script-src 'nonce-mine'"),
            ("x_forwarded_for", "1.1.1.1"),
            ("x.real.ip", "1.1.1.1"),
            ("proxy", "http://evil.example"),
            ("x-middleware-subrequest", "middleware"),
            ("x-original-url", "/admin"),
        ],
        &[],
    );
    let text = format!("{out:?}");
    for planted in ["1.1.1.1", "evil", "admin", "nonce-mine", "e30", "2222", "a=b", "443", "mine"] {
        assert!(!text.contains(planted), "{planted} in {text}");
    }
    assert_eq!(values(&out, "x-forwarded-for"), [PEER]);
    assert_eq!(values(&out, "x-real-ip"), [PEER]);
    assert_eq!(values(&out, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&out, "x-forwarded-host"), ["shop.example"]);
    assert_eq!(values(&out, "forwarded"), [r#"for=203.0.113.7;host="shop.example";proto=http"#]);
    assert_eq!(values(&out, "x-request-id"), [format!("{ID:032x}")]);
    assert_eq!(values(&out, "traceparent"), [format!("00-{ID:032x}-000000000000abcd-01")]);
    assert_eq!(values(&out, "host"), ["shop.example"]);
}

/// Every name by itself: who takes one from the tables sees which.
#[test]
fn what_only_proxies_or_we_may_say_passes_from_no_stranger() {
    let told_by_proxies = [
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "cf-ipcountry",
        "cf-pseudo-ipv4",
        "cf-ray",
        "cf-visitor",
        "client-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "tracestate",
        "true-client-ip",
        "x-appengine-user-ip",
        "x-azure-clientip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-host",
        "x-original-host",
        "x-original-uri",
        "x-url-scheme",
        "x-forwarded-port",
        "front-end-https",
        "forwarded-for",
        "forwarded-for-ip",
    ];
    let ours = [
        "proxy-connection",
        "proxy",
        "proxy-authenticate",
        "x-middleware-subrequest",
        "x-original-url",
        "x-rewrite-url",
        "x-accel-redirect",
        "x-sendfile",
        "x-mainstay-user",
        "content-security-policy-report-only",
    ];
    let sent = |name| [("x-forwarded-for", "198.51.100.9"), (name, "planted")];
    let trusted = &["203.0.113.0/24"];
    for name in told_by_proxies {
        assert!(!forwarded(&sent(name), &[]).contains_key(name), "{name}");
        // A tracestate belongs to a trace.
        let passes = name != "tracestate";
        assert_eq!(forwarded(&sent(name), trusted).contains_key(name), passes, "{name}");
    }
    for name in ours {
        for trust in [&[][..], trusted] {
            assert!(!forwarded(&sent(name), trust).contains_key(name), "{name} {trust:?}");
        }
    }
}

#[test]
fn what_a_trusted_proxy_says_is_kept_and_added_to() {
    let trace = "00-11111111111111111111111111111111-2222222222222222-01";
    let out = forwarded(
        &[
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "198.51.100.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "www.example"),
            ("forwarded", "for=198.51.100.2;proto=https"),
            ("cf-ray", "123"),
            ("x-request-id", "from-the-proxy"),
            ("x-request-id", "from behind it"),
            ("traceparent", trace),
            ("tracestate", "a=b"),
            ("x-mainstay-user", "admin"),
        ],
        &["203.0.113.0/24"],
    );
    assert_eq!(values(&out, "x-forwarded-for"), ["198.51.100.1, 198.51.100.2, 203.0.113.7"]);
    assert_eq!(values(&out, "x-real-ip"), ["198.51.100.2"]);
    assert_eq!(values(&out, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&out, "x-forwarded-host"), ["www.example"]);
    assert_eq!(values(&out, "forwarded"), [r#"for=198.51.100.2;host="www.example";proto=https"#]);
    assert_eq!(values(&out, "cf-ray"), ["123"]);
    assert_eq!(values(&out, "x-request-id"), ["from-the-proxy"]);
    assert_eq!(values(&out, "traceparent"), [trace]);
    assert_eq!(values(&out, "tracestate"), ["a=b"]);
    assert!(!out.contains_key("x-mainstay-user"));
}

#[test]
fn a_trusted_proxys_rubbish_is_replaced() {
    let long = "a".repeat(129);
    for (name, value) in [
        ("x-request-id", "has space"),
        ("x-request-id", long.as_str()),
        ("x-request-id", ""),
        ("traceparent", "00-0-0-01"),
        ("traceparent", "00-00000000000000000000000000000000-2222222222222222-01"),
        ("traceparent", "ff-11111111111111111111111111111111-2222222222222222-01"),
        ("traceparent", "00-1111111111111111111111111111111G-2222222222222222-01"),
    ] {
        let out = forwarded(&[(name, value)], &["203.0.113.7"]);
        assert_eq!(values(&out, name).len(), 1, "{name}: {value}");
        assert!(values(&out, name)[0].contains(&format!("{ID:032x}")), "{name}: {value}");
    }
}

#[test]
fn a_proxy_that_speaks_one_dialect_is_told_in_both() {
    let out = forwarded(&[("x-forwarded-for", "2001:db8::1")], &["203.0.113.7"]);
    assert_eq!(
        values(&out, "forwarded"),
        [r#"for="[2001:db8::1]";host="shop.example";proto=http"#]
    );
    let out = forwarded(&[("forwarded", r#"for="[2001:db8::1]:99""#)], &["203.0.113.7"]);
    assert_eq!(values(&out, "x-forwarded-for"), ["2001:db8::1, 203.0.113.7"]);
    assert_eq!(values(&out, "x-real-ip"), ["2001:db8::1"]);
}

/// A proxy that sets one of them and passes the other on as the client wrote it.
#[test]
fn an_app_is_not_told_what_was_not_believed() {
    const XFF: &str = "x-forwarded-for";
    const PEERS: &str = r#"for=203.0.113.7;host="shop.example";proto=http"#;
    const CLIENTS: &str = r#"for=198.51.100.9;host="shop.example";proto=http"#;
    let forged = ("forwarded", "for=10.0.0.1;proto=https;host=evil.example");
    let forged_for = (XFF, "6.6.6.6, 10.0.0.1");
    let table: &[(Told, Lines<'_>, &str, &str)] = &[
        (Told::Auto, &[forged, (XFF, "198.51.100.9")], "198.51.100.9, 203.0.113.7", CLIENTS),
        (
            Told::XForwardedFor,
            &[(XFF, "198.51.100.9"), forged],
            "198.51.100.9, 203.0.113.7",
            CLIENTS,
        ),
        (Told::XForwardedFor, &[forged], PEER, PEERS),
        (
            Told::Forwarded,
            &[forged_for, ("x-forwarded-proto", "https"), ("forwarded", "for=198.51.100.9")],
            "198.51.100.9, 203.0.113.7",
            r#"for=198.51.100.9, for=203.0.113.7;host="shop.example";proto=http"#,
        ),
        (Told::Forwarded, &[forged_for, ("x-forwarded-host", "evil.example")], PEER, PEERS),
    ];
    for (header, lines, chain, element) in table {
        let out = forwarded_by(*header, lines, &["203.0.113.0/24"]);
        assert_eq!(values(&out, XFF), [*chain], "{header:?} {lines:?}");
        assert_eq!(values(&out, "forwarded"), [*element], "{header:?} {lines:?}");
        assert_eq!(values(&out, "x-forwarded-proto"), ["http"], "{header:?} {lines:?}");
        assert_eq!(values(&out, "x-forwarded-host"), ["shop.example"], "{header:?} {lines:?}");
    }
    // What is said beside one dialect is believed with it.
    for (header, told, passes) in [
        (Told::Forwarded, ("forwarded", "for=198.51.100.9"), false),
        (Told::Auto, ("forwarded", "for=198.51.100.9"), false),
        (Told::XForwardedFor, (XFF, "198.51.100.9"), true),
        (Told::Auto, (XFF, "198.51.100.9"), true),
    ] {
        for name in [
            "x-forwarded-ssl",
            "x-forwarded-protocol",
            "front-end-https",
            "forwarded-for",
            "forwarded-for-ip",
        ] {
            let lines = [told, (name, "on"), ("trailer", name), ("cf-ray", "123")];
            let out = forwarded_by(header, &lines, &["203.0.113.0/24"]);
            assert_eq!(out.contains_key(name), passes, "{header:?} {lines:?}");
            assert_eq!(out.contains_key("trailer"), passes, "{header:?} {lines:?}");
            assert_eq!(values(&out, "cf-ray"), ["123"], "{header:?} {lines:?}");
        }
    }
}

#[test]
fn headers_of_one_connection_end_with_it() {
    let out = forwarded(
        &[
            ("connection", "keep-alive, X-Hop, close"),
            ("connection", "x-other"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("expect", "100-continue"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("trailer", "x-sum"),
            ("accept", "text/html"),
        ],
        &[],
    );
    let mut left: Vec<_> = out.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(
        left,
        [
            "accept",
            "cdn-loop",
            "forwarded",
            "host",
            "traceparent",
            "trailer",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-real-ip",
            "x-request-id"
        ]
    );
}

#[test]
fn a_connection_header_cannot_take_what_we_say() {
    let named = "host, x-forwarded-for, x-real-ip, x-forwarded-proto, forwarded, traceparent";
    let out = forwarded(&[("connection", named)], &[]);
    assert_eq!(values(&out, "x-forwarded-for"), [PEER]);
    assert_eq!(values(&out, "host"), ["shop.example"]);
    assert_eq!(values(&out, "x-forwarded-proto"), ["http"]);
}

#[test]
fn a_request_that_comes_back_is_known_by_its_mark_and_others_marks_stay() {
    for trust in [&[][..], &["203.0.113.0/24"]] {
        let sent = [("cdn-loop", "fastly; x=y, other"), ("cdn-loop", "mainstay-2-shop")];
        let out = forwarded(&sent, trust);
        let marks = ["fastly; x=y, other", "mainstay-2-shop", "mainstay-1-shop"];
        assert_eq!(values(&out, "cdn-loop"), marks);
        let hidden = forwarded(&[("connection", "cdn-loop"), sent[0]], trust);
        assert_eq!(values(&hidden, "cdn-loop"), ["fastly; x=y, other", "mainstay-1-shop"]);
    }
    let thrice = "mainstay-1-shop, mainstay-1-shop, mainstay-1-shop";
    let others = (0..16).map(|n| format!("mainstay-{n}-x")).collect::<Vec<_>>().join(",");
    for (lines, expected) in [
        (&[][..], false),
        (&["mainstay-1-shop"], false),
        (&["mainstay-1-shop, fastly", "mainstay-1-shop"], false),
        (&[thrice], true),
        (&["fastly, mainstay-1-shop", "a ,\t mainstay-1-shop ;hops=2, b", "mainstay-1-shop"], true),
        (
            &["mainstay-1-shop, mainstay-1-shop", "mainstay-1-shop-2, mainstay-2-shop, mainstay-1"],
            false,
        ),
        (&["a; mainstay-1-shop, b; mainstay-1-shop, c; mainstay-1-shop"], false),
        (&["", ",,;,", ";"], false),
        (&[others.as_str()], true),
        (&[others.rsplit_once(',').expect("many").0], false),
    ] {
        let sent: Vec<_> = lines.iter().map(|line| ("cdn-loop", *line)).collect();
        assert_eq!(goes_round(&headers(&sent), &MARK), expected, "{lines:?}");
    }
    let mut strange = HeaderMap::new();
    let value = [&b"\xff, "[..], thrice.as_bytes()].concat();
    strange.append("cdn-loop", HeaderValue::from_bytes(&value).unwrap());
    assert!(goes_round(&strange, &MARK), "whatever else is said");
}

#[test]
fn websockets_are_known_by_method_version_and_both_headers() {
    let asks = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
    let of = |method, version, lines: &[_]| kind(&method, version, &headers(lines));
    assert_eq!(of(Method::GET, Version::HTTP_11, &asks), Kind::WebSocket);
    assert_eq!(of(Method::POST, Version::HTTP_11, &asks), Kind::Plain);
    assert_eq!(of(Method::GET, Version::HTTP_10, &asks), Kind::Plain);
    assert_eq!(of(Method::GET, Version::HTTP_2, &asks), Kind::Plain);
    assert_eq!(of(Method::GET, Version::HTTP_11, &asks[1..]), Kind::Plain);
    assert_eq!(of(Method::GET, Version::HTTP_11, &[asks[0], ("upgrade", "h2c")]), Kind::Plain);
    let body = [asks[0], asks[1], ("content-length", "3")];
    assert_eq!(of(Method::GET, Version::HTTP_11, &body), Kind::Plain);
    let out = forwarded(&asks, &[]);
    assert_eq!(values(&out, "connection"), ["upgrade"]);
    assert_eq!(values(&out, "upgrade"), ["websocket"]);
}

#[test]
fn our_cookies_stay_with_us() {
    for (lines, left) in [
        (vec!["a=1; b=2"], vec!["a=1; b=2"]),
        (vec!["__Host-mainstay_admin=s"], vec![]),
        (vec!["a=1; __Host-mainstay_admin=s; b=2"], vec!["a=1; b=2"]),
        (vec!["__HOST-MAINSTAY_admin=s;a=1"], vec!["a=1"]),
        (vec!["a=1", "__Host-mainstay_x=s", "b=2"], vec!["a=1; b=2"]),
        (vec!["a=1", "b=2"], vec!["a=1; b=2"]),
        (vec!["a=__Host-mainstay_admin"], vec!["a=__Host-mainstay_admin"]),
        (vec!["x__Host-mainstay_a=1"], vec!["x__Host-mainstay_a=1"]),
    ] {
        let sent: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        assert_eq!(values(&forwarded(&sent, &[]), "cookie"), left, "{lines:?}");
    }
}

#[test]
fn an_upstream_sets_no_cookie_of_ours_and_names_no_make() {
    let mut answer = headers(&[
        ("set-cookie", "__Host-mainstay_admin=forged; Path=/"),
        ("set-cookie", "a=1"),
        ("set-cookie", " __host-Mainstay_x=1"),
        ("server", "Express"),
        ("x-powered-by", "Next.js"),
        ("etag", "\"1\""),
    ]);
    answer_headers(&mut answer);
    assert_eq!(values(&answer, "set-cookie"), ["a=1"]);
    assert_eq!(answer.len(), 2);
}

fn framed(status: u16, lines: &[(&str, &str)]) -> Result<(Option<u64>, HeaderMap), &'static str> {
    let (mut parts, ()) = Response::builder().status(status).body(()).unwrap().into_parts();
    parts.headers = headers(lines);
    let kept = connection_headers(&mut parts).map_err(|BadFraming(what)| what)?;
    Ok((kept, parts.headers))
}

#[test]
fn answers_tell_their_length_once() {
    let (length, chunked) = (("content-length", "3"), ("transfer-encoding", "chunked"));
    assert!(framed(200, &[length]).is_ok());
    assert!(framed(200, &[chunked]).is_ok());
    for bad in [
        vec![length, chunked],
        vec![length, length],
        vec![length, ("content-length", "4")],
        vec![("content-length", "3, 3")],
        vec![("content-length", "+3")],
        vec![("content-length", "")],
        vec![("content-length", "0x3")],
        vec![chunked, chunked],
        vec![("transfer-encoding", "gzip, chunked")],
        vec![("transfer-encoding", "chunked, gzip")],
        vec![("transfer-encoding", "identity")],
        vec![("transfer-encoding", "xchunked")],
    ] {
        assert!(framed(200, &bad).is_err(), "{bad:?}");
    }
}

#[test]
fn what_concerned_our_connection_does_not_reach_the_client() {
    let (kept, left) = framed(
        200,
        &[
            ("connection", "keep-alive, x-hop"),
            ("keep-alive", "timeout=5, max=100"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("proxy-authenticate", "Basic"),
            ("upgrade", "h2c"),
            ("trailer", "x-sum"),
            ("etag", "\"1\""),
        ],
    )
    .unwrap();
    assert_eq!(kept, Some(5));
    let left: Vec<_> = left.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["trailer", "etag"]);
    assert!(framed(204, &[("content-length", "5")]).unwrap().1.is_empty());
}

#[test]
fn a_trailer_is_announced_only_where_it_would_pass_as_a_header() {
    let lines = ["X-Sum, x-forwarded-for", "Host, cookie, X-Other,x_real_ip, Content-Length"];
    let sent: Vec<_> = lines.iter().map(|line| ("trailer", *line)).collect();
    assert_eq!(values(&forwarded(&sent, &[]), "trailer"), ["x-sum", "x-other"]);
    assert!(values(&forwarded(&[("trailer", "Host")], &[]), "trailer").is_empty());
}
