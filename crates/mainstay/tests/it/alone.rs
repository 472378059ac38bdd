//! A server on its defaults speaks with nobody but those who ask it: seen from outside, by the system calls it makes.

use mainstay_testkit::{Batch, CHROME, Site};

use crate::launch_bare;

#[test]
fn a_server_on_its_defaults_opens_no_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let calls = folder.path().join("calls").display().to_string();
    // The tracer is a grandchild (`-D`), so that the server keeps its place.
    let trace = ["strace", "-D", "-f", "-qq", "-e", "trace=connect,bind", "-o", &calls];
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    let mut server = launch_bare().site(site).wrapper(&trace).start();
    assert_eq!(server.get("/").status, 200);
    server.accept(&Batch::page_view("https://shop.example/").by(CHROME));
    assert_eq!(server.rows("/api/v1/pages").len(), 1);
    server.process().signal("TERM");
    assert_eq!(server.process().wait(std::time::Duration::from_secs(10)).code, Some(0));
    let calls = std::fs::read_to_string(&calls).expect("what strace wrote");
    let of_network = |call: &str| {
        let lines = calls.lines().filter(|line| line.contains(&format!("{call}(")));
        lines.filter(|line| line.contains("AF_INET")).collect::<Vec<_>>()
    };
    assert_eq!(of_network("bind").len(), 2, "two listeners were to be seen: {calls}");
    assert_eq!(of_network("connect"), Vec::<&str>::new());
}
