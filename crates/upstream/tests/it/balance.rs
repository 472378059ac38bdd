//! Who is asked: least in hand, bounds, failing and recovering, draining.

use bytes::Bytes;
use http::StatusCode;
use mainstay_testkit::Upstream;
use mainstay_upstream::{Error, RequestBody, State};

use crate::stage::{Stage, ms, text, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers everything but `/hold`, which it keeps waiting in its body until the client leaves.
fn holding() -> Upstream {
    Upstream::start(|wire| {
        while let Some(heard) = wire.read_request()? {
            if heard.target == "/hold" {
                wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")?;
                return wire.read_to_end().map(drop);
            }
            wire.write(OK)?;
        }
        Ok(())
    })
}

#[tokio::test]
async fn the_one_with_the_least_in_hand_is_asked() {
    let apps = [holding(), holding(), holding()];
    let stage = Stage::new(&apps.each_ref().map(|app| app.address));
    let held = [stage.get("/hold").await.unwrap(), stage.get("/hold").await.unwrap()];
    let busy = held.each_ref().map(|exchange| exchange.upstream);
    assert_ne!(busy[0], busy[1]);
    for _ in 0..10 {
        let exchange = stage.get("/").await.unwrap();
        assert!(!busy.contains(&exchange.upstream));
        text(exchange).await.unwrap();
    }
    drop(held);
    for _ in 0..30 {
        stage.text_of("/").await;
    }
    assert!(apps.iter().all(|app| app.requests().len() >= 8), "equals take turns");
}

#[tokio::test]
async fn nobody_gets_more_than_the_bound() {
    let apps = [holding(), holding()];
    let stage = Stage::with(&apps.each_ref().map(|app| app.address), |s| s.in_flight_max = 2);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(stage.get("/hold").await.unwrap());
    }
    let error = stage.get("/").await.unwrap_err();
    assert!(matches!(error, Error::Busy), "{error:?}");
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(error.retryable() && error.retry_after().is_some());
    assert!(stage.upstreams.status().iter().all(|status| status.state == State::Healthy));
    held.pop();
    assert_eq!(stage.text_of("/").await, "ok");
}

/// Closes without an answer while `/break` is asked, answers otherwise.
fn breaking() -> Upstream {
    Upstream::start(|wire| {
        while let Some(heard) = wire.read_request()? {
            if heard.target == "/break" {
                return Ok(());
            }
            wire.write(OK)?;
        }
        Ok(())
    })
}

#[tokio::test]
async fn failures_in_a_row_take_an_upstream_out_until_its_checks_are_good() {
    let apps = [breaking(), Upstream::answering(OK)];
    let stage = Stage::with(&apps.each_ref().map(|app| app.address), |settings| {
        settings.fail_after = 2;
        settings.recover_after = 2;
        settings.health_interval = ms(30);
    });
    let state = || stage.upstreams.status()[0].state;
    let (mut failures, before) = (0, stage.upstreams.status()[0].since);
    while state() == State::Healthy {
        let broken = stage.post("/break", RequestBody::whole(Bytes::from("x"))).await;
        failures += u32::from(broken.is_err());
        assert!(failures <= 2);
    }
    assert_eq!((state(), failures), (State::Failing, 2));
    assert!(stage.upstreams.status()[0].since > before);
    assert_eq!(stage.total("mainstay_upstream_healthy"), 1.0);
    for _ in 0..10 {
        assert_eq!(stage.get("/break").await.unwrap().upstream, 1);
    }
    stage.upstreams.spawn_checks(&stage.group);
    until("recovery", || state() == State::Healthy).await;
    until("requests", || apps[0].connections() >= 4).await;
    for _ in 0..4 {
        stage.text_of("/").await;
    }
    assert!(apps[0].requests().iter().any(|heard| heard.target == "/"));
}

#[tokio::test]
async fn the_last_one_is_tried_again_by_a_request() {
    let app = breaking();
    let stage = Stage::with(&[app.address], |settings| settings.fail_after = 1);
    assert!(stage.post("/break", RequestBody::empty()).await.is_err());
    assert_eq!(stage.upstreams.status()[0].state, State::Failing);
    assert_eq!(stage.text_of("/").await, "ok");
    assert_eq!(stage.upstreams.status()[0].state, State::Healthy);
}

#[tokio::test]
async fn an_app_that_says_no_is_not_asked() {
    let app = Upstream::start(|wire| {
        while let Some(heard) = wire.read_request()? {
            let ready = heard.target != "/health";
            wire.write(if ready { OK } else { "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" })?;
        }
        Ok(())
    });
    let stage = Stage::with(&[app.address], |settings| {
        settings.health_path = Some("/health".into());
        settings.health_interval = ms(20);
        settings.fail_after = 2;
    });
    assert_eq!(stage.text_of("/").await, "ok");
    stage.upstreams.spawn_checks(&stage.group);
    until("checks", || stage.upstreams.status()[0].state == State::Failing).await;
    let error = stage.get("/").await.unwrap_err();
    assert!(matches!(error, Error::NoneHealthy { .. }), "{error:?}");
    assert_eq!(error.retry_after(), Some(ms(20).0));
    let check = app.requests().into_iter().find(|heard| heard.target == "/health").unwrap();
    assert_eq!(check.header("user-agent"), Some("mainstay-check"));
    assert_eq!(check.header("host"), Some(app.address.to_string().as_str()));
}

#[tokio::test]
async fn an_upstream_that_drains_finishes_and_gets_nothing_new() {
    let apps = [holding(), holding()];
    let stage = Stage::new(&apps.each_ref().map(|app| app.address));
    let held = stage.get("/hold").await.unwrap();
    let index = held.upstream;
    assert!(stage.upstreams.drain(index));
    assert!(!stage.upstreams.drain(9));
    assert_eq!(stage.upstreams.status()[index].state, State::Draining);
    for _ in 0..10 {
        let exchange = stage.get("/").await.unwrap();
        assert_ne!(exchange.upstream, index);
        text(exchange).await.unwrap();
    }
    assert_eq!(stage.upstreams.status()[index].in_flight, 1);
    assert!(stage.upstreams.drain(1 - index));
    assert!(matches!(stage.get("/").await, Err(Error::NoneHealthy { .. })));
    drop(held);
}
