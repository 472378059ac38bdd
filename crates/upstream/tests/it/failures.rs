//! Dead connections, silence, refusals: what is repeated, what is told, how long it takes.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use mainstay_testkit::{Upstream, free_port};
use mainstay_upstream::{Error, Phase, RequestBody, State, Target};

use crate::stage::{LONG, Stage, ms, plan, request, text, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers the first request of each connection, and closes when it has read a second one.
fn closes_on_second() -> Upstream {
    Upstream::start(|wire| {
        wire.read_request()?;
        wire.write(OK)?;
        wire.read_request().map(drop)
    })
}

fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

#[tokio::test]
async fn a_request_on_a_dead_connection_is_repeated_only_where_that_is_safe() {
    for (method, body, repeated) in [
        (Method::GET, RequestBody::empty(), true),
        (Method::HEAD, RequestBody::empty(), true),
        (Method::DELETE, RequestBody::empty(), true),
        (Method::POST, RequestBody::empty(), false),
        (Method::PATCH, RequestBody::empty(), false),
        (Method::POST, RequestBody::whole(Bytes::from("x")), false),
        (Method::PUT, RequestBody::whole(Bytes::from("x")), false),
    ] {
        let app = closes_on_second();
        let stage = Stage::new(&[app.address]);
        assert_eq!(stage.text_of("/first").await, "ok");
        let outcome = stage.connections.send(request(method.clone(), "/second", body)).await;
        let count = app.requests().iter().filter(|heard| heard.target == "/second").count();
        assert_eq!(count, if repeated { 2 } else { 1 }, "{method}");
        assert_eq!(stage.total("mainstay_upstream_retries_total"), f64::from(u8::from(repeated)));
        match outcome {
            Ok(exchange) => assert!(repeated && exchange.timing.connect.is_some(), "{method}"),
            Err(error) => {
                assert!(!repeated && matches!(error, Error::Closed { .. }), "{method}: {error:?}");
                assert_eq!((error.status(), error.retryable()), (StatusCode::BAD_GATEWAY, false));
            }
        }
    }
}

#[tokio::test]
async fn a_request_lost_with_a_kept_connection_says_nothing_about_the_upstream() {
    let app = closes_on_second();
    let stage = Stage::with(&[app.address], |settings| settings.fail_after = 1);
    assert_eq!(stage.text_of("/first").await, "ok");
    assert!(stage.post("/second", RequestBody::empty()).await.is_err());
    let status = &stage.upstreams.status()[0];
    assert_eq!((status.requests, status.errors, status.state), (2, 1, State::Healthy));
}

#[tokio::test]
async fn a_request_is_repeated_once_and_not_for_ever() {
    let app = Upstream::start(|wire| wire.read_request().map(drop));
    let stage = Stage::new(&[app.address]);
    let error = stage.get("/").await.unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error:?}");
    assert_eq!(app.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_that_began_is_not_asked_for_again() {
    let app = Upstream::start(|wire| {
        wire.read_request()?;
        wire.write("HTTP/1.1 200 OK\r\nContent-Le")
    });
    let stage = Stage::new(&[app.address]);
    let error = stage.get("/").await.unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error:?}");
    assert_eq!(app.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_closed_while_unused_serves_no_request() {
    let app = Upstream::answering(OK);
    let stage = Stage::new(&[app.address]);
    assert_eq!(stage.text_of("/").await, "ok");
    app.hang_up();
    // The runtime looks at its sockets once: the end is there already.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    let body = RequestBody::whole(Bytes::from("x"));
    let exchange = stage.post("/", body).await.unwrap();
    assert_eq!(text(exchange).await.unwrap(), "ok");
    assert_eq!((app.connections(), app.requests().len()), (2, 2));
}

#[tokio::test]
async fn where_nobody_listens_the_next_one_is_asked() {
    let app = Upstream::answering(OK);
    let stage = Stage::new(&[nobody(), app.address]);
    for n in 0..6 {
        let body = RequestBody::whole(Bytes::from("x"));
        let exchange = stage.post("/", body).await.unwrap_or_else(|e| panic!("{n}: {e}"));
        assert_eq!(exchange.upstream, 1);
        assert_eq!(text(exchange).await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn where_nobody_listens_at_all_the_error_says_so() {
    let stage = Stage::new(&[nobody()]);
    let error = stage.get("/").await.unwrap_err();
    assert!(matches!(error, Error::Connect { upstream: 0, .. }), "{error:?}");
    assert_eq!((error.status(), error.retryable()), (StatusCode::BAD_GATEWAY, true));
}

#[tokio::test]
async fn silence_before_the_answer_has_an_end() {
    let app = Upstream::start(|wire| {
        wire.read_request()?;
        wire.read_to_end().map(drop)
    });
    let stage = Stage::with(&[app.address], |settings| settings.answer_timeout = ms(60));
    for body in [RequestBody::empty(), RequestBody::whole(Bytes::from("x"))] {
        let answer = tokio::time::timeout(LONG, stage.post("/", body)).await.unwrap();
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::Timeout { phase: Phase::Answer, .. }), "{error:?}");
        assert_eq!((error.status(), error.retryable()), (StatusCode::GATEWAY_TIMEOUT, false));
    }
    assert_eq!(app.requests().len(), 2);
}

#[tokio::test]
async fn silence_in_a_body_has_an_end_and_slowness_is_none() {
    let app = Upstream::start(|wire| {
        let (_sender, never) = std::sync::mpsc::channel::<()>();
        while let Some(heard) = wire.read_request()? {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")?;
            if heard.target == "/silent" {
                wire.write("xxx")?;
                return wire.read_to_end().map(drop);
            }
            // Together longer than the silence that ends a body.
            for _ in 0..8 {
                let _elapsed = never.recv_timeout(Duration::from_millis(150));
                wire.write("x")?;
            }
        }
        Ok(())
    });
    let stage = Stage::with(&[app.address], |settings| settings.body_timeout = ms(1_000));
    assert_eq!(stage.text_of("/slow").await, "xxxxxxxx");
    let error = text(stage.get("/silent").await.unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_handshake_that_never_ends_has_an_end() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut plan = plan(&[], |settings| settings.connect_timeout = ms(60));
    let url = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    plan.targets = vec![Target::parse(&url).unwrap()];
    let ca = crate::tls::Authority::new();
    plan.settings.ca_file = Some(ca.file());
    let stage = Stage::of(plan);
    let error = tokio::time::timeout(LONG, stage.get("/")).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { phase: Phase::Connect, .. }), "{error:?}");
    assert_eq!((error.status(), error.retryable()), (StatusCode::GATEWAY_TIMEOUT, true));
}

#[tokio::test]
async fn connect_is_refused() {
    let stage = Stage::new(&[nobody()]);
    let asked = request(Method::CONNECT, "evil.example:443", RequestBody::empty());
    assert!(matches!(stage.connections.send(asked).await, Err(Error::Method)));
}

#[tokio::test]
async fn an_upstream_killed_and_started_again_fails_no_idempotent_request() {
    let answering = |address| {
        Upstream::start_at(address, |wire| {
            while wire.read_request()?.is_some() {
                wire.write(OK)?;
            }
            Ok(())
        })
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (first, second) = (answering(any), answering(any));
    let stage = Stage::with(&[first.address, second.address], |settings| {
        settings.health_interval = ms(20);
        settings.recover_after = 1;
    });
    stage.upstreams.spawn_checks(&stage.group);
    let load = Load::default();
    let address = first.address;
    let change = async {
        until("load", || load.done.get() > 300).await;
        first.kill();
        let killed_at = load.done.get();
        until("load without it", || load.done.get() > killed_at + 300).await;
        let again = answering(address);
        until("the restarted one gets requests", || again.requests().len() > 100).await;
        load.over.set(true);
        again
    };
    let many = futures_util::future::join_all((0..16).map(|_| load.drive(&stage)));
    let (_, _again) = tokio::join!(many, change);
    assert_eq!(load.failed.get(), 0, "of {}", load.done.get());
    assert!(stage.upstreams.status().iter().all(|status| status.requests > 100));
}

/// Requests one after the other until it is over.
#[derive(Default)]
struct Load {
    done: Cell<u32>,
    failed: Cell<u32>,
    over: Cell<bool>,
}

impl Load {
    async fn drive(&self, stage: &Stage) {
        while !self.over.get() {
            match stage.get("/").await {
                Ok(exchange) => assert_eq!(text(exchange).await.unwrap(), "ok"),
                Err(_) => self.failed.set(self.failed.get() + 1),
            }
            self.done.set(self.done.get() + 1);
        }
    }
}
