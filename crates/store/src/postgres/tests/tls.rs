//! TLS to PostgreSQL: the certificate is checked by name and authority, or there is no connection.

use mainstay_testkit::{Authority, Postgres};

use super::house::count;
use super::*;
use crate::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_server_that_shows_its_certificate_is_asked() {
    let (ours, others) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path();
    std::fs::write(files.join("ca.pem"), ours.cert()).unwrap();
    std::fs::write(files.join("other.pem"), others.cert()).unwrap();
    let servers = Postgres::start();
    let primary = servers.primary();
    primary.serve_tls(&ours.issue(&["localhost"]));
    let name = servers.create_database();
    let url = |host: &str, ca: &str| {
        let ca = files.join(ca).display().to_string();
        let url = primary.url(&name).replace("127.0.0.1", host);
        format!("{url}?sslmode=verify-full&sslrootcert={ca}")
    };
    let on = |url: String| Database { primary: Some(url), pool_min: 0, ..Database::default() };
    let house = House::open(&on(url("localhost", "ca.pem"))).await;
    assert_eq!(count(house.store.insight()).await.unwrap(), 0);
    let encrypted = "SELECT count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE ssl AND application_name = 'mainstay'";
    assert_eq!(primary.query("postgres", encrypted), "t");
    house.finish().await;
    // Another authority, and another name.
    for refused in [url("localhost", "other.pem"), url("127.0.0.1", "ca.pem")] {
        let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
        let house = House::open_on(dir, &on(refused)).await;
        let [away] = &house.store.list_away()[..] else { panic!("it is asked") };
        assert!(!away.reason.contains('@'), "{}", away.reason);
        assert!(count(house.store.insight()).await.is_err());
        house.finish().await;
    }
}
