//! WebSocket: the switch, the tunnel, and who must not get one.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use mainstay_testkit::Upstream;
use mainstay_upstream::{Ended, Error, RequestBody, tunnel};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::stage::{LONG, Stage, text};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: abc\r\n\r\n";

fn asking() -> Request<RequestBody> {
    let request = Request::builder().method(Method::GET).uri("/ws").header("host", "shop.example");
    let request = request.header("connection", "upgrade").header("upgrade", "websocket");
    request.header("sec-websocket-key", "a2V5").body(RequestBody::empty()).unwrap()
}

/// Switches, greets at once, then returns what it gets in capitals.
fn shouting() -> Upstream {
    Upstream::start(|wire| {
        let heard = wire.read_request()?.unwrap();
        assert_eq!(heard.header("upgrade"), Some("websocket"));
        assert_eq!(heard.header("connection"), Some("upgrade"));
        wire.write(format!("{SWITCH}hi"))?;
        loop {
            let bytes = wire.read_exactly(4)?;
            wire.write(bytes.to_ascii_uppercase())?;
        }
    })
}

#[tokio::test]
async fn bytes_pass_both_ways_after_the_switch() {
    let app = shouting();
    let stage = Stage::new(&[app.address]);
    let exchange = stage.connections.send(asking()).await.unwrap();
    assert!(exchange.is_upgrade());
    let (head, upstream) = exchange.upgrade().await.unwrap();
    assert_eq!(head.status, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(head.headers["sec-websocket-accept"], "abc");
    assert_eq!(head.headers["upgrade"], "websocket");
    assert_eq!(stage.upstreams.status()[0].in_flight, 1);
    let (mut client, ours) = duplex(1024);
    let talk = async move {
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"hi");
        for word in [b"ping", b"pong"] {
            client.write_all(word).await.unwrap();
            let mut echo = [0; 4];
            client.read_exact(&mut echo).await.unwrap();
            assert_eq!(echo.to_ascii_lowercase(), word);
        }
    };
    let (passed, ()) = tokio::join!(tunnel(ours, upstream, LONG), talk);
    assert_eq!((passed.sent, passed.received, passed.ended), (8, 10, Ended::Closed));
    assert_eq!(stage.upstreams.status()[0].in_flight, 0);
}

#[tokio::test]
async fn tunnels_take_no_place_away_from_requests() {
    let app = Upstream::start(|wire| {
        while let Some(heard) = wire.read_request()? {
            if heard.target == "/ws" {
                wire.write(SWITCH)?;
                return wire.read_to_end().map(drop);
            }
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        Ok(())
    });
    let stage = Stage::with(&[app.address], |settings| {
        settings.in_flight_max = 1;
        settings.fail_after = 1;
    });
    let mut tunnels = Vec::new();
    for _ in 0..3 {
        let exchange = stage.connections.send(asking()).await.unwrap();
        tunnels.push(exchange.upgrade().await.unwrap());
    }
    assert_eq!(stage.upstreams.status()[0].in_flight, 3);
    assert_eq!(stage.text_of("/").await, "ok");
    drop(tunnels);
    assert_eq!(stage.upstreams.status()[0].in_flight, 0);
}

#[tokio::test]
async fn a_silent_tunnel_ends() {
    let app = shouting();
    let stage = Stage::new(&[app.address]);
    let exchange = stage.connections.send(asking()).await.unwrap();
    let (_, upstream) = exchange.upgrade().await.unwrap();
    let (_client, ours) = duplex(1024);
    let passed =
        tokio::time::timeout(LONG, tunnel(ours, upstream, Duration::from_millis(50))).await;
    assert_eq!(passed.unwrap().ended, Ended::Idle);
}

#[tokio::test]
async fn a_refused_switch_is_an_answer_like_any_other() {
    let app = Upstream::answering("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
    let stage = Stage::new(&[app.address]);
    let exchange = stage.connections.send(asking()).await.unwrap();
    assert!(!exchange.is_upgrade());
    assert_eq!(text(exchange).await.unwrap(), "no");
    let exchange = stage.connections.send(asking()).await.unwrap();
    assert!(matches!(exchange.upgrade().await, Err(Error::BadAnswer { .. })));
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn a_switch_to_something_else_is_refused() {
    let app = Upstream::answering(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    );
    let stage = Stage::new(&[app.address]);
    let error = stage.connections.send(asking()).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer { .. }), "{error:?}");
}
