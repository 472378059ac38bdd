//! Nothing outside the folder, no dotfile, and nothing of ours inside it: whatever is asked, however it is spelled.

use std::path::Path;

use mainstay_testkit::{Launch, Request, Server, Site, find_bytes, list_files_with};
use tempfile::TempDir;

use crate::launch;

const CANARY: &str = "canary-4f1c9e2d7b";

/// A folder with the site in `site/`, and things beside it and in it that nobody must see.
fn trapped() -> (TempDir, Site) {
    let outside = tempfile::tempdir().expect("a temp folder");
    let site = Site::of(&[
        ("index.html", "<p>home</p>"),
        ("docs/index.html", "<p>docs</p>"),
        ("a.txt", "a"),
    ]);
    std::fs::write(outside.path().join("secret.txt"), CANARY).expect("written");
    std::fs::create_dir(outside.path().join("folder")).expect("made");
    std::fs::write(outside.path().join("folder/index.html"), CANARY).expect("written");
    for name in
        [".env", ".git/config", "docs/.htpasswd", ".well-known/.hidden", ".ssh/id", "..secret"]
    {
        site.write(name, CANARY);
    }
    site.link("link.txt", &outside.path().join("secret.txt"));
    site.link("folder", &outside.path().join("folder"));
    site.link("docs/up", Path::new("../.."));
    site.link("etc", Path::new("/etc"));
    site.link("page.html", &outside.path().join("folder/index.html"));
    site.link("self-env.txt", Path::new(".env"));
    (outside, site)
}

const SPELLINGS: [&str; 76] = [
    "/.env",
    "/.git/config",
    "/.git",
    "/.git/",
    "/docs/.htpasswd",
    "/.well-known/.hidden",
    "/.ssh/id",
    "/..secret",
    "/%2eenv",
    "/%2Eenv",
    "/.%65nv",
    "/%2e%65%6e%76",
    "/./.env",
    "/docs/../.env",
    "/.env/",
    "/.env%00.html",
    "/.env%20",
    "/.env.",
    "/.env?x",
    "/.env;x",
    "/link.txt",
    "/folder/",
    "/folder/index.html",
    "/folder",
    "/page",
    "/page.html",
    "/docs/up/secret.txt",
    "/docs/up/",
    "/etc/passwd",
    "/etc/hostname",
    "/../secret.txt",
    "/../../secret.txt",
    "/docs/../../secret.txt",
    "/%2e%2e/secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/..%2fsecret.txt",
    "/..%5csecret.txt",
    "/..\\secret.txt",
    "/\\..\\secret.txt",
    "/%252e%252e/secret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/%e0%80%ae%e0%80%ae/secret.txt",
    "/..;/secret.txt",
    "/.;/../secret.txt",
    "/.../secret.txt",
    "/docs/%2e%2e/%2e%2e/secret.txt",
    "/a.txt/../.env",
    "/a.txt/../../secret.txt",
    "/a.txt%00/../.env",
    "//etc/passwd",
    "///etc/passwd",
    "/%2fetc/passwd",
    "/%2Fetc%2Fpasswd",
    "/file:///etc/passwd",
    "../secret.txt",
    "..",
    "/..",
    "/../",
    "/.",
    "/./",
    "/%2e",
    "/%2e%2e",
    "/docs//../.env",
    "/docs/..%00/.env",
    "/~root/.env",
    "/%",
    "/%2",
    "/%zz",
    "http://localhost/../secret.txt",
    "http://localhost/.env",
    "http://localhost/%2e%2e/secret.txt",
    "*",
    "/proc/self/environ",
    "/dev/null",
    "/self-env.txt/..",
    "/docs/index.html/../../.env",
];

fn raw_paths(outside: &Path, site: &Path) -> Vec<String> {
    let secret = outside.join("secret.txt").display().to_string();
    let name = site.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut paths: Vec<String> = SPELLINGS.map(str::to_owned).to_vec();
    paths.push(secret.clone());
    paths.push(format!("/{secret}"));
    paths.push(format!("/..{secret}"));
    paths.push(format!("/%2f{}", secret.replace('/', "%2f")));
    paths.push(format!("/../{name}.neighbour"));
    paths.push(format!("/..%2f{name}.neighbour"));
    paths
}

#[test]
fn no_spelling_of_a_path_leads_out_of_the_folder_or_to_a_dotfile() {
    let (outside, site) = trapped();
    // Goes away with the test, however that ends.
    let beside = site.dir().with_extension("neighbour");
    std::fs::write(&beside, CANARY).expect("written");
    let neighbour = tempfile::TempPath::try_from_path(beside).expect("a path");
    let paths = raw_paths(outside.path(), site.dir());
    assert!(paths.len() >= 60, "{}", paths.len());
    let server = launch().site(site).start();
    for path in &paths {
        for line in [format!("GET {path} HTTP/1.1"), format!("GET {path} HTTP/1.0")] {
            let request = format!("{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let mut connection = server.connect();
            connection.write(request.as_bytes()).expect("sent");
            let answer = connection.read_to_end().expect("an end");
            assert_eq!(find_bytes(&answer, CANARY.as_bytes()), None, "{line}");
            assert_eq!(find_bytes(&answer, b"root:x:0"), None, "{line}");
            let status = answer.get(9..12).unwrap_or_default();
            let fine = matches!(status, b"400" | b"404" | b"308" | b"200" | b"");
            assert!(fine, "{line}: {}", String::from_utf8_lossy(&answer));
        }
    }
    drop(neighbour);
    assert_eq!(server.get("/a.txt").body, b"a", "and it still serves");
    assert_eq!(server.get("/docs/").status, 200);
}

#[test]
fn links_within_the_folder_and_well_known_files_are_served() {
    let site = Site::of(&[("a.txt", "a"), (".well-known/security.txt", "Contact: x")]);
    site.link("b.txt", Path::new("a.txt"));
    let server = launch().site(site).start();
    assert_eq!(server.get("/b.txt").body, b"a");
    assert_eq!(server.get("/.well-known/security.txt").body, b"Contact: x");
}

/// `cd site && mainstay serve .`, with settings, token and data dir all inside the folder.
fn serve_in_place(site: &Site) -> Server {
    site.write("index.html", "<p>home</p>");
    site.write("real.toml", format!("# {CANARY}\n[edge]\nrevalidate_after = \"1ms\"\n"));
    site.link("mainstay.toml", Path::new("real.toml"));
    Launch::in_place(env!("CARGO_BIN_EXE_mainstay"), site.dir()).start()
}

#[test]
fn what_is_ours_is_never_served_even_inside_the_folder() {
    let site = Site::new();
    let server = serve_in_place(&site);
    assert_eq!(server.get("/").status, 200);
    let data = site.path("mainstay-data");
    assert_eq!(server.data_dir(), data);
    std::fs::hard_link(data.join("core.db"), site.path("copy.db")).expect("linked");
    site.link("data-link", &data);
    site.link("core-link.db", &data.join("core.db"));
    site.link("token-link.txt", &site.path("token"));
    std::fs::write(data.join("later.txt"), CANARY).expect("written");

    let ours = list_files_with(&data, "");
    assert!(ours.len() >= 4, "{ours:?}");
    let below = |file: &Path| {
        file.strip_prefix(site.dir()).map(|f| format!("/{}", f.display())).unwrap_or_default()
    };
    let mut paths: Vec<_> = ours.iter().map(|file| below(file)).collect();
    for path in [
        "mainstay.toml",
        "real.toml",
        "token",
        "copy.db",
        "core-link.db",
        "token-link.txt",
        "data-link/core.db",
        "data-link/later.txt",
        "mainstay-data",
        "mainstay-data/",
        "mainstay-data/control.sock",
    ] {
        paths.push(format!("/{path}"));
    }
    for path in &paths {
        let response = server.get(path);
        assert_eq!(response.status, 404, "{path}");
        assert_eq!(find_bytes(&response.body, CANARY.as_bytes()), None, "{path}");
        assert_eq!(find_bytes(&response.body, b"SQLite format 3"), None, "{path}");
    }
    let head = server.send(&Request::head("/mainstay-data/core.db"));
    assert_eq!(head.status, 404);
}
