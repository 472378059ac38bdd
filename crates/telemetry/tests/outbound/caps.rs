//! What an allowed server may do to the client: send much, send slowly, send on, show another's certificate.

use std::io::Write;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::HeaderValue;
use mainstay_telemetry::outbound::{
    Answer, Client, Error, Excess, Limits, Phase, Policy, Purpose, Request, Resolver,
};
use mainstay_testkit::{Authority, Upstream};

use crate::{client, ours, runtime};

pub(crate) const SHORT: Limits = Limits {
    total: Duration::from_millis(400),
    connect: Duration::from_millis(200),
    body_bytes_max: 64 << 10,
    excess: Excess::Refused,
    redirects_max: 3,
};

/// Every name is this machine.
pub(crate) fn here() -> Resolver {
    Resolver::table(|_| Ok(vec![IpAddr::from([127, 0, 0, 1])]))
}

pub(crate) fn send(client: &Client, request: Request) -> Result<Answer, Error> {
    runtime().block_on(client.send(request))
}

fn get(client: &Client, url: &str) -> Result<Answer, Error> {
    let request = Request::get(Purpose::Scan, ours(url), url);
    send(client, Request { limits: SHORT, ..request })
}

fn get_from(server: &Upstream) -> Result<Answer, Error> {
    let (client, _) = client(here(), &Authority::new());
    get(&client, &format!("http://site.example:{}/", server.address.port()))
}

pub(crate) fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn an_answer_is_read_whole_and_decoded() {
    let server = Upstream::answering(answer("Content-Encoding: gzip\r\n", &gzip(b"hello")));
    let answer = get_from(&server).expect("an answer");
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"hello"[..]));
    assert_eq!(answer.address, server.address);
    let heard = &server.requests()[0];
    let host = format!("site.example:{}", server.address.port());
    assert_eq!(heard.header("host"), Some(host.as_str()));
    assert_eq!(heard.header("accept-encoding"), Some("gzip"));
    assert!(heard.header("user-agent").is_some_and(|name| name.starts_with("Mainstay/")));
}

#[test]
fn a_body_over_the_limit_is_none_however_it_is_packed() {
    let max = SHORT.body_bytes_max;
    let whole = vec![b'a'; max];
    let over = vec![b'a'; max + 1];
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < max, "{}", bomb.len());
    let chunked = |body: &[u8]| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        [format!("{head}{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
    };
    let until_close =
        |body: &[u8]| [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", body].concat();
    let gzipped = "Content-Encoding: gzip\r\n";
    for (what, bytes, is_read) in [
        ("as long as it may be", answer("", &whole), true),
        ("one byte more", answer("", &over), false),
        ("chunks", chunked(&whole), true),
        ("chunks, one byte more", chunked(&over), false),
        ("until the end", until_close(&over), false),
        ("packed", answer(gzipped, &gzip(&whole)), true),
        ("packed, one byte more", answer(gzipped, &gzip(&over)), false),
        ("a bomb", answer(gzipped, &bomb), false),
        ("nothing, packed again and again", answer(gzipped, &gzip(b"").repeat(max / 8)), false),
        ("two bombs", answer(gzipped, &[bomb.clone(), bomb.clone()].concat()), false),
    ] {
        let server = Upstream::start(move |wire| {
            wire.read_request()?;
            wire.write(&bytes)
        });
        match get_from(&server) {
            Ok(answer) => assert!(is_read && answer.body.len() == max, "{what}: read"),
            Err(Error::TooLarge { max: told }) => assert!(!is_read && told == max, "{what}"),
            Err(error) => panic!("{what}: {error}: {error:?}"),
        }
    }
}

#[test]
fn what_cannot_be_decoded_is_no_answer() {
    let truncated = gzip(&[7; 4_000]);
    for (what, headers, body) in [
        ("another coding", "Content-Encoding: br\r\n", b"x".to_vec()),
        ("two codings", "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", b"x".to_vec()),
        ("a list", "Content-Encoding: gzip, gzip\r\n", b"x".to_vec()),
        ("no gzip", "Content-Encoding: gzip\r\n", b"hello, I am plain text".to_vec()),
        ("half of it", "Content-Encoding: gzip\r\n", truncated[..truncated.len() / 2].to_vec()),
    ] {
        let server = Upstream::answering(answer(headers, &body));
        let error = get_from(&server).map(|answer| answer.body).expect_err(what);
        assert!(matches!(error, Error::Encoding), "{what}: {error:?}");
    }
}

#[test]
fn a_server_that_takes_its_time_is_left_in_time() {
    let silent = Upstream::start(|wire| wire.read_to_end().map(drop));
    let dripping = Upstream::start(|wire| {
        wire.read_request()?;
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
        // A byte whenever the client would begin to wait anew.
        while wire.write("x").is_ok() {
            std::thread::park_timeout(SHORT.total / 10);
        }
        Ok(())
    });
    // Its head never ends, and every line of it is a sign of life.
    let talkative = Upstream::start(|wire| {
        wire.read_request()?;
        wire.write("HTTP/1.1 200 OK\r\n")?;
        while wire.write("X: y\r\n").is_ok() {
            std::thread::park_timeout(SHORT.total / 10);
        }
        Ok(())
    });
    for (what, server) in [("silent", silent), ("dripping", dripping), ("talkative", talkative)] {
        let began = Instant::now();
        let error = get_from(&server).map(|answer| answer.body).expect_err(what);
        let took = began.elapsed();
        assert!(matches!(error, Error::Timeout(Phase::Answer)), "{what}: {error:?}");
        assert!(took >= SHORT.total, "{what}: {took:?}");
    }
}

#[test]
fn a_head_without_end_is_no_answer() {
    let server = Upstream::start(|wire| {
        wire.read_request()?;
        wire.write("HTTP/1.1 200 OK\r\n")?;
        wire.write(format!("X: {}\r\n\r\n", "y".repeat(1 << 20)))
    });
    let error = get_from(&server).map(|answer| answer.headers).expect_err("too much");
    assert!(matches!(error, Error::Answer(_)), "{error:?}");
}

/// What a caller may say: everything but the first two is a secret, or goes with the body.
const SAID: &[(&str, &str)] = &[
    ("accept", "application/json"),
    ("accept-language", "en"),
    ("authorization", "Bearer secret"),
    ("cookie", "a=b"),
    ("x-api-key", "secret"),
    ("x-hub-signature-256", "sha256=00"),
    ("idempotency-key", "7"),
    ("x-whatever", "secret"),
];

#[test]
fn what_is_said_of_a_body_goes_with_it_and_the_rest_stays_within_the_origin() {
    let (client, _) = client(here(), &Authority::new());
    let server = Upstream::start(|wire| {
        let Some(heard) = wire.read_request()? else { return Ok(()) };
        wire.write(match heard.method.as_str() {
            "POST" => "HTTP/1.1 303 x\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n",
            _ => "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n",
        })
    });
    let url = format!("http://site.example:{}/", server.address.port());
    let form = HeaderValue::from_static("application/json");
    let mut request =
        Request::post(Purpose::Webhook, ours(&url), &url, form, Bytes::from_static(b"{}"));
    let of_body = ["content-encoding", "content-language", "content-digest", "x-hub-signature-256"];
    for name in of_body {
        request.headers.insert(name, HeaderValue::from_static("x"));
    }
    request.headers.insert("x-api-key", HeaderValue::from_static("secret"));
    assert_eq!(send(&client, request).expect("an answer").status.as_u16(), 200);
    let heard = server.requests();
    let there = heard.get(1).expect("a second request");
    assert_eq!((there.method.as_str(), there.header("x-api-key")), ("GET", Some("secret")));
    for name in of_body.into_iter().chain(["content-type"]) {
        assert!(heard[0].header(name).is_some() && there.header(name).is_none(), "{name}");
    }
}

#[test]
fn what_says_who_asks_stays_with_the_origin_it_was_meant_for() {
    let other = Upstream::answering(answer("", b"other"));
    let to = format!("http://other.example:{}/", other.address.port());
    let redirect =
        |status: u16| format!("HTTP/1.1 {status} x\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let (client, _) = client(here(), &Authority::new());
    let both = |first: &str| {
        let origin =
            |url: &str| mainstay_telemetry::outbound::Origin::of(&url.parse().expect("a URL"));
        Policy::ours([first, &to].into_iter().filter_map(origin))
    };
    let ask = |status: u16, is_post: bool| {
        let first = Upstream::answering(redirect(status));
        let url = format!("http://first.example:{}/", first.address.port());
        let form = HeaderValue::from_static("application/json");
        let said = |request: &mut Request| {
            for (name, value) in SAID {
                request.headers.insert(*name, HeaderValue::from_static(value));
            }
        };
        let mut request = match is_post {
            true => Request::post(Purpose::Webhook, both(&url), &url, form, Bytes::from("{}")),
            false => Request::get(Purpose::Webhook, both(&url), &url),
        };
        said(&mut request);
        let answer = send(&client, request);
        let heard = &first.requests()[0];
        for (name, value) in SAID {
            assert_eq!(heard.header(name), Some(*value), "{name}");
        }
        answer.map(|answer| answer.hops.len())
    };
    assert_eq!(ask(302, false).expect("an answer"), 1);
    assert_eq!(ask(303, true).expect("an answer"), 1);
    let heard = other.requests();
    for request in &heard {
        assert_eq!(request.method.as_str(), "GET");
        assert!(request.body.is_empty() && request.header("content-type").is_none());
        let gone = SAID.iter().filter(|(name, _)| !name.starts_with("accept"));
        for (name, _) in gone {
            assert_eq!(request.header(name), None, "{name}");
        }
        assert_eq!(request.header("accept-language"), Some("en"));
    }
    assert_eq!(heard.len(), 2);
    let rule = ask(307, true).expect_err("a body for somebody else").rule();
    assert_eq!(rule.map(|rule| rule.as_str()), Some("redirect of a body to another origin"));
    assert_eq!(other.requests().len(), 2);
}

#[test]
fn without_redirects_the_redirect_is_the_answer() {
    let server = Upstream::answering("HTTP/1.1 302 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    let (client, _) = client(here(), &Authority::new());
    let url = format!("http://site.example:{}/", server.address.port());
    let mut request = Request::get(Purpose::Scan, ours(&url), &url);
    request.limits.redirects_max = 0;
    let answer = send(&client, request).expect("an answer");
    assert_eq!((answer.status.as_u16(), server.requests().len()), (302, 1));
}

#[test]
fn a_name_that_leads_to_several_addresses_is_asked_at_the_first_that_answers() {
    let server = Upstream::answering(answer("", b"hello"));
    let resolver = Resolver::table(|_| {
        Ok(vec!["::1".parse().expect("an address"), IpAddr::from([127, 0, 0, 1])])
    });
    let (client, registry) = client(resolver, &Authority::new());
    let url = format!("http://site.example:{}/", server.address.port());
    assert_eq!(get(&client, &url).expect("an answer").address, server.address);
    let nowhere = format!("http://site.example:{}/", mainstay_testkit::free_port());
    let error = get(&client, &nowhere).map(|answer| answer.address).expect_err("nobody there");
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    let text = registry.encode_text();
    for outcome in ["answered", "connect_failed"] {
        let name = "mainstay_outbound_requests_total";
        let row = format!("{name}{{purpose=\"scan\",outcome=\"{outcome}\"}} 1");
        assert!(text.contains(&row), "{row}: {text}");
    }
    assert!(text.contains("mainstay_outbound_request_seconds_count{purpose=\"scan\"} 2"), "{text}");
}
