//! Certificates: the right one is believed, every other is not, and what was shown is told either way.

use std::net::IpAddr;

use mainstay_telemetry::outbound::{Answer, Error, Phase, Purpose, Request, Resolver};
use mainstay_testkit::{Answerer, Authority, Pair, Upstream};

use crate::{client, ours, runtime};

fn hello(_: &str) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()
}

/// Asks a server that shows this certificate for a name, believing an authority.
fn ask(pair: &Pair, host: &str, believed: &Authority) -> Result<Answer, Error> {
    let server = Answerer::secure(pair, hello);
    let here = Resolver::table(|_| Ok(vec![IpAddr::from([127, 0, 0, 1])]));
    let (client, _) = client(here, believed);
    let url = format!("https://{host}:{}/", server.address.port());
    runtime().block_on(client.send(Request::get(Purpose::Scan, ours(&url), &url)))
}

#[test]
fn the_right_certificate_is_believed_and_told() {
    let authority = Authority::new();
    let pair = authority.issue(&["site.example", "127.0.0.1"]);
    for host in ["site.example", "SITE.example", "site.example.", "127.0.0.1"] {
        let answer =
            ask(&pair, host, &authority).unwrap_or_else(|error| panic!("{host}: {error:?}"));
        let secured = answer.secured.expect("by TLS");
        assert_eq!((&*answer.body, &*secured.version), (&b"hello"[..], "TLSv1_3"), "{host}");
        assert_eq!(secured.chain.len(), 1, "{host}");
    }
}

#[test]
fn any_other_certificate_is_refused_and_told() {
    let (authority, other) = (Authority::new(), Authority::new());
    let old = mainstay_testkit::day(2020, 1, 1);
    for (what, pair) in [
        ("another name", authority.issue(&["other.example"])),
        ("another authority", other.issue(&["site.example"])),
        ("over", authority.issue_until(&["site.example"], old)),
    ] {
        match ask(&pair, "site.example", &authority) {
            Err(Error::Tls { chain, .. }) => assert_eq!(chain.len(), 1, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn a_server_that_speaks_no_tls_is_left_in_time() {
    let plain = Upstream::answering("HTTP/1.1 400 x\r\nContent-Length: 0\r\n\r\n");
    let silent = Upstream::start(|wire| wire.read_to_end().map(drop));
    let here = Resolver::table(|_| Ok(vec![IpAddr::from([127, 0, 0, 1])]));
    let (client, _) = client(here, &Authority::new());
    let ask = |server: &Upstream| {
        let url = format!("https://site.example:{}/", server.address.port());
        let mut request = Request::get(Purpose::Scan, ours(&url), &url);
        request.limits.connect = std::time::Duration::from_millis(300);
        runtime().block_on(client.send(request)).map(|answer| answer.status)
    };
    let error = ask(&plain).expect_err("no TLS");
    assert!(matches!(&error, Error::Tls { chain, .. } if chain.is_empty()), "{error:?}");
    let error = ask(&silent).expect_err("no TLS");
    assert!(matches!(error, Error::Timeout(Phase::Connect)), "{error:?}");
}
