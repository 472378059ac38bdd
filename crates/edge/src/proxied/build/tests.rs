//! Build folders as Next.js writes them, and what an app may send from them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use mainstay_guard::csp::{Hash, Kind};

use super::*;

const BEGIN: &str = "(self.__next_f=self.__next_f||[]).push([0])";
const CHUNK: &str = "/* chunk */";

struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    /// A build with a start page, a 404 and a page that is made again at run time.
    fn new() -> Self {
        let folder = Self { dir: tempfile::tempdir().expect("tempdir") };
        folder.write("static/chunks/app-1.js", CHUNK);
        folder.write("../public/vendor.js", "/* vendor */");
        folder.write("server/app/index.html", &html("home", &[BEGIN, "theme()"]));
        let missing = html("404", &[BEGIN]).replace("<head>", "<head><style>body{}</style>");
        folder.write("server/app/_not-found.html", &missing);
        folder.write("server/app/news/a b.html", &html("old", &[BEGIN, "layout()"]));
        folder.age_all();
        folder.write("routes-manifest.json", "{\"basePath\":\"\"}");
        folder.write("BUILD_ID", "one");
        folder
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(".next")
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.path().join(name);
        std::fs::create_dir_all(file.parent().expect("parent")).expect("folder");
        std::fs::write(file, text).expect("write");
    }

    /// Pages are older than the manifests.
    fn age_all(&self) {
        for name in ["index", "_not-found", "news/a b"] {
            set_age(&self.path().join(format!("server/app/{name}.html")), 100);
        }
    }

    fn open(&self) -> Build {
        Build::open(Settings {
            dir: self.path(),
            hosts: Vec::new(),
            tag: None,
            page_bytes_max: 64 << 10,
            cache_bytes_max: 1 << 20,
            revalidate_ms: 1_000,
        })
    }
}

fn set_age(file: &Path, seconds: u64) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - seconds);
    let file = std::fs::File::options().write(true).open(file).expect("open");
    file.set_modified(at).expect("times");
}

fn html(words: &str, scripts: &[&str]) -> String {
    let scripts: String = scripts.iter().map(|text| format!("<script>{text}</script>")).collect();
    format!(
        "<!DOCTYPE html><html><head><script src=\"/_next/static/chunks/app-1.js\" async=\"\"></script>\
         <script src=\"/vendor.js\"></script></head><body>{words}{scripts}</body></html>"
    )
}

fn wanted(path: &str, status: u16, kept: bool) -> Wanted {
    Wanted { path: path.to_owned(), status, kept }
}

async fn page(build: &Build, path: &str, status: u16, kept: bool, sent: &str) -> Arc<BuiltPage> {
    match build.find(wanted(path, status, kept), &Bytes::from(sent.to_owned()), 0).await {
        Match::Page(page) => page,
        Match::Other(_) => panic!("{path} is a page of the build"),
    }
}

async fn other(build: &Build, path: &str, kept: bool, sent: &str) -> Other {
    match build.find(wanted(path, 200, kept), &Bytes::from(sent.to_owned()), 0).await {
        Match::Page(_) => panic!("{path} is no page of the build"),
        Match::Other(other) => other,
    }
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn a_page_of_the_build_gets_integrity_and_its_hashes() {
    let folder = Folder::new();
    let build = folder.open();
    let home = page(&build, "/", 200, true, &html("home", &[BEGIN, "theme()"])).await;
    let chunk = Hash::of_file(CHUNK.as_bytes());
    let vendor = Hash::of_file(b"/* vendor */");
    assert!(text(&home.body).contains(&format!("integrity=\"{}\"", chunk.as_str())));
    assert_eq!(home.facts.external_scripts, [chunk, vendor].into());
    let inline = [Hash::of_text(BEGIN), Hash::of_text("theme()")];
    assert_eq!(home.facts.inline_scripts, inline.into());
}

#[tokio::test]
async fn pages_are_found_by_decoded_paths_and_by_status() {
    let folder = Folder::new();
    let build = folder.open();
    page(&build, "/news/a%20b", 200, true, &html("old", &[BEGIN, "layout()"])).await;
    let missing = html("404", &[BEGIN]).replace("<head>", "<head><style>body{}</style>");
    page(&build, "/no/such/page", 404, true, &missing).await;
    assert_eq!(build.shared().inline_styles, [Hash::of_text("body{}")].into());
    assert!(
        build
            .find_by_length(wanted("/", 200, true), html("home", &[BEGIN, "theme()"]).len(), 0)
            .await
            .is_some()
    );
    assert!(build.find_by_length(wanted("/", 200, true), 7, 0).await.is_none());
}

#[tokio::test]
async fn a_planted_script_is_known_to_nobody() {
    let folder = Folder::new();
    let build = folder.open();
    let planted = "<script>evil()</script><script src=\"/uploads/evil.js\"></script>\
        <script src=\"https://evil.example/x.js\" integrity=\"sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO\"></script>";
    let sent = html("home", &[BEGIN, "theme()"]).replace("<body>", &format!("<body>{planted}"));
    let other = other(&build, "/", false, &sent).await;
    assert!(text(&other.body).contains("evil()"), "the app's bytes stay");
    let known = other.known;
    assert!(known.inline_scripts.contains(&Hash::of_text("theme()")), "what the build knows runs");
    assert!(!known.inline_scripts.contains(&Hash::of_text("evil()")));
    let chunk = Hash::of_file(CHUNK.as_bytes());
    let vendor = Hash::of_file(b"/* vendor */");
    assert_eq!(known.external_scripts, [chunk, vendor].into());
    assert!(known.sources.iter().all(|(kind, _)| *kind != Kind::Script));
}

#[tokio::test]
async fn a_page_made_again_is_allowed_its_data_and_the_builds_scripts_only() {
    let folder = Folder::new();
    let build = folder.open();
    let push = "self.__next_f.push([1,\"0:new\"])";
    let sent = html("new", &[BEGIN, "layout()", "evil()", push]);
    let route = "server/route-cache/APP_PAGE/0a1b/$/news";
    folder.write(&format!("{route}/a b.html"), &sent);
    folder.write(&format!("{route}/a b.rsc"), "0:new");
    let found = page(&build, "/news/a%20b", 200, true, &sent).await;
    let inline = [BEGIN, "layout()", push].map(Hash::of_text);
    assert_eq!(found.facts.inline_scripts, inline.into(), "evil() is not among them");

    let planted = "self.__next_f.push([1,\"9:planted\"])";
    let sent = html("newer", &[BEGIN, "layout()", planted, push]);
    folder.write(&format!("{route}/a b.html"), &sent);
    let found = page(&build, "/news/a%20b", 200, true, &sent).await;
    let inline = [BEGIN, "layout()"].map(Hash::of_text);
    assert_eq!(found.facts.inline_scripts, inline.into());
}

#[tokio::test]
async fn a_page_younger_than_the_build_is_the_running_apps() {
    let folder = Folder::new();
    let build = folder.open();
    let sent = html("home", &[BEGIN, "evil()"]);
    folder.write("server/app/index.html", &sent);
    let file = std::fs::File::options()
        .write(true)
        .open(folder.path().join("server/app/index.html"))
        .expect("open");
    let later = folder.path().join("BUILD_ID").metadata().expect("id").modified().expect("time");
    file.set_modified(later + Duration::from_secs(5)).expect("times");
    let found = page(&build, "/", 200, true, &sent).await;
    assert!(!found.facts.inline_scripts.contains(&Hash::of_text("evil()")));
    assert!(!found.facts.external_scripts.contains(&Hash::of_file(b"/* vendor */")));
}

#[tokio::test]
async fn a_page_that_is_being_written_is_waited_for() {
    let folder = Folder::new();
    let build = folder.open();
    let sent = html("new", &[BEGIN]);
    let write = async {
        folder.write("server/route-cache/APP_PAGE/0a1b/$/news/late.html", &sent);
    };
    tokio::join!(page(&build, "/news/late", 200, true, &sent), write);
    assert_eq!(build.now().missed.len(), 0);
}

#[tokio::test]
async fn nobody_waits_twice_for_one_page_nor_for_one_that_is_not_kept() {
    let folder = Folder::new();
    let build = folder.open();
    let sent = html("not on the disk", &[BEGIN]);
    other(&build, "/news/a%20b", true, &sent).await;
    assert!(build.now().missed.get(&key_of(sent.as_bytes())).is_some());
    assert!(build.now().in_vain.load(Relaxed), "the next is not waited for as long");
    other(&build, "/", false, &html("made for this request", &[])).await;
    assert_eq!(build.now().missed.len(), 1);

    let written = html("on the disk", &[BEGIN]);
    folder.write("server/app/index.html", &written);
    page(&build, "/", 200, true, &written).await;
    assert!(!build.now().in_vain.load(Relaxed), "this app does write its pages");
}

#[tokio::test]
async fn a_new_build_takes_the_old_ones_place() {
    let folder = Folder::new();
    let build = folder.open();
    let old = html("home", &[BEGIN, "theme()"]);
    page(&build, "/", 200, true, &old).await;
    let new = html("home", &[BEGIN, "theme2()"]);
    folder.write("server/app/index.html", &new);
    folder.age_all();
    folder.write("BUILD_ID", "two, of another length");
    let (old, new) = (Bytes::from(old), Bytes::from(new));
    let found = build.find(wanted("/", 200, false), &old, 500).await;
    assert!(matches!(found, Match::Page(_)), "not looked at yet");
    let found = build.find(wanted("/", 200, false), &old, 2_000).await;
    assert!(matches!(found, Match::Other(_)));
    let found = build.find(wanted("/", 200, false), &new, 2_000).await;
    assert!(matches!(found, Match::Page(_)));
}

#[tokio::test]
async fn a_folder_without_a_build_knows_nothing() {
    let dir = tempfile::tempdir().expect("tempdir");
    let folder = Folder { dir };
    let build = folder.open();
    assert!(!build.is_there());
    let other = other(&build, "/../../etc/passwd", false, "<html></html>").await;
    assert_eq!(other.known, PageFacts::default());
    folder.write("BUILD_ID", "one");
    build.find(wanted("/", 200, false), &Bytes::new(), 5_000).await;
    assert!(build.is_there(), "found when it comes");
}
