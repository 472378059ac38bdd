//! The engines that the product suite runs on when it runs on shared ones: a primary with two replicas, which answer the
//! reads, and a Redis Cluster of six.

use std::time::Duration;

use mainstay_testkit::{
    Batch, Connection, Postgres, Request, Response, Server, Site, TOKEN, until,
};

use crate::launch_bare;

const SOON: Duration = Duration::from_secs(20);
const ROUNDS: u64 = 60;

/// Over a connection of its own, and without the token of what was acknowledged: any client.
fn ask(server: &Server, path: &str) -> Response {
    let request = Request::get(path).header("authorization", &format!("Bearer {TOKEN}"));
    let answer = Connection::open(server.admin_address()).send(&request);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer
}

fn count_views(server: &Server) -> u64 {
    let pages = ask(server, "/api/v1/pages").json();
    let rows = pages["data"].as_array().expect("rows");
    rows.iter().filter_map(|row| row["pageviews"].as_u64()).sum()
}

/// The servers of one kind, each as its role, those that are well.
fn count_well(server: &Server, engine: &str) -> [usize; 2] {
    let told = ask(server, "/api/v1/databases").json();
    let rows = told["data"].as_array().expect("rows");
    ["primary", "replica"].map(|role| {
        let is_well = |row: &&serde_json::Value| {
            row["engine"] == engine && row["role"] == role && row["healthy"] == true
        };
        rows.iter().filter(is_well).count()
    })
}

#[test]
fn either_replica_answers_with_all_that_was_acknowledged() {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    let server = launch_bare().shared_engines().site(site).start();
    for (engine, expected) in [("postgres", [1, 2]), ("redis", [3, 3])] {
        until(&format!("all of {engine}"), SOON, || count_well(&server, engine) == expected);
    }
    let postgres = Postgres::shared();
    let database = server.shared_database().expect("one of its own");
    let scans_before = postgres.count_replica_scans(&database);
    let before = server.metrics();
    for n in 1..=ROUNDS {
        let view = Batch::page_view(&server.site_url(&format!("/{n}")));
        let taken = Connection::open(server.site_address()).send(&view.request());
        assert_eq!(taken.status, 204, "{}", taken.text());
        assert_eq!(count_views(&server), n);
    }
    // The product's own word, and then that of the replicas.
    let metrics = server.metrics();
    let answered = |by| {
        let of = |metrics: &mainstay_testkit::Metrics| {
            metrics.value("mainstay_database_reads_total", &[("answered_by", by)])
        };
        of(&metrics) - of(&before)
    };
    assert!(answered("replica") >= ROUNDS as f64, "{}", metrics.text());
    for nobody in ["single", "no_replica", "token"] {
        assert!(answered(nobody).abs() < 1e-9, "{nobody}: {}", metrics.text());
    }
    // Both have their turn; a server tells what an idle connection did up to ten seconds later.
    until("reads at both replicas", SOON, || {
        let now = postgres.count_replica_scans(&database);
        now.iter().zip(&scans_before).all(|(now, before)| now - before >= ROUNDS / 4)
    });
}
