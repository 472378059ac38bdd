//! A data folder made once per machine and copied for every server: `initdb` takes longer than all the rest.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::node::{PASSWORD, ROLE};
use super::{program, run};
use crate::home::{Home, NOBODY, is_root};

/// Changes when the way it is made does.
const RECIPE: u32 = 3;
const SMALLEST: [&str; 5] = [
    "max_connections=5",
    "max_wal_senders=1",
    "max_worker_processes=1",
    "max_locks_per_transaction=10",
    "wal_level=replica",
];

/// Copies the template into a folder that is there and empty.
pub(super) fn copy_to(dir: &Path) {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    let template = TEMPLATE.get_or_init(find_or_make);
    copy(template, dir);
}

/// Whether the extension that counts statements is installed (Debian's package has it).
pub(super) fn counts_statements() -> bool {
    let bin = program("postgres");
    let lib = bin.parent().and_then(Path::parent).map(|version| version.join("lib"));
    lib.is_some_and(|lib| lib.join("pg_stat_statements.so").exists())
}

fn find_or_make() -> PathBuf {
    let version = program("postgres").to_string_lossy().replace(['/', '.'], "-");
    let kept = cache().join("testkit");
    std::fs::create_dir_all(&kept).expect("a folder for what is kept");
    let template = kept.join(format!("postgres{version}-{RECIPE}"));
    // Tests start at the same time: one makes it, the others wait.
    let lock = File::create(template.with_extension("lock")).expect("a lock file");
    lock.lock().expect("a lock");
    if !template.exists() {
        let home = Home::new();
        let made = make(&home);
        // Under its name only when it is whole.
        let whole = kept.join(format!("postgres-{}", std::process::id()));
        std::fs::create_dir(&whole).expect("a new folder");
        copy(&made, &whole);
        std::fs::rename(&whole, &template).expect("a template");
    }
    template
}

fn make(home: &Home) -> PathBuf {
    let dir = home.create_folder("template");
    let mut initdb = Command::new(program("initdb"));
    initdb.args(["-U", "app", "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8", "-D"]);
    run(initdb.arg(&dir).current_dir(&dir));
    add_role(&dir);
    shrink(&dir);
    dir
}

/// The role of whoever is under test: it is nobody special, and says a password.
fn add_role(dir: &Path) {
    let rules = dir.join("pg_hba.conf");
    let before = std::fs::read_to_string(&rules).expect("the rules of who may come");
    let first = format!("host all {ROLE} 127.0.0.1/32 scram-sha-256\n{before}");
    std::fs::write(&rules, first).expect("written");
    let words = dir.join("role.sql");
    std::fs::write(&words, format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'\n"))
        .expect("written");
    let mut once = Command::new(program("postgres"));
    once.args(["--single", "-D"]).arg(dir).arg("postgres");
    run(once.stdin(File::open(&words).expect("just written")).current_dir(dir));
    std::fs::remove_file(words).expect("just written");
}

/// A replica refuses settings below those its data were last written with: the template is written with the smallest.
fn shrink(dir: &Path) {
    let mut once = Command::new(program("postgres"));
    once.args(["--single", "-D"])
        .arg(dir)
        .args(SMALLEST.map(|setting| ["-c", setting]).as_flattened());
    run(once.arg("postgres").stdin(std::process::Stdio::null()).current_dir(dir));
}

/// As it is, modes and all; for its new owner.
fn copy(from: &Path, to: &Path) {
    let mut copy = Command::new("cp");
    copy.args(["-R", "--preserve=mode", "--reflink=auto"]).arg(from.join(".")).arg(to);
    let copied = copy.status().expect("cp");
    assert!(copied.success(), "{} cannot be copied", from.display());
    if is_root() {
        let owner = format!("{NOBODY}:{NOBODY}");
        let given = Command::new("chown").args(["-R", &owner]).arg(to).status();
        assert!(given.is_ok_and(|status| status.success()), "root may give files away");
    }
}

/// Where things are kept between runs, as in `scripts/environment`.
#[expect(
    clippy::disallowed_methods,
    reason = "where a machine keeps things is told by its environment"
)]
fn cache() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("MAINSTAY_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|dir| dir.join("mainstay")))
        .or_else(|| named("HOME").map(|dir| dir.join(".cache/mainstay")))
        .unwrap_or_else(|| std::env::temp_dir().join("mainstay-cache"))
}
