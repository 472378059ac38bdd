//! What owner and probes are told of the machines: the processes that share a database, its servers, or the files of one machine.

use std::time::Duration;

use mainstay_testkit::{Launch, Postgres, Request, Server, Site, eventually, until};
use serde_json::{Value, json};

use crate::launch_bare;

const SOON: Duration = Duration::from_secs(20);

/// With these settings; the site is one page.
fn on(config: &str) -> Launch {
    launch_bare().site(Site::of(&[("index.html", "<p>home</p>")])).config(config)
}

fn shared(primary: &str, replicas: &[String]) -> String {
    format!(
        "[database]\nprimary = \"{primary}\"\nreplicas = {replicas:?}\npool_min = 1\nprobe_every = \"200ms\"\n"
    )
}

/// The rows of a read that others may be part of soon.
fn rows(server: &Server, path: &str, are_there: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    eventually(path, SOON, || {
        let rows = server.rows(path);
        are_there(&rows).then_some(rows)
    })
}

fn health(server: &Server) -> Value {
    let response = server.admin(Request::get("/healthz"));
    assert_eq!(response.status, 200, "the site is served: {}", response.text());
    response.json()
}

#[test]
fn one_machine_is_one_process_on_two_files() {
    let server = on("").start();
    let nodes = server.rows("/api/v1/nodes");
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    assert_eq!((&nodes[0]["here"], &nodes[0]["ready"]), (&json!(true), &json!(true)));
    let files = server.rows("/api/v1/databases");
    let names: Vec<_> = files.iter().map(|file| &file["server"]).collect();
    assert_eq!(names, ["core.db", "insight.db"]);
    for file in &files {
        assert_eq!((&file["role"], &file["engine"]), (&json!("file"), &json!("sqlite")));
        assert_eq!((&file["healthy"], &file["lag_bytes"]), (&json!(true), &Value::Null));
        assert!(file["size_bytes"].as_u64().is_some_and(|size| size >= 4_096), "{file}");
        assert!(file["wal_bytes"].is_u64(), "{file}");
    }
    let checks = &health(&server)["checks"];
    assert!(checks["store:database"].is_null() && checks["store:partitions"].is_null(), "{checks}");
}

#[test]
fn processes_that_share_a_database_know_each_other() {
    let postgres = Postgres::shared();
    let config = shared(&postgres.primary_url(&postgres.create_database()), &[]);
    let one = on(&format!("{config}region = \"here\"\n")).start();
    let mut two = on(&format!("{config}region = \"there\"\n")).start();
    for (server, own, other) in [(&one, "here", "there"), (&two, "there", "here")] {
        let nodes = rows(server, "/api/v1/nodes", |nodes| nodes.len() == 2);
        let [first, second] = &nodes[..] else { panic!("{nodes:?}") };
        assert_eq!((&first["here"], &first["region"]), (&json!(true), &json!(own)));
        assert_eq!((&second["here"], &second["region"]), (&json!(false), &json!(other)));
        assert_eq!((&first["ready"], &second["ready"]), (&json!(true), &Value::Null));
        assert_eq!(second["version"], first["version"]);
        let names = first["checks"].as_array().expect("checks").iter().map(|c| &c["name"]);
        assert!(names.clone().any(|name| name == "store:database"), "{first}");
        assert_eq!(second["checks"], json!([]), "only itself can say how it is");
    }
    // Who stops says goodbye.
    assert_eq!(two.stop().code, Some(0));
    let left = rows(&one, "/api/v1/nodes", |nodes| nodes.len() == 1);
    assert_eq!(left[0]["region"], "here");
}

#[test]
fn heavy_a_replica_that_is_away_is_a_warning_with_its_name() {
    let postgres = Postgres::launch().replicas(1).start();
    let (primary, replica) = (postgres.primary(), &postgres.replicas()[0]);
    let database = postgres.create_database();
    let server = on(&shared(&primary.url(&database), &[replica.url(&database)])).start();
    let roles = |healthy: bool| {
        let rows = rows(&server, "/api/v1/databases", |rows| {
            rows.len() == 2 && rows[1]["role"] == "replica" && rows[1]["healthy"] == healthy
        });
        assert_eq!((&rows[0]["role"], &rows[0]["healthy"]), (&json!("primary"), &json!(true)));
        rows[1].clone()
    };
    let well = roles(true);
    assert_eq!(well["server"], format!("127.0.0.1:{}", replica.port()));
    assert_eq!(well["time_series"], "native partitions", "{well}");
    assert!(well["lag_bytes"].is_u64() && well["connections_idle"].is_u64(), "{well}");
    until("health passes", SOON, || health(&server)["status"] == "pass");

    replica.kill();
    let away = roles(false);
    assert!(away["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{away}");
    let report = health(&server);
    assert_eq!(report["status"], "warn", "{report}");
    let checks = report["checks"]["store:database"].as_array().expect("a check per server");
    let said: Vec<_> = checks.iter().map(|c| (&c["componentId"], &c["status"])).collect();
    let name = |port: u16| json!(format!("127.0.0.1:{port}"));
    assert_eq!(
        said,
        [(&name(primary.port()), &json!("pass")), (&name(replica.port()), &json!("warn"))]
    );
    assert_eq!(checks[1]["output"], away["reason"]);
    assert_eq!(server.admin_stranger(&Request::get("/readyz")).status, 200, "it may take traffic");
    let stranger = server.admin_stranger(&Request::get("/healthz"));
    assert!(!stranger.text().contains("127.0.0.1"), "for the owner alone: {}", stranger.text());

    replica.restart();
    roles(true);
    until("health passes", SOON, || health(&server)["status"] == "pass");
}

#[test]
fn heavy_without_any_database_a_process_tells_of_itself() {
    let postgres = Postgres::start();
    let url = postgres.primary().url("nowhere");
    postgres.primary().stop();
    let server = on(&shared(&url, &[])).start();
    assert_eq!(server.get("/").status, 200);
    let nodes = server.rows("/api/v1/nodes");
    assert_eq!((nodes.len(), &nodes[0]["here"]), (1, &json!(true)));
    let servers = server.rows("/api/v1/databases");
    assert_eq!((&servers[0]["role"], &servers[0]["healthy"]), (&json!("unknown"), &json!(false)));
    assert_eq!((&servers[0]["lag_bytes"], servers.len()), (&Value::Null, 1));
    assert_eq!(health(&server)["status"], "warn");
}

/// They are told although they are put into partitions of their days at once.
#[test]
fn heavy_rows_without_a_partition_are_a_warning() {
    const ROWS: &str = "INSERT INTO mainstay.engagement_default
        (id, page_id, recorded_at, path, engaged_ms, scroll_percent)
        SELECT 'event-of-day-' || (1000 + day), 'page', now() + day * INTERVAL '1 day', '/', 1, 1
        FROM generate_series(20, 119) AS day";
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let config = shared(&postgres.primary().url(&database), &[]);
    let mut first = on(&config).start();
    let partitions = |server: &Server| health(server)["checks"]["store:partitions"][0].clone();
    assert_eq!(partitions(&first)["status"], "pass");
    first.stop();
    let _ = postgres.primary().query(&database, ROWS);
    let second = on(&config).start();
    let warned = eventually("a warning", SOON, || {
        let check = partitions(&second);
        (check["status"] == "warn").then_some(check)
    });
    assert!(warned["output"].as_str().is_some_and(|said| said.contains("rows")), "{warned}");
    assert_eq!(health(&second)["status"], "warn");
}
