//! Bodies on their way to an upstream: lengths, chunks, trailers, early answers, `100 Continue`.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body::Frame;
use mainstay_testkit::{Heard, Upstream};
use mainstay_upstream::{Error, RequestBody};

use crate::stage::{LONG, Stage, ms, piece, piecewise, request, text, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const TOO_LARGE: &str = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much";

#[tokio::test]
async fn the_body_alone_decides_its_framing() {
    let app = Upstream::answering(OK);
    let stage = Stage::new(&[app.address]);
    let lies =
        [("content-length", "99"), ("transfer-encoding", "chunked"), ("content-length", "3")];
    let with_lies = |method, body| {
        let mut asked = request(method, "/", body);
        for (name, value) in lies {
            asked.headers_mut().append(name, value.parse().unwrap());
        }
        asked
    };
    let chunked = || {
        let (pieces, body) = piecewise();
        pieces.send(piece("from a ")).unwrap();
        pieces.send(piece("stream")).unwrap();
        body
    };
    for (method, body, length, coding, text) in [
        (Method::GET, RequestBody::empty(), None, None, ""),
        (Method::POST, RequestBody::empty(), Some("0"), None, ""),
        (Method::DELETE, RequestBody::empty(), None, None, ""),
        (Method::POST, RequestBody::whole(Bytes::from("whole")), Some("5"), None, "whole"),
        (Method::POST, chunked(), None, Some("chunked"), "from a stream"),
        (Method::GET, chunked(), None, Some("chunked"), "from a stream"),
    ] {
        let exchange = stage.connections.send(with_lies(method.clone(), body)).await.unwrap();
        assert_eq!(self::text(exchange).await.unwrap(), "ok");
        let heard = app.requests().pop().unwrap();
        assert_eq!(heard.method, method.as_str());
        assert_eq!(heard.header("content-length"), length, "{method}");
        assert_eq!(heard.header("transfer-encoding"), coding, "{method}");
        assert_eq!(String::from_utf8_lossy(&heard.body), text, "{method}");
    }
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn time_that_a_sender_takes_for_its_body_is_not_the_apps() {
    let app = Upstream::answering(OK);
    let stage = Stage::new(&[app.address]);
    let (pieces, body) = piecewise();
    let began = Instant::now();
    let drip = async {
        for word in ["drop ", "by ", "drop"] {
            let pause = Instant::now();
            until("a pause", || pause.elapsed() > Duration::from_millis(100)).await;
            pieces.send(piece(word)).unwrap();
        }
        drop(pieces);
    };
    let (exchange, ()) = tokio::join!(stage.post("/", body), drip);
    let (timing, took) = (exchange.unwrap().timing, began.elapsed());
    // Each wait begins a little after the pause it waits for.
    assert!(timing.upload > Duration::from_millis(250), "{timing:?}");
    assert!(timing.first_byte < Duration::from_millis(100), "{timing:?}");
    assert!(timing.first_byte + timing.upload <= took, "{timing:?} of {took:?}");
    assert!(stage.upstreams.status()[0].latency < Duration::from_millis(100));
    assert_eq!(app.requests()[0].body, b"drop by drop");
}

#[tokio::test]
async fn time_that_an_app_takes_for_a_body_is_its_own() {
    let app = Upstream::start(|wire| {
        while let Some(mut heard) = wire.read_head()? {
            let begun = std::time::Instant::now();
            while begun.elapsed() < Duration::from_millis(100) {
                std::thread::yield_now();
            }
            wire.read_body(&mut heard)?;
            wire.write(OK)?;
        }
        Ok(())
    });
    let stage = Stage::new(&[app.address]);
    let (pieces, body) = piecewise();
    // More than what lies between the two can hold.
    for _ in 0..200 {
        pieces.send(piece(&"x".repeat(1 << 16))).unwrap();
    }
    drop(pieces);
    let timing = stage.post("/", body).await.unwrap().timing;
    assert!(timing.first_byte >= Duration::from_millis(90), "{timing:?}");
    assert!(timing.upload < Duration::from_millis(50), "{timing:?}");
}

#[tokio::test]
async fn trailers_of_a_request_come_through() {
    let app = Upstream::answering(OK);
    let stage = Stage::new(&[app.address]);
    let (pieces, body) = piecewise();
    pieces.send(piece("data")).unwrap();
    let trailers: HeaderMap =
        [("x-sum".parse().unwrap(), "4".parse().unwrap())].into_iter().collect();
    pieces.send(Ok(Frame::trailers(trailers))).unwrap();
    drop(pieces);
    let mut asked = request(Method::POST, "/", body);
    asked.headers_mut().insert("trailer", "x-sum".parse().unwrap());
    stage.connections.send(asked).await.unwrap();
    assert_eq!(app.requests()[0].trailers, [("x-sum".to_owned(), "4".to_owned())]);
}

#[tokio::test]
async fn both_sides_stream_at_once() {
    let app = Upstream::start(|wire| {
        wire.read_head()?;
        wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        while let Some(chunk) = wire.read_chunk()? {
            wire.write(format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(&chunk)))?;
        }
        wire.write("0\r\n\r\n")
    });
    let stage = Stage::new(&[app.address]);
    let (pieces, body) = piecewise();
    let exchange = stage.post("/", body).await.unwrap();
    let mut answer = exchange.response.into_body();
    for word in ["one", "two", "three"] {
        pieces.send(piece(word)).unwrap();
        let echoed = tokio::time::timeout(LONG, http_body_util::BodyExt::frame(&mut answer)).await;
        let echoed = echoed.unwrap().unwrap().unwrap();
        assert_eq!(echoed.into_data().unwrap(), word);
    }
    drop(pieces);
    assert!(http_body_util::BodyExt::frame(&mut answer).await.is_none());
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_is_the_answer() {
    // With and without closing at once: the first breaks our pipe while bytes are on their way.
    for closes in ["at once", "after us"] {
        let app = Upstream::start(move |wire| {
            wire.read_head()?;
            wire.write(TOO_LARGE)?;
            if closes == "after us" {
                wire.read_to_end()?;
            }
            Ok(())
        });
        let stage = Stage::new(&[app.address]);
        let (pieces, body) = piecewise();
        for _ in 0..64 {
            pieces.send(piece(&"x".repeat(64 << 10))).unwrap();
        }
        let exchange = tokio::time::timeout(LONG, stage.post("/", body)).await.unwrap().unwrap();
        assert_eq!(exchange.response.status(), StatusCode::PAYLOAD_TOO_LARGE, "{closes}");
        assert_eq!(text(exchange).await.unwrap(), "too much", "{closes}");
        // Half a request was sent on it: nothing else may follow.
        until("our side lets go of the body", || pieces.is_closed()).await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_nobodys_fault_but_its_senders() {
    let app = Upstream::start(|wire| {
        let ended =
            if wire.read_request().is_ok_and(|heard| heard.is_some()) { "WHOLE" } else { "CUT" };
        wire.record(&Heard { method: ended.into(), ..Heard::default() });
        Ok(())
    });
    let stage = Stage::with(&[app.address], |settings| settings.fail_after = 1);
    let (pieces, body) = piecewise();
    pieces.send(piece("begin")).unwrap();
    pieces.send(Err(io::ErrorKind::ConnectionReset.into())).unwrap();
    let error = stage.post("/", body).await.unwrap_err();
    assert!(matches!(error, Error::Request), "{error:?}");
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    assert_eq!(stage.upstreams.status()[0].errors, 0);
    // What arrived must not look like a whole request.
    until("the upstream sees the end", || !app.requests().is_empty()).await;
    assert_eq!(app.requests()[0].method, "CUT");
}

#[tokio::test]
async fn a_body_waits_until_it_is_asked_for() {
    let app = Upstream::start(|wire| {
        while let Some(mut heard) = wire.read_head()? {
            assert_eq!(heard.header("expect"), Some("100-continue"));
            if heard.target == "/no" {
                wire.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")?;
                heard.body = wire.read_to_end()?;
                wire.record(&heard);
                return Ok(());
            }
            if heard.target == "/yes" {
                wire.write("HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            wire.read_body(&mut heard)?;
            wire.record(&heard);
            wire.write(OK)?;
        }
        Ok(())
    });
    let patient =
        |settings: &mut mainstay_upstream::Settings| settings.continue_timeout = ms(60_000);
    let stage = Stage::with(&[app.address], patient);
    let body = || RequestBody::whole(Bytes::from("body")).when_asked_for();
    let yes = tokio::time::timeout(LONG, stage.post("/yes", body())).await.unwrap().unwrap();
    assert_eq!(text(yes).await.unwrap(), "ok");
    assert_eq!(app.requests()[0].body, b"body");
    let no = tokio::time::timeout(LONG, stage.post("/no", body())).await.unwrap().unwrap();
    assert_eq!(no.response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(text(no).await.unwrap(), "no");
    until("the connection ends", || app.requests().len() == 2).await;
    assert_eq!(app.requests()[1].body, b"", "a body was sent unasked");
    // Nobody waits for ever.
    let stage = Stage::with(&[app.address], |settings| settings.continue_timeout = ms(50));
    let silent = tokio::time::timeout(LONG, stage.post("/silent", body())).await.unwrap().unwrap();
    assert_eq!(text(silent).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_slow_sender_is_not_the_upstreams_fault() {
    let app = Upstream::answering(OK);
    let stage = Stage::with(&[app.address], |settings| settings.answer_timeout = ms(80));
    let (pieces, body) = piecewise();
    let feed = async move {
        for _ in 0..3 {
            pieces.send(piece("slow ")).unwrap();
            // Time itself is tried here: each pause is far above `answer_timeout`.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let (exchange, ()) = tokio::join!(stage.post("/", body), feed);
    assert_eq!(text(exchange.unwrap()).await.unwrap(), "ok");
    assert_eq!(app.requests()[0].body.len(), 15);
}
