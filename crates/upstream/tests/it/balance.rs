//! Who is asked: least in hand, bounds, failing and recovering, draining.

use bytes::Bytes;
use http::StatusCode;
use mainstay_testkit::Upstream;
use mainstay_upstream::{Error, RequestBody, State};

use crate::stage::{Stage, ms, plan, text, until};

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

/// Fails three times by requests that the app takes and never answers.
async fn provoke(stage: &Stage) {
    for _ in 0..3 {
        let error = stage.post("/hang", RequestBody::empty()).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    }
    assert!(stage.upstreams.status().iter().all(|status| status.state == State::Failing));
}

/// Answers everything but `/hang`.
fn hanging() -> Upstream {
    Upstream::start(|wire| {
        while let Some(heard) = wire.read_request()? {
            if heard.target == "/hang" {
                return wire.read_to_end().map(drop);
            }
            wire.write(OK)?;
        }
        Ok(())
    })
}

#[tokio::test]
async fn a_path_that_hangs_takes_the_only_copy_away_from_nobody() {
    let app = hanging();
    let stage = Stage::with(&[app.address], |settings| {
        settings.answer_timeout = ms(300);
        settings.in_flight_max = 3;
    });
    provoke(&stage).await;
    // Somebody hangs on, and everybody else is served.
    let hang = stage.post("/hang", RequestBody::empty());
    let others = async {
        until("it hangs", || app.requests().len() == 4).await;
        assert_eq!(stage.text_of("/").await, "ok");
    };
    let (hung, ()) = tokio::join!(hang, others);
    assert!(hung.is_err());
    provoke(&stage).await;
    // The bound holds all the same, and is told for what it is.
    let hung = || stage.post("/hang", RequestBody::empty());
    let outcomes = tokio::join!(hung(), hung(), hung(), hung());
    let outcomes = [outcomes.0, outcomes.1, outcomes.2, outcomes.3];
    let busy = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::Busy))).count();
    assert_eq!(busy, 1, "{outcomes:?}");
}

#[tokio::test]
async fn an_app_that_takes_no_connection_gets_one_trial_at_a_time() {
    // Connected by the system, and no handshake for as long as it is tried.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = crate::tls::Authority::new();
    let mut plan = crate::stage::plan(&[], |settings| {
        settings.connect_timeout = ms(60);
        settings.fail_after = 1;
    });
    let url = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    plan.targets = vec![mainstay_upstream::Target::parse(&url).unwrap()];
    plan.settings.ca_file = Some(authority.file());
    let stage = Stage::of(plan);
    assert!(stage.get("/").await.is_err());
    let outcomes = tokio::join!(stage.get("/"), stage.get("/"));
    assert!(matches!(outcomes.0, Err(Error::Timeout { .. })), "{outcomes:?}");
    assert!(matches!(outcomes.1, Err(Error::NoneHealthy { .. })), "{outcomes:?}");
}

#[tokio::test]
async fn a_request_given_up_by_its_client_is_counted_and_blames_nobody() {
    let app = hanging();
    let stage = Stage::with(&[app.address], |settings| settings.fail_after = 1);
    let left = tokio::select! {
        _ = stage.get("/hang") => false,
        () = until("it hangs", || !app.requests().is_empty()) => true,
    };
    assert!(left);
    let status = &stage.upstreams.status()[0];
    assert_eq!((status.requests, status.errors, status.state), (1, 0, State::Healthy));
    assert_eq!(stage.total("mainstay_upstream_requests_total"), 1.0);
}

#[tokio::test]
async fn a_check_asks_by_a_name_of_the_site() {
    let app = Upstream::answering(OK);
    let mut plan = crate::stage::plan(&[app.address], |settings| {
        settings.health_path = Some("/health".into());
    });
    plan.host = Some("shop.example".into());
    let stage = Stage::of(plan);
    stage.upstreams.spawn_checks(&stage.group);
    until("a check", || !app.requests().is_empty()).await;
    assert_eq!(app.requests()[0].header("host"), Some("shop.example"));
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
async fn an_upstream_that_is_left_out_is_told_of_until_its_last_request_ended() {
    let apps = [holding(), holding()];
    let stage = Stage::new(&[apps[0].address]);
    let held = stage.get("/hold").await.unwrap();
    let next = stage.upstreams.replaced(plan(&[apps[1].address], |_| {})).unwrap();
    let leaving = stage.upstreams.give_way_to(Some(&next));
    let status = leaving[0].status().unwrap();
    assert_eq!((status.state, status.in_flight), (State::Draining, 1));
    assert_eq!(status.url, format!("http://{}", apps[0].address));
    assert_eq!(stage.total("mainstay_upstream_healthy"), 1.0, "the other one alone");
    assert_eq!(stage.text_of("/").await, "ok", "a request that began before");
    assert!(leaving[0].status().is_some());
    drop(held);
    assert!(leaving[0].status().is_none());
    assert!(next.give_way_to(Some(&next)).is_empty(), "who is named again stays");
}
