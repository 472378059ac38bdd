//! Starts that must not happen: refused with exit code 3 and a sentence that says what to change, harming nobody who runs already.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use mainstay_testkit::{Batch, Ended, Process, Site, free_port};

use crate::{launch, launch_bare, serve};

fn assert_refused(ended: &Ended, words: &[&str]) {
    assert_eq!((ended.code, ended.signal), (Some(3), None), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is not in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "", "nothing is announced");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", free_port())).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    assert_refused(&launch().listen(&address).run(), &[&address, "in use"]);
    assert_refused(&launch().admin_listen(&address).run(), &[&address, "in use", "admin"]);
}

#[test]
fn a_second_server_on_the_same_data_dir_is_refused_and_the_first_goes_on() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    let second = launch().data_dir(server.data_dir()).run();
    assert_refused(&second, &["in use", &server.data_dir().display().to_string(), "--data-dir"]);
    server.accept(&Batch::page_view("https://a/"));
    assert_eq!(server.get("/").status, 200);
    assert!(server.data_dir().join("control.sock").exists(), "its socket was left alone");
}

#[test]
fn a_data_dir_that_cannot_be_written_is_refused() {
    let site = Site::of(&[("file", "no folder")]);
    for dir in [
        site.path("file"),
        site.path("file/below"),
        "/proc/mainstay-data".into(),
        "/sys/mainstay-data".into(),
    ] {
        assert_refused(
            &launch_bare().data_dir(&dir).run(),
            &[&dir.display().to_string(), "cannot be used"],
        );
    }
}

#[test]
fn a_folder_of_somebody_else_is_no_data_dir_and_left_as_it_is() {
    let folder = Site::of(&[("thesis.txt", "do not touch")]);
    let mode = || std::fs::metadata(folder.dir()).expect("there").permissions().mode() & 0o777;
    std::fs::set_permissions(folder.dir(), Permissions::from_mode(0o755)).expect("set");
    let ended = launch().data_dir(folder.dir()).run();
    assert_refused(&ended, &[&folder.dir().display().to_string(), "--data-dir"]);
    assert_eq!(mode(), 0o755);
    assert_eq!(std::fs::read_dir(folder.dir()).expect("there").count(), 1);
}

#[test]
fn unknown_settings_are_named_with_their_place_and_what_was_meant() {
    let config = "[edge]\nworkers = 1\n  lisen = \"127.0.0.1:0\"\n[insigth]\nevents_max = 5\n";
    let ended = launch().config(config).run();
    assert_refused(
        &ended,
        &[
            "mainstay.toml:3:3: unknown setting \"edge.lisen\"; did you mean \"edge.listen\"?",
            "mainstay.toml:4:2: unknown setting \"insigth\"; did you mean \"insight\"?",
        ],
    );
    let variable = launch().variable("MAINSTAY_EDGE__HEAD_TIMEUOT", "3s").run();
    assert_refused(
        &variable,
        &["\"MAINSTAY_EDGE__HEAD_TIMEUOT\"; did you mean \"MAINSTAY_EDGE__HEAD_TIMEOUT\"?"],
    );
    let value = launch().config("[edge]\nhead_timeout = \"3\"\n").run();
    assert_refused(&value, &["mainstay.toml:2:16", "needs a unit"]);
    let exposed = launch().admin_listen("0.0.0.0:0").run();
    assert_refused(&exposed, &["loopback"]);
    let missing = launch().argument("--config").argument("/nowhere/mainstay.toml").run();
    assert_refused(&missing, &["/nowhere/mainstay.toml"]);
}

#[test]
fn a_site_that_is_not_there_is_refused() {
    let ended = launch().folder(std::path::Path::new("/nowhere/site")).run();
    assert_refused(&ended, &["/nowhere/site"]);
}

#[test]
fn wrong_usage_is_two() {
    assert_eq!(launch().argument("--invented").run().code, Some(2));
    let mut command = Process::command(env!("CARGO_BIN_EXE_mainstay"));
    let bare = Process::run(&mut command, Duration::from_secs(20));
    assert_eq!(bare.code, Some(2));
    assert!(bare.stderr.contains("Usage"), "{}", bare.stderr);
}

#[test]
fn a_refused_start_leaves_nothing_running_and_the_data_dir_free() {
    let taken = TcpListener::bind(("127.0.0.1", free_port())).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let data = Site::new();
    assert_refused(&launch().data_dir(data.dir()).listen(&address).run(), &["in use"]);
    let server = launch().data_dir(data.dir()).site(Site::of(&[("index.html", "x")])).start();
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_killed_server_leaves_a_data_dir_that_starts_again() {
    let data = Site::new();
    let mut first = launch().data_dir(data.dir()).start();
    first.accept(&Batch::page_view("https://a/kept"));
    first.kill();
    assert!(data.path("control.sock").exists(), "as a crash leaves it");
    let second = launch().data_dir(data.dir()).start();
    assert_eq!(second.rows("/api/v1/pages")[0]["key"], "/kept");
}

#[test]
fn the_data_dir_is_for_its_owner_alone() {
    let server = launch_bare().start();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(server.data_dir().join(name)).expect("there");
        metadata.permissions().mode() & 0o777
    };
    for (name, expected) in [
        ("", 0o700),
        ("keys", 0o700),
        ("core.db", 0o600),
        ("insight.db", 0o600),
        ("control.sock", 0o600),
    ] {
        assert_eq!(mode(name), expected, "{name}: {:o}", mode(name));
    }
}
