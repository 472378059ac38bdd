//! The apps of `examples/` as processes of a test, and a certificate to serve them with. Judges nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_testkit::{Launch, Process, Server, Site, TOKEN, checkout};
use serde_json::{Value, json};

/// Time an app may take to listen on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running app; it ends with the test.
pub(crate) struct App {
    _process: Process,
    /// Where it listens, as in `http://127.0.0.1:3000`.
    pub(crate) url: String,
    folder: Site,
}

impl App {
    /// The production build of `examples/nextjs`, in a folder of its own: it makes pages again while it runs.
    pub(crate) fn start_nextjs() -> Self {
        let example = checkout().join("examples/nextjs");
        let build = example.join(".next");
        assert!(build.join("BUILD_ID").is_file(), "{build:?} is not built: run scripts/setup test");
        let folder = Site::new();
        copy(&build, &folder.path(".next"));
        for name in ["package.json", "next.config.ts", "node_modules"] {
            let target = example.join(name).canonicalize().expect("a part of the example");
            folder.link(name, &target);
        }
        let mut command = Process::command("node");
        command.args(["node_modules/next/dist/bin/next", "start", "-H", "127.0.0.1", "-p", "0"]);
        command.env("NEXT_TELEMETRY_DISABLED", "1");
        command.current_dir(folder.dir());
        let process = Process::start(&mut command);
        drop(process.stdout.wait_for("Ready in", START));
        Self::at(process, folder)
    }

    /// `examples/plain-app`.
    pub(crate) fn start_plain() -> Self {
        let mut command = Process::command("node");
        command
            .arg("server.mjs")
            .env("PORT", "0")
            .current_dir(checkout().join("examples/plain-app"));
        Self::at(Process::start(&mut command), Site::new())
    }

    /// Another app that is this one with script planted in every page.
    pub(crate) fn plant(&self) -> Self {
        let mut command = Process::command("node");
        command.args(["stand/planter.mjs", &self.url]).current_dir(checkout().join("e2e"));
        Self::at(Process::start(&mut command), Site::new())
    }

    /// Its build output.
    pub(crate) fn build_dir(&self) -> PathBuf {
        self.folder.path(".next")
    }

    /// An app that has told, or is about to tell, its address.
    fn at(process: Process, folder: Site) -> Self {
        let line = process.stdout.wait_for("http://", START);
        let at = line.find("http://").expect("an address");
        let url = line[at..].trim().to_owned();
        Self { _process: process, url, folder }
    }
}

/// A certificate for this machine that nobody has signed.
pub(crate) struct Certificate(Site);

impl Certificate {
    pub(crate) fn make() -> Self {
        let folder = Site::new();
        let mut command = Process::command("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        command.args(["-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2"]);
        command.args(["-subj", "/CN=localhost"]);
        command.args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]);
        let ended = Process::run(command.current_dir(folder.dir()), START);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        Self(folder)
    }

    /// Has the server speak TLS.
    pub(crate) fn give(&self, launch: Launch) -> Launch {
        let argument = |name: &str| self.0.path(name).to_string_lossy().into_owned();
        launch
            .argument("--tls-cert")
            .argument(&argument("cert.pem"))
            .argument("--tls-key")
            .argument(&argument("key.pem"))
    }

    /// The file of the certificate.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path("cert.pem")
    }
}

/// Where browsers find a server that speaks TLS.
pub(crate) fn https(server: &Server) -> String {
    format!("https://{}", server.site_address())
}

/// What scripts of `e2e/` are told of a server that speaks TLS.
pub(crate) fn input(server: &Server, certificate: &Certificate) -> Value {
    json!({
        "site": https(server),
        "admin": server.admin_url(""),
        "token": TOKEN,
        "certificate": certificate.path(),
    })
}

/// A folder without the compiler's cache.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let target = to.join(entry.file_name());
        if !entry.file_type().expect("a file type").is_dir() {
            std::fs::copy(entry.path(), target).expect("a copied file");
        } else if entry.file_name() != "cache" {
            copy(&entry.path(), &target);
        }
    }
}
