//! Unused connections, soft stop, and another list taking over.

use std::time::Duration;

use mainstay_testkit::Upstream;
use mainstay_upstream::{OpenError, State, Upstreams};

use crate::stage::{Stage, ms, plan, text, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers; records `CLOSED` when our side closes.
fn noting() -> Upstream {
    Upstream::start(|wire| {
        while wire.read_request()?.is_some() {
            wire.write(OK)?;
        }
        wire.record(&mainstay_testkit::Heard { method: "CLOSED".into(), ..Default::default() });
        Ok(())
    })
}

fn closed(app: &Upstream) -> usize {
    app.requests().iter().filter(|heard| heard.method == "CLOSED").count()
}

#[tokio::test]
async fn unused_connections_end_in_time() {
    let app = noting();
    let stage = Stage::with(&[app.address], |settings| settings.pooled_timeout = ms(100));
    stage.text_of("/").await;
    until("the unused connection ends", || closed(&app) == 1).await;
}

#[tokio::test]
async fn an_upstream_that_keeps_connections_shortly_gets_no_second_request_on_one() {
    let app = Upstream::answering(
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
    );
    let stage = Stage::new(&[app.address]);
    stage.text_of("/").await;
    stage.text_of("/").await;
    assert_eq!(app.connections(), 2);
}

#[tokio::test]
async fn a_connection_past_its_time_serves_no_request_whenever_the_sweep_comes() {
    let app = noting();
    let stage = Stage::with(&[app.address], |settings| settings.pooled_timeout = ms(200));
    stage.text_of("/").await;
    // The sweep of this moment finds it young, the next one is a second away.
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(900)).await;
    tokio::time::resume();
    stage.text_of("/").await;
    let before = app.connections();
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(250)).await;
    tokio::time::resume();
    stage.text_of("/").await;
    assert_eq!(app.connections(), before + 1);
}

#[tokio::test]
async fn checks_of_a_list_that_was_not_taken_end_and_those_in_force_go_on() {
    let (kept, tried) = (noting(), noting());
    let often = |settings: &mut mainstay_upstream::Settings| settings.health_interval = ms(10);
    let stage = Stage::with(&[kept.address], often);
    stage.upstreams.spawn_checks(&stage.group);
    let next = stage.upstreams.replaced(plan(&[tried.address], often)).unwrap();
    next.spawn_checks(&stage.group);
    until("checks of the new list", || tried.connections() > 1).await;
    drop(next);
    let before = kept.connections();
    until("checks of the list in force", || kept.connections() > before + 20).await;
    let after = tried.connections();
    until("more of them", || kept.connections() > before + 40).await;
    assert!(tried.connections() <= after + 1, "nobody needs that list");
    assert_eq!(stage.upstreams.give_way_to(None).len(), 1);
    assert!(stage.upstreams.is_retired());
}

#[tokio::test]
async fn no_more_than_so_many_unused_connections_are_kept() {
    let app = noting();
    let stage = Stage::with(&[app.address], |settings| settings.idle_per_worker = 2);
    let all = futures_util::future::join_all((0..5).map(|_| stage.get("/"))).await;
    for exchange in all {
        text(exchange.unwrap()).await.unwrap();
    }
    until("three of five end", || closed(&app) == 3).await;
}

#[tokio::test]
async fn a_soft_stop_ends_what_is_unused_and_lets_the_rest_finish() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let app = Upstream::start(move |wire| {
        while let Some(heard) = wire.read_request()? {
            if heard.target == "/slow" {
                wire.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")?;
                let _told = wait.lock().unwrap().recv();
                wire.write("ow")?;
                continue;
            }
            wire.write(OK)?;
        }
        Ok(())
    });
    let stage = Stage::new(&[app.address]);
    stage.upstreams.spawn_checks(&stage.group);
    let slow = stage.get("/slow").await.unwrap();
    stage.text_of("/").await;
    stage.group.stop_softly();
    let reading = text(slow);
    go.send(()).unwrap();
    assert_eq!(reading.await.unwrap(), "slow");
    let left = stage.group.finish(Duration::from_secs(10), Duration::ZERO).await;
    assert_eq!(left, 0, "connections that outlive the stop");
}

#[tokio::test]
async fn another_list_takes_over_without_breaking_anything() {
    let apps = [noting(), noting(), noting()];
    let [a, b, c] = apps.each_ref().map(|app| app.address);
    let stage = Stage::new(&[a, b]);
    for _ in 0..10 {
        stage.text_of("/").await;
    }
    let held = stage.get("/").await.unwrap();
    let asked_b = stage.upstreams.status()[1].requests;
    let next = stage
        .upstreams
        .replaced(plan(&[b, c], |settings| settings.slow_start = ms(60_000)))
        .unwrap();
    assert_eq!(text(held).await.unwrap(), "ok");
    let states: Vec<_> = next.status().iter().map(|status| status.state).collect();
    assert_eq!(states, [State::Healthy, State::Starting]);
    assert_eq!(next.status()[0].requests, asked_b);
    // What is in force goes on until the next one is: also when it never is.
    assert!(!stage.connections.are_retired());
    assert_eq!(stage.upstreams.status()[0].state, State::Healthy);
    for _ in 0..4 {
        stage.text_of("/").await;
    }
    let asked_b = next.status()[0].requests;
    assert_eq!(stage.upstreams.give_way_to(Some(&next)).len(), 1, "a alone is left out");
    assert_eq!(stage.text_of("/late").await, "ok", "a request that began before");
    let asked_b = asked_b.max(next.status()[0].requests);
    let connections = next.connections(&stage.group);
    assert!(connections.lead_to(&next) && !connections.lead_to(&stage.upstreams));
    until("unused connections end", || closed(&apps[0]) == apps[0].connections()).await;
    for _ in 0..5 {
        let asked =
            crate::stage::request(http::Method::GET, "/", mainstay_upstream::RequestBody::empty());
        text(connections.send(asked).await.unwrap()).await.unwrap();
    }
    assert_eq!(next.status()[0].requests, asked_b + 5, "a newcomer begins with a small share");
    assert!(apps[2].requests().is_empty());
}

#[tokio::test]
async fn lists_that_cannot_be_used_are_refused() {
    let stage = Stage::new(&["127.0.0.1:1".parse().unwrap()]);
    let open = |addresses: &[_]| {
        Upstreams::open(plan(addresses, |_| {}), &stage.registry, &mainstay_base::Clock::System)
    };
    assert!(matches!(open(&[]), Err(OpenError::None)));
    let one = "127.0.0.1:1".parse().unwrap();
    assert!(matches!(open(&[one, one]), Err(OpenError::Twice(_))));
    let many: Vec<_> =
        (1..=65).map(|port| std::net::SocketAddr::from(([127, 0, 0, 1], port))).collect();
    assert!(matches!(open(&many), Err(OpenError::TooMany)));
}
