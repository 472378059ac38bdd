//! Scans of our own sites.

use mainstay_testkit::{Upstream, free_port};
use serde_json::json;

use super::*;
use crate::settings::Site;

/// A page without any of the headers that it should have.
fn site() -> Upstream {
    let page = "<!doctype html><title>x</title><p>hello";
    let length = page.len();
    Upstream::answering(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: session=SECRET\r\nContent-Length: {length}\r\n\r\n{page}"
    ))
}

fn settings(public_url: &str) -> Settings {
    let scan = mainstay_scanner::Settings {
        requests_per_second: 1_000_000,
        requests_max: 40,
        ..mainstay_scanner::Settings::default()
    };
    Settings { public_url: Some(public_url.into()), scan, ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_our_site_answers_grade_and_findings() {
    let site = site();
    let url = format!("http://{}", site.address);
    let house = House::open(settings(&url)).await;
    let told =
        result(&house.run("security-scan", &json!({"target": url, "scanType": "headers"})).await);
    assert_eq!((&told["target"], &told["scanType"]), (&json!("127.0.0.1"), &json!("headers")));
    assert_eq!((&told["grade"], &told["leftOut"]), (&json!("F"), &json!(0)), "{told}");
    let findings = told["findings"].as_array().expect("findings");
    let ids: Vec<_> = findings.iter().filter_map(|finding| finding["id"].as_str()).collect();
    assert!(ids.len() > 3 && ids.iter().any(|id| id.contains("csp")), "{ids:?}");
    for finding in findings {
        for field in ["severity", "url", "title", "evidence", "fix"] {
            assert!(
                finding[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {finding}"
            );
        }
    }
    assert!(!told.to_string().contains("SECRET"));
    // Without a target it is the one of the public URL.
    assert_eq!(result(&house.run("security-scan", &json!({})).await)["scanType"], "full");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_elses_site_is_scanned_until_the_settings_name_it() {
    let site = site();
    let url = format!("http://{}", site.address);
    let house = House::open(settings("https://example.org")).await;
    for (payload, reason) in [
        (json!({"target": url}), "is none of the sites in the settings"),
        (json!({"target": "https://example.com"}), "[[site]] hosts = [\"example.com\"]"),
        (json!({"target": "file:///etc/passwd"}), "is no address of a site"),
        (json!({"target": ["SECRET"]}), "target must be the address of a site"),
        (json!({"target": url, "scanType": "SECRET".repeat(20)}), "scanType must be text"),
        (json!({"target": url, "depth": 1}), "known are target, scanType"),
    ] {
        house.assert_dead("security-scan", &payload, reason).await;
    }
    assert_eq!(site.connections(), 0);
    house.settings.send_replace(Arc::new(settings(&url)));
    result(&house.run("security-scan", &json!({"target": url})).await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_is_not_reached_is_tried_again() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let house = House::open(settings(&url)).await;
    let row = house.run("security-scan", &json!({"target": url})).await;
    assert_eq!(row.status, Status::Failed, "{:?}", row.error);
    assert!(row.error.is_some_and(|error| error.contains("127.0.0.1 is not reached: ")));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_that_do_not_fit_are_counted() {
    const ROOM: usize = 4_096;
    let site = site();
    let url = format!("http://{}", site.address);
    let house = House::open_with(settings(&url), ROOM, |kind| kind).await;
    let row = house.run("security-scan", &json!({"target": url})).await;
    let told = result(&row);
    assert!(row.result.is_some_and(|text| text.len() <= ROOM));
    let kept = told["findings"].as_array().expect("findings").len();
    assert!(kept > 0 && told["leftOut"].as_u64() > Some(0), "{told}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_port_and_no_name_of_a_pattern_is_asked() {
    let other = site();
    let port = other.address.port();
    let hosts = vec!["localhost".to_owned(), "*.localhost".to_owned()];
    let of = Site { hosts, ..Site::default() };
    let house = House::open(Settings { site: vec![of], ..settings("https://example.org") }).await;
    for host in ["localhost", "db.localhost"] {
        let payload = json!({"target": format!("http://{host}:{port}")});
        house.assert_dead("security-scan", &payload, "is not scanned at that port").await;
    }
    assert_eq!(other.connections(), 0);
    let named = Site { hosts: vec![format!("localhost:{port}")], ..Site::default() };
    let named = Settings { site: vec![named], ..settings("https://example.org") };
    house.settings.send_replace(Arc::new(named));
    let payload = json!({"target": format!("http://localhost:{port}")});
    result(&house.run("security-scan", &payload).await);
    house.close().await;
}
