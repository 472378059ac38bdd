//! Several processes on one PostgreSQL: a visitor meets one site, whichever process answers, and a reader sees what was acknowledged.

use std::time::{Duration, Instant};

use mainstay_testkit::{
    Batch, CHROME, Launch, Postgres, PostgresNode, RedisCluster, RedisNode, Request, Server, Site,
    eventually, holds_for,
};
use serde_json::{Value, json};

use crate::{access, launch};

const TOKEN: &str = "x-mainstay-token";
const SOON: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(3);

/// A process on this database; with its replicas, when they are named.
fn process(postgres: &Postgres, database: &str, with_replicas: bool) -> Server {
    on(postgres, database, with_replicas).start()
}

fn on(postgres: &Postgres, database: &str, with_replicas: bool) -> Launch {
    let primary = postgres.primary().url(database);
    let mut launch = launch().variable("DATABASE_PRIMARY_URL", &primary);
    if with_replicas {
        for (n, replica) in postgres.replicas().iter().enumerate() {
            let name = format!("DATABASE_REPLICA_{}_URL", n + 1);
            launch = launch.variable(&name, &replica.url(database));
        }
    }
    launch
}

fn view(path: &str) -> Batch {
    Batch::page_view(&format!("https://shop.example{path}")).by(CHROME)
}

fn sum(rows: &[Value], field: &str) -> i64 {
    rows.iter().filter_map(|row| row[field].as_i64()).sum()
}

#[test]
fn heavy_a_visit_goes_on_at_another_process() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let [a, b] = [(); 2].map(|()| process(&postgres, &database, false));
    let home = view("/");
    a.accept(&home);
    b.accept(&view("/about"));
    a.accept(&view("/contact"));
    // The same event, sent to the other one, is the same event.
    b.accept(&home);
    for server in [&a, &b] {
        let pages = server.rows("/api/v1/pages");
        assert_eq!(sum(&pages, "pageviews"), 3, "{pages:?}");
        assert_eq!(server.read("/api/v1/visitors/now"), json!({"now": 1}));
        let visits = server.rows("/api/v1/visitors?step=3600");
        assert_eq!(sum(&visits, "pageviews"), 3);
        assert_eq!(sum(&visits, "bounces"), 0, "three pages, one visit: {visits:?}");
    }
}

/// Two processes whose replica has the tables, and nothing that is written from now on.
fn two_beside_a_late_replica() -> (Postgres, [Server; 2]) {
    let postgres = Postgres::launch().replicas(1).start();
    let database = postgres.create_database();
    postgres.wait_replicated(SOON);
    let servers = [(); 2].map(|()| process(&postgres, &database, true));
    postgres.wait_replicated(SOON);
    postgres.replicas()[0].set_apply_delay(Duration::from_secs(3_600));
    (postgres, servers)
}

#[test]
fn heavy_who_shows_the_token_sees_what_was_acknowledged_with_it() {
    let (_postgres, [a, b]) = two_beside_a_late_replica();
    let views = |token: Option<&str>| {
        let read = Request::get("/api/v1/pages");
        let read = token.iter().fold(read, |read, token| read.header(TOKEN, token));
        sum(b.admin(read).json()["data"].as_array().expect("rows"), "pageviews")
    };
    for n in 1..=20 {
        let answer = a.post(&view(&format!("/{n}")));
        assert_eq!(answer.status, 204);
        let token = answer.header(TOKEN).expect("a token");
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some(TOKEN),
            "for listed origins"
        );
        assert_eq!(views(Some(token)), n, "with the token");
        assert_eq!(
            views(None),
            0,
            "the replica has none of it: who shows no token is answered by it"
        );
        assert_eq!(
            views(Some("1.0/FFFFFFFF-ffffffff-00000000000000000000000000000000")),
            0,
            "forged"
        );
    }
    let metrics = b.metrics();
    let answered = |by| metrics.value("mainstay_database_reads_total", &[("answered_by", by)]);
    assert!(answered("token") >= 20.0, "{}", metrics.text());
    assert!(answered("replica") >= 40.0, "{}", metrics.text());
}

#[test]
fn heavy_who_signs_in_sees_by_cookie_what_was_there_and_visitors_get_none() {
    const COOKIE: &str = "__Host-mainstay_seen";
    let (_postgres, [a, b]) = two_beside_a_late_replica();
    let asked = |path: &str, header: &str, value: &str| {
        let read = Request::get(path).header(header, value);
        b.admin(read).json()["data"].as_array().expect("rows").clone()
    };
    let views = |header, value: &str| sum(&asked("/api/v1/pages", header, value), "pageviews");
    let mut last = String::new();
    for n in 1..=10 {
        let acknowledged = a.post(&view(&format!("/{n}")));
        assert_eq!((acknowledged.status, acknowledged.count("set-cookie")), (204, 0));
        let link = access::link(&a);
        let entered = a.admin_stranger(&access::enter(&a, access::token(&link)));
        assert_eq!(entered.status, 303);
        let set = entered.headers.iter().map(|(_, value)| value);
        let set = { set }.find(|value| value.starts_with(COOKIE)).expect("a cookie");
        for flag in ["; Path=/", "; Max-Age=900", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
            assert!(set.contains(flag), "{set}");
        }
        let cookie = set.split(';').next().expect("a pair");
        let token = entered.header(TOKEN).expect("the same as a header");
        assert_eq!(cookie, format!("{COOKIE}={token}"));
        assert_eq!(views("cookie", cookie), n, "stale with the cookie of sign-in {n}");
        assert_eq!(views("cookie", "__Host-mainstay_seen=invented"), 0, "the replica has none");
        last = cookie.to_owned();
    }
    // The later one of a header and a cookie counts, whichever that is.
    let early = last;
    let late = a.post(&view("/late"));
    let late = late.header(TOKEN).expect("a token");
    let both = |header: &str, cookie: &str| {
        let read = Request::get("/api/v1/pages").header(TOKEN, header).header("cookie", cookie);
        sum(b.admin(read).json()["data"].as_array().expect("rows"), "pageviews")
    };
    let early_token = early.split_once('=').expect("a pair").1;
    assert_eq!(both(late, &early), 11);
    assert_eq!(both(early_token, &format!("{COOKIE}={late}")), 11);
}

#[test]
fn heavy_reports_are_seen_with_the_token_of_their_answer() {
    let (_postgres, [a, b]) = two_beside_a_late_replica();
    for n in 1..=5 {
        let report = json!({"csp-report": {
            "document-uri": "https://shop.example/", "blocked-uri": format!("https://{n}.example/x.js"),
            "effective-directive": "script-src-elem", "disposition": "enforce",
        }});
        let request = Request::post("/_mainstay/reports")
            .header("content-type", "application/csp-report")
            .body(report.to_string());
        let answer = a.send(&request);
        assert_eq!((answer.status, answer.count("set-cookie")), (204, 0), "{}", answer.text());
        let read = |token| {
            let read = Request::get("/api/v1/reports").header(TOKEN, token);
            b.admin(read).json()["data"].as_array().expect("rows").len()
        };
        assert_eq!(read(answer.header(TOKEN).expect("a token")), n, "stale with the token");
        assert_eq!(read("invented"), 0, "the replica has none of it");
    }
}

#[test]
fn heavy_every_database_is_away_from_the_start_and_costs_no_event_and_no_page() {
    let (postgres, redis) = (Postgres::launch().replicas(2).start(), RedisCluster::start());
    let database = postgres.create_database();
    postgres.wait_replicated(SOON);
    let nodes = || std::iter::once(postgres.primary()).chain(postgres.replicas());
    nodes().for_each(PostgresNode::stop);
    redis.nodes().iter().for_each(RedisNode::stop);
    let named = on(&postgres, &database, true);
    let named = redis.addresses().iter().enumerate().fold(named, |launch, (n, address)| {
        let name = |what| format!("REDIS_NODE_{}_{what}", n + 1);
        launch
            .variable(&name("HOST"), &address.ip().to_string())
            .variable(&name("PORT"), &address.port().to_string())
    });
    let server = named
        .site(Site::of(&[("index.html", "<p>home</p>")]))
        .config("[store]\nreopen_every = \"200ms\"\n")
        .expects_error("failed (Unavailable)")
        .start();
    assert_eq!(server.get("/").status, 200);
    let health = server.admin(Request::get("/healthz")).json();
    assert_eq!(health["status"], "warn", "{health}");
    assert_eq!(health["checks"]["store:primary"][0]["status"], "warn", "{health}");
    assert!(health["checks"]["store:files"].is_null(), "there are none: {health}");
    assert_eq!(health["checks"]["kv:redis"][0]["status"], "warn", "{health}");
    for n in 0..50 {
        let answer = server.post(&view(&format!("/{n}")));
        assert_eq!(
            (answer.status, answer.header(TOKEN)),
            (204, None),
            "waits on this machine's disk"
        );
    }
    assert!(server.metrics().value("mainstay_recorder_spooled_bytes", &[]) > 0.0);
    nodes().for_each(PostgresNode::restart);
    redis.nodes().iter().for_each(RedisNode::restart);
    eventually("everything that waited", SOON, || {
        let answer = server.admin(Request::get("/api/v1/pages?limit=1000"));
        let rows = answer.json()["data"].as_array().cloned().unwrap_or_default();
        (answer.status == 200 && sum(&rows, "pageviews") == 50).then_some(())
    });
    eventually("a store that is well", SOON, || {
        (server.admin(Request::get("/healthz")).json()["status"] == "pass").then_some(())
    });
}

#[test]
fn heavy_copies_that_find_no_room_are_told_until_the_standby_has_the_rest() {
    let postgres = Postgres::launch().replicas(1).start();
    let url = postgres.primary().url(&postgres.create_database());
    // Else only a slot tells how far the standby is.
    let _ = postgres.primary().query("postgres", "GRANT pg_monitor TO mainstay");
    let server = launch()
        .variable("DATABASE_PRIMARY_URL", &url)
        .variable("MAINSTAY_STORE__SPOOL_MAX", "16KiB")
        .start();
    let check =
        || server.admin(Request::get("/healthz")).json()["checks"]["store:spool"][0].clone();
    postgres.replicas()[0].follow_nobody();
    assert_eq!(check()["status"], "pass", "{}", check());
    (0..60).for_each(|n| server.accept(&view(&format!("/{n}"))));
    let told = check();
    assert_eq!(told["status"], "warn", "{told}");
    let output = told["output"].as_str().expect("words");
    assert!(output.contains("store.spool_max"), "{output}");
    let unconfirmed = || server.metrics().value("mainstay_recorder_unconfirmed_bytes", &[]);
    assert!(unconfirmed() > 0.0);
    assert!(server.metrics().value("mainstay_recorder_unprotected_total", &[]) > 0.0);
    postgres.replicas()[0].follow(postgres.primary());
    eventually("nothing to warn of", SOON, || (check()["status"] == "pass").then_some(()));
    eventually("no copies", SOON, || (unconfirmed() == 0.0).then_some(()));
}

#[test]
fn heavy_a_damaged_spool_is_told_until_somebody_has_seen_to_it() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let data = tempfile::tempdir().expect("a temp folder");
    let on = || {
        let url = postgres.primary().url(&database);
        launch().data_dir(data.path()).variable("DATABASE_PRIMARY_URL", &url)
    };
    let mut server = on().start();
    postgres.primary().kill();
    (0..20).for_each(|n| server.accept(&view(&format!("/{n}"))));
    server.kill();
    let folder = data.path().join("spool").join("waiting");
    let list = || {
        let files = std::fs::read_dir(&folder).expect("a spool");
        files.map(|file| file.expect("a file").path()).collect::<Vec<_>>()
    };
    let file = list().remove(0);
    let mut bytes = std::fs::read(&file).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&file, bytes).expect("written");
    postgres.primary().restart();
    let server = on().start();
    let check =
        || server.admin(Request::get("/healthz")).json()["checks"]["store:spool"][0].clone();
    eventually("a warning", SOON, || (check()["status"] == "warn").then_some(()));
    assert!(!check().to_string().contains(&data.path().display().to_string()), "{}", check());
    assert!(server.log().text().contains("are damaged and left out"), "{}", server.log().text());
    assert!(server.metrics().value("mainstay_recorder_spool_damaged_total", &[]) > 0.5);
    eventually("all others", SOON, || {
        let pages = server.rows("/api/v1/pages?limit=1000");
        (sum(&pages, "pageviews") == 19).then_some(())
    });
    let kept = list();
    assert!(kept.len() == 1 && kept[0] != file, "{kept:?}");
    std::fs::remove_file(&kept[0]).expect("removed");
    eventually("nothing to warn of", SOON, || (check()["status"] == "pass").then_some(()));
}

#[test]
fn heavy_a_quiet_database_hears_nothing_while_nobody_asks() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let server = launch()
        .variable("DATABASE_PRIMARY_URL", &postgres.primary().url(&database))
        .config(
            "[database]\nquiet = true\nquiet_after = \"1s\"\nprobe_every = \"100ms\"\n\
             [insight]\nsample_every = \"1s\"\nrollup_every = \"100ms\"\n",
        )
        .start();
    server.accept(&view("/"));
    // Counted from another database, so that the count itself is not in it.
    let transactions = || {
        let count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = ";
        postgres.primary().query("postgres", &format!("{count}'{database}'"))
    };
    // What is asked when it has come to rest; statistics are a second late.
    let (mut last, mut since) = (transactions(), Instant::now());
    eventually("silence", SOON, || {
        let now = transactions();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (since.elapsed() > SILENCE).then_some(())
    });
    assert_eq!(server.get("/").status, 404, "the site answers without waking it");
    holds_for("requests alone are held back", SILENCE, || transactions() == last);
    server.accept(&view("/again"));
    assert_eq!(sum(&server.rows("/api/v1/pages"), "pageviews"), 2);
    let requests = || sum(&server.rows("/api/v1/traffic?step=1"), "requests");
    eventually("the traffic that was held back", SOON, || (requests() >= 1).then_some(()));
}
