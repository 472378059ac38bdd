//! `scripts/cluster` as a person runs it: up, a page view by way of one process that the other one knows of, down, and nothing is left.

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use mainstay_testkit::{Batch, Connection, Request, checkout, until};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);

/// A folder whose cluster is taken down whatever becomes of the test.
struct Cluster {
    data: PathBuf,
    _home: tempfile::TempDir,
}

impl Cluster {
    fn new() -> Self {
        let home = tempfile::Builder::new().prefix("mainstay-").tempdir().expect("a temp folder");
        // Temp folders are private, and the servers run as somebody else.
        let open = PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(home.path(), open).expect("permissions");
        Self { data: home.path().join("cluster"), _home: home }
    }

    fn run(&self, verb: &str, binary: &str) -> Output {
        let mut script = Command::new(checkout().join("scripts/cluster"));
        script.arg(verb).arg("--data").arg(&self.data).env("MAINSTAY_BINARY", binary);
        script.output().expect("scripts/cluster")
    }

    /// A server's port and what is told of it, by its name.
    fn find(&self, name: &str) -> (u16, String) {
        let list = std::fs::read_to_string(self.data.join("processes")).expect("a list");
        let line = list.lines().find_map(|line| line.strip_prefix(name)).expect("a process");
        let words: Vec<_> = line.trim().splitn(3, ' ').collect();
        (words[1].parse().expect("a port"), words[2].to_owned())
    }

    fn read(&self, admin: u16, path: &str, seen: &str) -> Vec<Value> {
        let token = std::fs::read_to_string(self.data.join("token")).expect("a token");
        let request = Request::get(path)
            .header("authorization", &format!("Bearer {}", token.trim()))
            .header("x-mainstay-token", seen);
        let response = Connection::open(local(admin)).send(&request);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response.json()["data"].as_array().expect("rows").clone()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.run("down", ""));
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Processes that work below a folder.
fn list_below(folder: &Path) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let working = processes.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    working.filter(|place| place.starts_with(folder)).collect()
}

#[test]
fn heavy_up_shares_what_was_seen_and_down_leaves_nothing() {
    let cluster = Cluster::new();
    let up = cluster.run("up", env!("CARGO_BIN_EXE_mainstay"));
    assert!(up.status.success(), "{}", text(&up));
    let status = cluster.run("status", "");
    assert_eq!((status.status.code(), text(&status).matches("running").count()), (Some(0), 11));

    let (_, site) = cluster.find("mainstay-1 ");
    let (admin, _) = cluster.find("mainstay-2 ");
    let address: SocketAddr = site.trim_start_matches("http://").parse().expect("an address");
    let home = Connection::open(address).send(&Request::get("/"));
    assert_eq!(home.status, 200);
    let view = Batch::page_view(&format!("{site}/by-way-of-one"));
    let taken = Connection::open(address).send(&view.request());
    assert_eq!(taken.status, 204, "{}", taken.text());
    // With what the one said of it, the other one's very first answer has it, whoever of the servers is asked.
    let seen = taken.header("x-mainstay-token").expect("a token");
    let pages = cluster.read(admin, "/api/v1/pages", seen);
    assert_eq!(pages[0]["key"], "/by-way-of-one", "{pages:?}");
    let nodes = cluster.read(admin, "/api/v1/nodes", seen);
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    // Redis is given 40 ms to say that it is well, which a busy machine may miss once.
    for (engine, primaries, replicas) in [("postgres", 1, 2), ("redis", 3, 3)] {
        until(&format!("all of {engine}"), SOON, || {
            let servers = cluster.read(admin, "/api/v1/databases", seen);
            let of = |role: &str| {
                let of_role = |row: &&Value| row["engine"] == engine && row["role"] == role;
                servers.iter().filter(of_role).filter(|row| row["healthy"] == true).count()
            };
            (of("primary"), of("replica")) == (primaries, replicas)
        });
    }

    let again = cluster.run("up", env!("CARGO_BIN_EXE_mainstay"));
    assert!(!again.status.success() && text(&again).contains("already"), "{}", text(&again));
    let down = cluster.run("down", "");
    assert!(down.status.success(), "{}", text(&down));
    assert!(!text(&down).contains("killed"), "all ended by themselves: {}", text(&down));
    assert_eq!(list_below(&cluster.data), [""; 0].map(PathBuf::from));
    assert!(!cluster.data.exists());
    assert_eq!(cluster.run("status", "").status.code(), Some(1));
}

#[test]
fn heavy_a_start_that_fails_leaves_nothing() {
    let cluster = Cluster::new();
    let up = cluster.run("up", "false");
    assert!(!up.status.success() && text(&up).contains("mainstay-1 ended"), "{}", text(&up));
    assert_eq!(list_below(&cluster.data), [""; 0].map(PathBuf::from));
    assert!(!cluster.data.exists());
}

/// What lies in it is run, as whoever calls the script: root, for one.
#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    let mut cluster = Cluster::new();
    std::fs::create_dir(&cluster.data).expect("a folder");
    // Only root can give a folder away; to everybody else the root of the file system is somebody else's.
    if std::os::unix::fs::chown(&cluster.data, Some(65_534), None).is_err() {
        let owner = |path: &Path| std::fs::metadata(path).expect("a folder").uid();
        let root = Path::new("/");
        assert_ne!(owner(root), owner(&cluster.data), "no folder here is somebody else's");
        cluster.data = root.into();
    }
    for verb in ["up", "status", "down"] {
        let refused = cluster.run(verb, "false");
        assert!(!refused.status.success(), "{verb}: {}", text(&refused));
        assert!(text(&refused).contains("belongs to somebody else"), "{verb}: {}", text(&refused));
    }
    assert!(cluster.data.exists() && !cluster.data.join("processes").exists());
}
