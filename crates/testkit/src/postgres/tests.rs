//! What is promised to tests that stop, delay and promote.

use super::*;

const WITHIN: Duration = Duration::from_secs(20);

#[test]
fn a_replica_takes_over_and_the_lost_primary_comes_back() {
    let postgres = Postgres::launch().replicas(2).start();
    let (primary, first, second) =
        (postgres.primary(), &postgres.replicas()[0], &postgres.replicas()[1]);
    let database = postgres.create_database();
    let count = |node: &PostgresNode| node.query(&database, "SELECT count(*) FROM t");
    let _ = primary.query(&database, "CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    postgres.wait_replicated(WITHIN);
    assert_eq!((count(first), count(second)), ("1".into(), "1".into()));
    primary.kill();
    assert!(primary.try_sql(&database, "SELECT 1").is_err());
    assert!(first.try_sql(&database, "INSERT INTO t VALUES (2)").is_err(), "a replica");
    first.promote();
    second.follow(first);
    let _ = first.query(&database, "INSERT INTO t VALUES (2)");
    primary.rebuild_from(first);
    let at = first.query("postgres", "SELECT pg_current_wal_lsn()");
    for replica in [primary, second] {
        replica.wait_replayed(&at, WITHIN);
        assert_eq!(count(replica), "2");
        assert!(replica.is_replica());
    }
    assert!(!first.is_replica());
}

#[test]
fn a_delayed_replica_lags_until_it_is_told_otherwise() {
    let postgres = Postgres::launch().replicas(1).start();
    let replica = &postgres.replicas()[0];
    replica.set_apply_delay(Duration::from_secs(3_600));
    let database = postgres.create_database();
    let sees = || replica.try_sql(&database, "SELECT 1").is_ok();
    let received = || replica.query("postgres", "SELECT pg_last_wal_receive_lsn()");
    let at = postgres.primary().query("postgres", "SELECT pg_current_wal_lsn()");
    crate::until("the log is there", WITHIN, || {
        replica.query("postgres", &format!("SELECT '{}' >= '{at}'::pg_lsn", received())) == "t"
    });
    assert!(!sees(), "received, and not replayed");
    replica.set_apply_delay(Duration::ZERO);
    postgres.wait_replicated(WITHIN);
    assert!(sees());
}

#[test]
fn a_synchronous_database_waits_until_every_replica_shows_a_commit() {
    let postgres = Postgres::launch().synchronous_replicas(2).start();
    let (primary, late) = (postgres.primary(), &postgres.replicas()[1]);
    let (database, other) = (postgres.create_synchronous_database(), postgres.create_database());
    let make = "CREATE TABLE t (id int)";
    let _ = (primary.query(&database, make), primary.query(&other, make));
    postgres.wait_replicated(WITHIN);
    // It still receives everything, and says so.
    late.set_apply_delay(Duration::from_secs(3_600));
    let (insert, count) = ("INSERT INTO t VALUES (1)", "SELECT count(*) FROM t");
    let _ = primary.query(&other, insert);
    assert_eq!(late.query(&other, count), "0", "who did not ask for it does not wait");
    std::thread::scope(|scope| {
        let lifted = Lifted(late);
        let answered = scope.spawn(|| drop(primary.query(&database, insert)));
        crate::holds_for("nobody is answered", Duration::from_secs(1), || !answered.is_finished());
        drop(lifted);
    });
    for replica in postgres.replicas() {
        assert_eq!(replica.query(&database, count), "1");
    }
}

/// A replica whose delay ends also where the test fails: who waits for it must not hang.
struct Lifted<'a>(&'a PostgresNode);

impl Drop for Lifted<'_> {
    fn drop(&mut self) {
        self.0.set_apply_delay(Duration::ZERO);
    }
}

#[test]
fn a_paused_server_is_silent_and_a_killed_one_recovers() {
    let postgres = Postgres::start();
    let (node, database) = (postgres.primary(), postgres.create_database());
    let _ = node.query(&database, "CREATE TABLE t AS SELECT 1");
    node.pause();
    let said = node.try_sql(&database, "SELECT 1");
    assert!(said.is_err_and(|said| said.contains("timeout")), "accepted by the kernel alone");
    node.resume();
    assert_eq!(node.query(&database, "SELECT count(*) FROM t"), "1");
    node.kill();
    node.restart();
    assert_eq!(node.query(&database, "SELECT count(*) FROM t"), "1");
    node.stop();
    node.restart();
    assert_eq!(node.query("postgres", "SHOW fsync"), "off");
    let counted = node.query(
        "postgres",
        "CREATE EXTENSION pg_stat_statements; SELECT count(*) > 0 FROM pg_stat_statements",
    );
    assert_eq!(counted, "t");
}

#[test]
fn durable_servers_write_through() {
    let postgres = Postgres::launch().durable().setting("max_connections", "7").start();
    assert_eq!(postgres.primary().query("postgres", "SHOW fsync"), "on");
    assert_eq!(postgres.primary().query("postgres", "SHOW max_connections"), "7");
}

#[test]
fn a_run_shares_servers_and_no_databases() {
    let shared = Postgres::shared();
    let (one, other) = (shared.create_database(), shared.create_database());
    assert_ne!(one, other);
    assert_eq!(shared.replica_urls(&one).len(), SharedPostgres::REPLICAS);
    let again = Postgres::shared();
    assert_eq!(again.primary_url(&one), shared.primary_url(&one));
}

#[test]
fn a_template_is_made_once_and_copies_are_apart() {
    let shared = Postgres::shared();
    let unmade = shared.find_template("tests").expect_err("nobody made it");
    let ask = |database: &str, sql: &str| {
        let url = shared.primary_url(database);
        let mut psql = Command::new(program("psql"));
        let output = as_nobody(psql.args(["-XAtq", "-c", sql, &url]).current_dir("/")).output();
        String::from_utf8(output.expect("psql").stdout).expect("text").trim().to_owned()
    };
    ask(unmade.database(), "CREATE TABLE kept AS SELECT 7 AS n");
    let template = unmade.finish();
    assert_eq!(shared.find_template("tests").expect("made"), template);
    let [one, other] = [(); 2].map(|()| shared.copy_database(&template));
    ask(&one, "UPDATE kept SET n = 8");
    let kept = |database: &str| ask(database, "SELECT n FROM kept");
    assert_eq!([&one, &other, &template].map(|database| kept(database)), ["8", "7", "7"]);
    assert!(shared.find_template("others").is_err(), "each has its own");
}

#[test]
fn who_is_tested_is_an_ordinary_role_that_says_its_password() {
    let shared = Postgres::shared();
    let database = shared.create_database();
    let ask = |url: &str| {
        let mut psql = Command::new(program("psql"));
        let text = "SELECT current_user, rolsuper, pg_catalog.pg_get_userbyid(datdba)
            FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()";
        psql.args(["-XAtqw", "-c", text, url]).env_clear().current_dir("/");
        let output = as_nobody(&mut psql).output().expect("psql");
        String::from_utf8_lossy(if output.status.success() {
            &output.stdout
        } else {
            &output.stderr
        })
        .into_owned()
    };
    let url = shared.primary_url(&database);
    assert_eq!(ask(&url).trim_end(), "mainstay|f|mainstay");
    let wrong = url.replacen(":known", ":unknown", 1);
    assert!(ask(&wrong).contains("password authentication failed"), "{}", ask(&wrong));
}
