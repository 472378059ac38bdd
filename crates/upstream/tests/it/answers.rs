//! Answers of every shape, and those that are none.

use http::{Method, StatusCode, Version};
use mainstay_testkit::Upstream;
use mainstay_upstream::{Error, RequestBody};

use crate::stage::{Stage, request, text, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn an_answer_comes_whole_and_its_connection_serves_again() {
    let app = Upstream::answering(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
         Set-Cookie: __Host-mainstay_admin=forged\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\nhello",
    );
    let stage = Stage::new(&[app.address]);
    for n in 0..5 {
        let exchange = stage.get("/page?x=1").await.unwrap();
        assert_eq!(exchange.timing.connect.is_some(), n == 0);
        assert_eq!(exchange.response.version(), Version::HTTP_11);
        let names: Vec<_> = exchange.response.headers().keys().map(|n| n.as_str()).collect();
        assert_eq!(names, ["etag", "content-length"]);
        assert_eq!(stage.upstreams.status()[0].in_flight, 1);
        assert_eq!(text(exchange).await.unwrap(), "hello");
        assert_eq!(stage.upstreams.status()[0].in_flight, 0);
    }
    assert_eq!(app.connections(), 1);
    let heard = &app.requests()[0];
    assert_eq!((heard.method.as_str(), heard.target.as_str()), ("GET", "/page?x=1"));
    assert_eq!(heard.header("host"), Some("shop.example"));
    assert_eq!(stage.total("mainstay_upstream_requests_total"), 5.0);
    assert_eq!(stage.total("mainstay_upstream_connections_total"), 1.0);
}

#[tokio::test]
async fn chunks_and_trailers_come_through() {
    let app = Upstream::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         3\r\nfoo\r\n4;ext=1\r\nbarr\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    let stage = Stage::new(&[app.address]);
    for _ in 0..2 {
        let exchange = stage.get("/").await.unwrap();
        assert!(!exchange.response.headers().contains_key("transfer-encoding"));
        let (text, trailers) = crate::stage::read(exchange.response.into_body()).await.unwrap();
        assert_eq!(text, "foobarr");
        assert_eq!(trailers["x-sum"], "7");
    }
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_step() {
    for (method, answer, length) in [
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", Some("99")),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        (Method::GET, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", None),
        (
            Method::GET,
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"1\"\r\n\r\n",
            Some("99"),
        ),
        (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some("0")),
    ] {
        let app = Upstream::answering(answer);
        let stage = Stage::new(&[app.address]);
        for _ in 0..3 {
            let asked = request(method.clone(), "/", RequestBody::empty());
            let exchange = stage.connections.send(asked).await.unwrap();
            let told = exchange.response.headers().get("content-length");
            assert_eq!(told.map(|v| v.to_str().unwrap()), length, "{answer}");
            assert_eq!(text(exchange).await.unwrap(), "", "{answer}");
        }
        assert_eq!(app.connections(), 1, "{answer}");
    }
}

#[tokio::test]
async fn http_1_0_without_a_length_ends_with_the_connection() {
    let app = Upstream::start(|wire| {
        wire.read_request()?;
        wire.write("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold but gold")
    });
    let stage = Stage::new(&[app.address]);
    for _ in 0..2 {
        assert_eq!(stage.text_of("/").await, "old but gold");
    }
    assert_eq!(app.connections(), 2);
}

#[tokio::test]
async fn interim_answers_are_not_the_answer() {
    let app = Upstream::answering(format!(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n{OK}"
    ));
    let stage = Stage::new(&[app.address]);
    let exchange = stage.get("/").await.unwrap();
    assert_eq!(exchange.response.status(), StatusCode::OK);
    assert_eq!(text(exchange).await.unwrap(), "hello");
}

#[tokio::test]
async fn what_is_no_valid_answer_is_refused() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70 << 10));
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        &long,
    ] {
        let app = Upstream::answering(answer);
        let stage = Stage::new(&[app.address]);
        let error = stage.get("/").await.unwrap_err();
        let shown = &answer[..answer.len().min(80)];
        assert!(matches!(error, Error::BadAnswer { upstream: 0, .. }), "{shown:?}: {error:?}");
        assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(app.requests().len(), 1, "{shown:?}: repeated although an answer began");
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_never_answer_the_next_request() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for answer in [
        format!("HTTP/1.1 204 No Content\r\n\r\n{poison}"),
        format!("HTTP/1.1 304 Not Modified\r\n\r\n{poison}"),
        format!("{OK}{poison}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{poison}"),
    ] {
        let first = answer.clone();
        let app = Upstream::start(move |wire| {
            while wire.read_request()?.is_some() {
                wire.write(if wire.number() == 0 { first.as_str() } else { OK })?;
            }
            Ok(())
        });
        let stage = Stage::new(&[app.address]);
        assert_ne!(stage.text_of("/").await, "poison", "{answer}");
        assert_eq!(stage.text_of("/").await, "hello", "{answer}");
        assert_eq!(app.connections(), 2, "{answer}");
    }
}

#[tokio::test]
async fn a_broken_body_is_an_error_and_not_a_short_body() {
    for (answer, begins) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "hel"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "hello"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nx\r\n0\r\n\r\n",
            "hello",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n", "hello"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", ""),
    ] {
        let app = Upstream::start(move |wire| {
            wire.read_request()?;
            wire.write(answer)
        });
        let stage = Stage::new(&[app.address]);
        let exchange = stage.get("/").await.unwrap();
        let mut body = exchange.response.into_body();
        let mut seen = String::new();
        let ended = loop {
            match http_body_util::BodyExt::frame(&mut body).await {
                Some(Ok(frame)) => {
                    seen.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
                }
                Some(Err(_)) => break "broken",
                None => break "complete",
            }
        };
        assert_eq!((seen.as_str(), ended), (begins, "broken"), "{answer:?}");
        assert_eq!(stage.total("mainstay_upstream_broken_answers_total"), 1.0);
        assert_eq!(stage.upstreams.status()[0].in_flight, 0);
    }
}

#[tokio::test]
async fn whoever_gives_up_closes_the_connection() {
    let app = Upstream::start(|wire| {
        wire.read_request()?;
        if wire.number() == 1 {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst")?;
        }
        // Ends when our side closes.
        wire.read_to_end()?;
        wire.record(&mainstay_testkit::Heard { method: "CLOSED".into(), ..Default::default() });
        Ok(())
    });
    let stage = Stage::new(&[app.address]);
    let closed = || app.requests().iter().filter(|heard| heard.method == "CLOSED").count();
    // Before the answer.
    let sending = tokio::time::timeout(std::time::Duration::from_millis(100), stage.get("/"));
    assert!(sending.await.is_err());
    until("the connection of a request given up", || closed() == 1).await;
    // In the middle of its body.
    let exchange = stage.get("/").await.unwrap();
    drop(exchange);
    until("the connection of a body given up", || closed() == 2).await;
    assert_eq!(stage.upstreams.status()[0].in_flight, 0);
}
