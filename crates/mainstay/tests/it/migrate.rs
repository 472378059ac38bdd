//! `mainstay migrate` as an operator meets it: exit codes and words, a server that goes on meanwhile, and sudden death.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mainstay_testkit::{
    Batch, Ended, Launch, Postgres, PostgresNode, Process, Server, Site, fresh_id, until,
};
use serde_json::Value;

use crate::launch_bare;

const PATIENCE: Duration = Duration::from_secs(60);

/// As a user of a shell with nothing set would run it.
fn migrate(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Process::command(env!("CARGO_BIN_EXE_mainstay"));
    command.env_clear().arg("migrate").arg("--data-dir").arg(data).args(arguments);
    command.current_dir(data.parent().unwrap_or(data));
    command
}

fn run(data: &Path, arguments: &[&str]) -> Ended {
    Process::run(&mut migrate(data, arguments), PATIENCE)
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

fn on(data: &Path) -> Launch {
    launch_bare().data_dir(data).site(Site::of(&[("index.html", "<p>home</p>")]))
}

/// Events of a page view of its own.
fn view(n: usize) -> Batch {
    Batch::page_view(&format!("https://a/p{}", n % 20))
}

fn views(server: &Server) -> u64 {
    server.rows("/api/v1/pages").iter().filter_map(|row| row["pageviews"].as_u64()).sum()
}

fn rows(report: &Value, table: &str) -> u64 {
    let tables = report["tables"].as_array().expect("tables");
    let found = tables.iter().find(|row| row["table"] == table);
    found.and_then(|row| row["database_rows"].as_u64()).expect("a table")
}

#[test]
fn an_installation_moves_while_it_serves_and_goes_on_where_it_was() {
    let data = tempfile::tempdir().expect("a temp folder");
    let postgres = Postgres::shared();
    let url = postgres.primary_url(&postgres.create_database());
    let mut server = on(data.path()).start();
    let kept = view(0);
    server.accept(&kept);
    for n in 1..30 {
        server.accept(&view(n));
    }
    let planned = run(data.path(), &["--to", &url, "--dry-run", "--json"]);
    assert_eq!(rows(&json(&planned), "page_views"), 0);
    let online = run(data.path(), &["--to", &url]);
    assert_eq!(online.code, Some(0), "{online:?}");
    for words in ["page_views", "equal", "stop it, run this command once more"] {
        assert!(online.stdout.contains(words), "{words:?}: {}", online.stdout);
    }
    assert!(online.stderr.contains("pass 1: page_views: 30 rows\n"), "{}", online.stderr);

    let early = tempfile::tempdir().expect("a temp folder");
    let early = on(early.path()).variable("DATABASE_PRIMARY_URL", &url).run();
    assert_eq!(early.code, Some(3), "{early:?}");
    assert!(early.stderr.contains("finish `mainstay migrate --to`"), "{early:?}");

    for n in 30..40 {
        server.accept(&view(n));
    }
    server.stop();
    let last = json(&run(data.path(), &["--to", &url, "--json"]));
    assert_eq!((&last["equal"], &last["last"]), (&true.into(), &true.into()), "{last}");
    assert_eq!(rows(&last, "page_views"), 40);
    assert!(last["changed"].as_u64() > Some(0), "{last}");

    let mut server = on(data.path()).variable("DATABASE_PRIMARY_URL", &url).start();
    server.accept(&kept);
    server.accept(&view(40));
    assert_eq!(views(&server), 41, "what was sent before the move and again after it is known");
    server.stop();
    let undone = run(data.path(), &["--to", &url]);
    assert_eq!(undone.code, Some(3), "{undone:?}");
    assert!(undone.stderr.contains("a server has already worked with this database"), "{undone:?}");
}

/// Whoever is told so can do nothing but bring the version that made it.
#[test]
fn a_step_of_the_schema_in_other_words_ends_every_start() {
    let data = tempfile::tempdir().expect("a temp folder");
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let url = postgres.primary().url(&database);
    let migrate = |url: &str, arguments: &[&str]| {
        let mut command = migrate(data.path(), arguments);
        Process::run(command.env("DATABASE_PRIMARY_URL", url), PATIENCE)
    };
    assert_eq!(migrate(&url, &[]).code, Some(0));
    let other = "UPDATE mainstay._sqlx_migrations SET checksum = '' WHERE version = 3";
    let _ = postgres.primary().query(&database, other);
    let pooled = format!("{url}?pooled=true");
    let served = tempfile::tempdir().expect("a temp folder");
    let refused = [
        migrate(&url, &["--dry-run"]),
        migrate(&url, &[]),
        migrate(&pooled, &[]),
        on(served.path()).variable("DATABASE_PRIMARY_URL", &url).run(),
        on(served.path()).variable("DATABASE_PRIMARY_URL", &pooled).run(),
    ];
    for ended in refused {
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.stderr.contains("migration 3 was previously applied"), "{ended:?}");
    }
}

/// By hand, where no server runs that would do it.
#[test]
fn rows_without_a_partition_are_split_by_hand() {
    const ROWS: &str = "INSERT INTO mainstay.engagement_default
        (id, page_id, recorded_at, path, engaged_ms, scroll_percent)
        SELECT 'event-of-day-' || (1000 + day), 'page', now() + day * INTERVAL '1 day', '/', 1, 1
        FROM generate_series(20, 59) AS day";
    let data = tempfile::tempdir().expect("a temp folder");
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let url = postgres.primary().url(&database);
    let split = |arguments: &[&str]| {
        let mut command = migrate(data.path(), &["--split"]);
        Process::run(command.args(arguments).env("DATABASE_PRIMARY_URL", &url), PATIENCE)
    };
    let none = split(&[]);
    assert_eq!(none.code, Some(0), "{none:?}");
    assert!(none.stdout.contains("every row lies in the partition"), "no schema: {none:?}");
    let up = Process::run(migrate(data.path(), &[]).env("DATABASE_PRIMARY_URL", &url), PATIENCE);
    assert_eq!(up.code, Some(0), "{up:?}");
    let _ = postgres.primary().query(&database, ROWS);
    let told = json(&split(&["--dry-run", "--json"]));
    let row = &told["tables"][0];
    assert_eq!((&row["table"], &row["rows"]), (&"engagement".into(), &40.into()), "{told}");
    assert_eq!(row["moved"], false);
    let moved = split(&[]);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    assert!(moved.stdout.contains("engagement: 40 rows put into partitions"), "{moved:?}");
    let left = "SELECT (SELECT count(*) FROM mainstay.engagement_default), count(*) FROM mainstay.engagement";
    assert_eq!(postgres.primary().query(&database, left), "0|40");
    postgres.primary().stop();
    assert_eq!(split(&[]).code, Some(4));
}

/// The steps are what it is about: a server makes the days, and does not wait for them either.
#[test]
fn a_day_that_cannot_be_made_yet_is_told_and_no_failure() {
    let data = tempfile::tempdir().expect("a temp folder");
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let url = postgres.primary().url(&database);
    let up = || Process::run(migrate(data.path(), &[]).env("DATABASE_PRIMARY_URL", &url), PATIENCE);
    let first = up();
    assert_eq!((first.code, first.stderr.as_str()), (Some(0), ""), "{first:?}");
    // As where a default is looked through for too long.
    let _ = postgres.primary().query(
        &database,
        "DO $$ DECLARE day TEXT; BEGIN
            SELECT max(inhrelid::regclass::text) INTO day FROM pg_inherits
            WHERE inhparent = 'mainstay.engagement'::regclass AND inhrelid::regclass::text !~ 'default';
            EXECUTE 'DROP TABLE ' || day;
         END $$;
         CREATE FUNCTION late() RETURNS event_trigger LANGUAGE plpgsql AS $late$
         BEGIN RAISE 'takes too long' USING ERRCODE = 'query_canceled'; END $late$;
         CREATE EVENT TRIGGER late ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION late()",
    );
    let told = up();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains("up to date"), "{told:?}");
    for word in ["takes too long", "mainstay migrate --split"] {
        assert!(told.stderr.contains(word), "{word}: {told:?}");
    }
}

/// Sessions that sleep. They end with it, so that nobody waits for them where a test fails meanwhile.
struct Sleepers<'a> {
    primary: &'a PostgresNode,
    database: &'a str,
}

impl Sleepers<'_> {
    fn ask(&self, what: &str) -> Result<String, String> {
        let text = format!("SELECT {what} FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        self.primary.try_sql(self.database, &text)
    }
}

impl Drop for Sleepers<'_> {
    fn drop(&mut self) {
        let _ended = self.ask("pg_terminate_backend(pid)");
    }
}

/// Works while another session lets nobody write a table which is copied late.
fn while_held<T>(postgres: &Postgres, database: &str, work: impl FnOnce() -> T) -> T {
    let primary = postgres.primary();
    // Nobody waits for this sleep: it holds the lock until `Sleepers` ends it, or by itself if this test dies.
    let hold = format!(
        "BEGIN; LOCK TABLE mainstay.custom_events IN EXCLUSIVE MODE; SELECT pg_sleep({})",
        2 * PATIENCE.as_secs()
    );
    std::thread::scope(|scope| {
        let sleepers = Sleepers { primary, database };
        scope.spawn(move || drop(primary.try_sql(database, &hold)));
        until("the table is held", PATIENCE, || sleepers.ask("count(*)").as_deref() == Ok("1"));
        work()
    })
}

/// Named events in one table, more than are copied together.
const MANY: usize = 12_000;

/// Sudden deaths of the server that meet a running copy.
const KILLS: usize = 50;
/// In some rounds the copy has ended before.
const ROUNDS_MAX: usize = 70;

/// Events are loaded all the time, and at any moment of a copy the server is killed (SIGKILL), and then the copying process; in
/// every fourth round the server has started again by then, while rows are copied.
#[test]
fn heavy_fifty_kills_do_not_keep_a_copy_from_being_proven() {
    let data = tempfile::tempdir().expect("a temp folder");
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let url = postgres.primary().url(&database);
    let copied = || {
        let count = "SELECT count(*) FROM mainstay.custom_events";
        let count = postgres.primary().try_sql(&database, count);
        count.ok().and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    };
    let mut server = on(data.path()).start();
    let mut sent = 0;
    let mut load = |server: &Server, events: usize| {
        for _ in 0..events {
            server.accept(&view(sent));
            sent += 1;
        }
    };
    load(&server, 200);
    for n in (0..MANY).step_by(50) {
        let events = (n..n + 50).fold(Batch::of("https://a/"), |batch, n| {
            batch.custom("click", &serde_json::json!({ "n": n }))
        });
        server.accept(&events);
    }
    let (mut met, mut rounds, mut within, mut in_the_middle, mut restarted) = (0, 0, 0, 0, 0);
    while met < KILLS && rounds < ROUNDS_MAX {
        let round = rounds;
        rounds += 1;
        let before = copied();
        let mut copying = Process::start(&mut migrate(data.path(), &["--to", &url]));
        load(&server, 1 + round % 25);
        // From before it has connected to after it has begun to compare; the first ones in the middle of a table.
        if round < 2 {
            until("rows are copied", PATIENCE, || copied() > before);
        } else if let Some(table) =
            [None, Some("console_link"), Some("user_sessions"), Some("page_views")][round % 4]
        {
            let _ = copying.stderr.wait_for(&format!("pass 1: {table}: "), PATIENCE);
        }
        let is_server_killed = server.kill() == Some(9);
        let is_killed = if round % 4 == 3 {
            // By now it reads the files; without a server before that, it would keep one from starting. The copy shall outlast
            // the server's start.
            while_held(&postgres, &database, || {
                server = on(data.path()).start();
                copying.kill() == Some(9)
            })
        } else {
            copying.kill() == Some(9)
        };
        met += usize::from(is_server_killed && is_killed);
        if round % 4 == 3 {
            restarted += usize::from(is_killed);
        } else {
            server = on(data.path()).start();
        }
        within += usize::from(copying.stderr.text().contains("pass 1: "));
        in_the_middle += usize::from((1..MANY).contains(&copied()));
    }
    assert!(
        met >= KILLS,
        "in {rounds} rounds the server was killed before a copy only {met} times"
    );
    assert!(restarted >= 10, "a copy met the server's next start only {restarted} times");
    assert!(within >= 30, "only {within} kills came while rows were looked at");
    assert!(in_the_middle > 0, "no kill left a table half copied");
    let online = json(&run(data.path(), &["--to", &url, "--json"]));
    assert_eq!(online["equal"], true, "{online}");
    server.stop();
    let last = json(&run(data.path(), &["--to", &url, "--json"]));
    assert_eq!(last["equal"], true, "{last}");
    assert_eq!(rows(&last, "page_views"), sent as u64);
    assert_eq!(rows(&last, "custom_events"), MANY as u64);
    let server = on(data.path()).variable("DATABASE_PRIMARY_URL", &url).start();
    assert_eq!(views(&server), sent as u64);
}

/// As when its machine dies.
#[test]
fn a_database_that_is_killed_meanwhile_ends_a_copy_that_the_next_one_finishes() {
    let data = tempfile::tempdir().expect("a temp folder");
    let postgres = Postgres::start();
    let (primary, database) = (postgres.primary(), postgres.create_database());
    let url = primary.url(&database);
    let mut server = on(data.path()).start();
    for n in 0..30 {
        server.accept(&view(n));
    }
    server.stop();
    let made = migrate(data.path(), &[]).env("DATABASE_PRIMARY_URL", &url).status();
    assert!(made.is_ok_and(|status| status.success()), "a schema");
    // Nobody could hit the moment otherwise: the server holds the copy's first row until it is killed, and nothing waits
    // for this time to pass.
    let _ = primary.query(
        &database,
        "CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$;
         CREATE TRIGGER wait BEFORE INSERT ON mainstay.page_views FOR EACH STATEMENT EXECUTE FUNCTION public.wait()",
    );
    let mut copying = Process::start(&mut migrate(data.path(), &["--to", &url]));
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    until("rows are copied", PATIENCE, || primary.query(&database, waits) == "1");
    primary.kill();
    let ended = copying.wait(PATIENCE);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("start it again, it goes on from there"), "{ended:?}");
    primary.restart();
    let _ = primary.query(&database, "DROP TRIGGER wait ON mainstay.page_views");
    let next = json(&run(data.path(), &["--to", &url, "--json"]));
    assert_eq!((&next["equal"], &next["last"]), (&true.into(), &true.into()), "{next}");
    assert_eq!(rows(&next, "page_views"), 30);
    let mut server = on(data.path()).variable("DATABASE_PRIMARY_URL", &url).start();
    assert_eq!(views(&server), 30);
    server.stop();
}

#[test]
fn what_keeps_it_from_copying_is_told_and_has_its_code() {
    let data = tempfile::tempdir().expect("a temp folder");
    on(data.path()).start().stop();
    let postgres = Postgres::start();
    let primary = postgres.primary();
    let check = |database: &str, code: i32, words: &str| {
        let url = primary.url(database);
        let ended = run(data.path(), &["--to", &url]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(words), "{words:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    };
    let strange = postgres.create_database();
    let other = tempfile::tempdir().expect("a temp folder");
    let mut server = on(other.path()).start();
    server.accept(&view(0));
    server.stop();
    json(&run(other.path(), &["--to", &primary.url(&strange), "--json"]));
    check(&strange, 3, "no copy of this data directory");

    let newer = postgres.create_database();
    let url = primary.url(&newer);
    assert_eq!(run(data.path(), &["--to", &url]).code, Some(0));
    let _ = primary.query(&newer, "INSERT INTO mainstay._sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, '', 0)");
    check(&newer, 3, "newer than this version knows");

    let nothing = format!("nothing{}", fresh_id());
    check(&nothing, 4, "the database cannot be used");
    let wrong = run(data.path(), &["--to", "mysql://u:secret@h/d"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(!wrong.stderr.contains("secret"), "{wrong:?}");
    let empty = tempfile::tempdir().expect("a temp folder");
    let none = run(&empty.path().join("data"), &["--to", &url]);
    assert_eq!(none.code, Some(3), "{none:?}");
    assert!(!empty.path().join("data").exists(), "a data dir is never made");

    let pooled = postgres.create_database();
    check(&format!("{pooled}?pooled=true"), 3, "give the database's direct address");
    let poor = postgres.create_database();
    let _ = primary.query(&poor, "CREATE ROLE poor LOGIN");
    let url = primary.superuser_url(&poor).replace("app@", "poor@");
    let ended = run(data.path(), &["--to", &url]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("permission denied for database"), "{ended:?}");
    assert!(!ended.stderr.contains("start it again"), "{ended:?}");

    let app = postgres.create_database();
    let _ = primary
        .query(&app, "CREATE TABLE users AS SELECT 7 AS id; CREATE TABLE page_views (a int)");
    json(&run(data.path(), &["--to", &primary.url(&app), "--json"]));
    let kept =
        "SELECT (SELECT sum(id) FROM public.users), (SELECT count(*) FROM public.page_views)";
    assert_eq!(primary.query(&app, kept), "7|0");

    primary.stop();
    check(&app, 4, "the database cannot be used");
}

/// Files and their sizes.
fn files_in(dir: &Path) -> BTreeMap<OsString, u64> {
    let entries = dir.read_dir().expect("a folder").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.path().is_file());
    files.map(|file| (file.file_name(), file.metadata().expect("a file").len())).collect()
}

#[test]
fn the_schema_is_brought_up_to_date_without_a_server() {
    let home = tempfile::tempdir().expect("a temp folder");
    let data = home.path().join("data");
    let looked = json(&run(&data, &["--dry-run", "--json"]));
    assert_eq!(looked["parts"][0]["version"], Value::Null, "{looked}");
    assert!(!data.exists(), "nothing is changed by looking");
    let done = run(&data, &[]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("insight.db: new\n  applied: 1 events\n"), "{}", done.stdout);
    let again = run(&data, &[]);
    assert!(again.stdout.starts_with("core.db: up to date (version "), "{}", again.stdout);

    let postgres = Postgres::shared();
    let url = postgres.primary_url(&postgres.create_database());
    let with = |arguments: &[&str]| {
        Process::run(migrate(&data, arguments).env("DATABASE_PRIMARY_URL", &url), PATIENCE)
    };
    let before = files_in(&data);
    let looked = with(&["--dry-run"]);
    assert!(looked.stdout.contains("database: new\n  missing: 1 core\n"), "{looked:?}");
    assert_eq!(files_in(&data), before, "nothing is changed by looking");
    assert!(with(&[]).stdout.contains("applied: 1 core\n"));
    assert!(with(&[]).stdout.starts_with("database: up to date"));
    // Nobody has worked with it yet: a copy may still go there.
    json(&run(&data, &["--to", &url, "--json"]));
    let away = Process::run(
        migrate(&data, &[]).env("DATABASE_PRIMARY_URL", "postgres://app@127.0.0.1:1/none"),
        PATIENCE,
    );
    assert_eq!(away.code, Some(4), "{away:?}");
}

/// Whoever holds the lock of the data dir is a server, also one of another version.
fn lock(data: &Path) -> File {
    let mut dir = DirBuilder::new();
    dir.recursive(true).mode(0o700).create(data).expect("a data dir");
    let lock = File::options().create(true).truncate(false).write(true).open(data.join("lock"));
    let lock = lock.expect("a lock");
    lock.lock().expect("locked");
    lock
}

#[test]
fn what_a_running_server_keeps_it_from_is_said() {
    let home = tempfile::tempdir().expect("a temp folder");
    let data = home.path().join("data");
    let server = lock(&data);
    for json in [&[][..], &["--json"]] {
        let refused = run(&data, json);
        assert_eq!(refused.code, Some(3), "{refused:?}");
        assert!(refused.stderr.contains("a running server owns"), "{refused:?}");
        assert!(refused.stdout.contains("1 events"), "{refused:?}");
    }
    assert_eq!(run(&data, &["--dry-run"]).code, Some(0), "nobody wanted a change");
    drop(server);
    assert_eq!(run(&data, &[]).code, Some(0));
    let server = lock(&data);
    let done = run(&data, &[]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "nothing is missing");
    drop(server);
}

#[test]
fn whoever_only_looks_leaves_the_data_dir_as_it_is() {
    let data = tempfile::tempdir().expect("a temp folder");
    on(data.path()).start().stop();
    let postgres = Postgres::shared();
    let url = postgres.primary_url(&postgres.create_database());
    std::fs::remove_dir_all(data.path().join("keys")).expect("no keys");
    std::fs::remove_file(data.path().join("lock")).expect("no lock");
    std::fs::set_permissions(data.path(), Permissions::from_mode(0o755)).expect("readable");
    json(&run(data.path(), &["--to", &url, "--dry-run", "--json"]));
    for made in ["keys", "lock"] {
        assert!(!data.path().join(made).exists(), "{made}");
    }
    let mode = data.path().metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}
