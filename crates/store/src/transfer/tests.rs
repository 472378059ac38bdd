//! Tests of `transfer`: real files, a real database, and rows of every table with whatever its columns may hold.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_base::Entropy;
use mainstay_testkit::{ChaosProxy, Postgres, SharedPostgres};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection};
use uuid::Uuid;

use super::table::File;
use super::value::Value;
use super::*;
use crate::bulk::Kind;
use crate::contract::{Fixture, NOON, Sample, day};
use crate::schema;
use crate::sqlite::{Shape, options};
use crate::tables::{engagement, page_view, performance_metric};
use crate::{Group, Record};

mod jobs;
mod order;
mod salts;
mod served;
mod strangers;

const ROWS: u32 = 60;

/// Files with rows, and an empty database.
struct Move {
    from: Fixture,
    server: SharedPostgres,
    name: String,
    database: Database,
}

impl Move {
    async fn new() -> Self {
        let server = Postgres::shared();
        let name = server.create_database();
        let primary = Some(server.primary_url(&name));
        let database = Database { primary, pool_min: 0, pool_max: 4, ..Database::default() };
        Self { from: Fixture::sqlite().await, server, name, database }
    }

    fn transfer(&self) -> Transfer<'_> {
        static SETTINGS: std::sync::LazyLock<Settings> =
            std::sync::LazyLock::new(Settings::default);
        Transfer {
            settings: &SETTINGS,
            database: &self.database,
            data_dir: self.from.dir.path(),
            quiet: true,
            clock: self.from.clock.clone(),
            entropy: Entropy::System,
        }
    }

    async fn copy(&self) -> Result<Report, Error> {
        run(&self.transfer(), &mut |_| {}).await
    }

    async fn compare(&self) -> Report {
        compare(&self.transfer(), &mut |_| {}).await.unwrap()
    }

    async fn files(&self, file: File) -> SqliteConnection {
        let settings = Settings::default();
        let (name, shape) = match file {
            File::Core => ("core.db", Shape::core(&settings)),
            File::Insight => ("insight.db", Shape::insight(&settings)),
        };
        options::writer(&self.from.dir.path().join(name), &shape).connect().await.unwrap()
    }

    async fn sql(&self, text: &str) -> u64 {
        sql(&self.server.primary_url(&self.name), text).await
    }

    async fn fill_every_table(&self) {
        for table in &TABLES {
            let mut conn = self.files(table.file).await;
            let nullable = list_columns(&mut conn, table.name).await;
            // Totals make rows of days by trigger.
            let clear = AssertSqlSafe(format!("DELETE FROM {}", table.name));
            sqlx::query(clear).execute(&mut conn).await.unwrap();
            for n in 0..ROWS {
                fill_row(&mut conn, table, &nullable, n).await;
            }
            conn.close().await.unwrap();
        }
    }

    /// A network in front of the server.
    fn network(&self) -> ChaosProxy {
        let url = self.server.primary_url(&self.name);
        let address = url.split(['@', '/']).find_map(|part| part.parse().ok());
        ChaosProxy::start(address.unwrap())
    }

    fn database_through(&self, network: &ChaosProxy) -> Database {
        let primary = Some(Postgres::url_at(network.address(), &self.name));
        Database { primary, ..self.database.clone() }
    }

    /// A store on the database, as after the move.
    async fn arrive(&self) -> Fixture {
        Fixture::open(&Settings::default(), &self.database).await
    }
}

async fn sql(url: &str, text: &str) -> u64 {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    done.rows_affected()
}

/// Columns of a table, and whether they may be NULL.
async fn list_columns(conn: &mut SqliteConnection, table: &str) -> Vec<(String, bool)> {
    let text = "SELECT name, \"notnull\" FROM pragma_table_info($1)";
    let columns: Vec<(String, i64)> =
        sqlx::query_as(text).bind(table.to_owned()).fetch_all(conn).await.unwrap();
    columns.into_iter().map(|(name, notnull)| (name, notnull == 0)).collect()
}

async fn fill_row(conn: &mut SqliteConnection, table: &Copied, columns: &[(String, bool)], n: u32) {
    let values = table.columns.iter().enumerate().map(|(at, (name, kind))| {
        let nullable = columns.iter().any(|(column, nullable)| column == name && *nullable);
        if nullable && at >= table.key && (n + at as u32).is_multiple_of(3) {
            Value::Null
        } else {
            match *name {
                "site" if table.key == 1 && at == 0 => Value::Text(format!("s{n}")),
                _ => sample(name, *kind, n),
            }
        }
    });
    let values: Vec<_> = values.collect();
    let names = table.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let places = vec!["?"; values.len()].join(", ");
    let text = format!("INSERT INTO {} ({names}) VALUES ({places})", table.name);
    let args = source::bind(&values, table.columns).unwrap();
    let done = sqlx::query_with(AssertSqlSafe(text), args).execute(conn).await;
    done.unwrap_or_else(|error| panic!("{}: {error}", table.name));
}

/// Numbers as a page's script sends them, which PostgreSQL writes in digits.
const LARGE: &str =
    "1.2345678901234568e+16, 1e16, 1.8e19, 1.2345678901234568e+25, 1.7976931348623157e308, 5e-324";

/// Something that this column may hold, another for each `n`.
fn sample(column: &str, kind: Kind, n: u32) -> Value {
    let text = |text: &str| Value::Text(text.into());
    match (column, kind) {
        ("bucket_type", _) => text(["ip", "api_key", "user"][n as usize % 3]),
        ("severity", _) => text(["low", "medium", "high", "critical"][n as usize % 4]),
        ("country_code", _) => text("DE"),
        ("revenue_currency", _) => text("EUR"),
        ("id" | "page_id", Kind::Text) => Value::Text(format!("{n:020}")),
        ("site" | "node" | "dimension", _) => Value::Text(format!("s{}", n % 3)),
        ("token_hash", _) => Value::Bytes(vec![n as u8; 32]),
        ("salt", _) => Value::Bytes(vec![n as u8; 16]),
        ("conversion_events" | "roles" | "permissions" | "tags", Kind::Json) => {
            Value::Text(format!("[\"a\", \"b{n}\"]"))
        }
        (_, Kind::Json) => Value::Text(format!(
            "{{\"z\": {n}, \"a\": [1.50, 2e2, -0.0, null, true], \"t\": \"x\\u0000\\n\\\\u0000ä\", \"n\": [{LARGE}]}}"
        )),
        (_, Kind::Text) => Value::Text(format!("{n}-{column} ä\t\"'\\\n\u{1f600}\0")),
        (_, Kind::Id) => Value::Id(Uuid::from_u128(u128::from(n) << 64 | 7)),
        (_, Kind::Int) => Value::Int((i64::from(n) - 3) << 40 | 5),
        (_, Kind::Small | Kind::Tiny) => Value::Int(i64::from(n) - 3),
        (_, Kind::Real) => Value::Real(f64::from(n) / 7.0 - 1e-7),
        (_, Kind::Flag) => Value::Flag(n.is_multiple_of(2)),
        // Eleven days, some of them long past, some to come.
        (_, Kind::Time) => {
            let hours = Duration::from_secs(3_600) * (n * 5);
            Value::Time(
                NOON.minus(Duration::from_secs(86_400 * 8))
                    .plus(hours)
                    .plus(Duration::from_micros(n.into())),
            )
        }
        (_, Kind::Bytes) => Value::Bytes((0..n as u8).collect()),
    }
}

fn differing(report: &Report) -> Vec<&'static str> {
    report.tables.iter().filter(|table| !table.is_equal()).map(|table| table.table).collect()
}

fn of(report: &Report, name: &str) -> Compared {
    *report.tables.iter().find(|table| table.table == name).unwrap()
}

#[tokio::test]
async fn every_table_and_column_of_the_files_is_copied() {
    let it = Move::new().await;
    for file in [File::Core, File::Insight] {
        let mut conn = it.files(file).await;
        let names =
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
            AND name NOT IN ('_sqlx_migrations', 'recorder_probe') ORDER BY name";
        let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut conn).await.unwrap();
        let mut copied: Vec<_> = TABLES.iter().filter(|table| table.file == file).collect();
        copied.sort_by_key(|table| table.name);
        assert_eq!(names, copied.iter().map(|table| table.name).collect::<Vec<_>>());
        for table in copied {
            let mut there: Vec<_> = list_columns(&mut conn, table.name)
                .await
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            there.sort();
            let mut ours: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
            ours.sort_unstable();
            assert_eq!(there, ours, "{}", table.name);
        }
    }
    it.from.finish().await;
}

#[tokio::test]
async fn whatever_the_tables_hold_arrives_and_is_proven() {
    let it = Move::new().await;
    it.fill_every_table().await;
    it.sql("CREATE TABLE public.page_views (id int); CREATE SCHEMA app; CREATE TABLE app.users AS SELECT 1 AS a").await;
    let planned = it.compare().await;
    assert_eq!(planned.changed, u64::from(ROWS) * TABLES.len() as u64);
    assert_eq!(
        it.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'mainstay'").await,
        0,
        "nothing is changed by looking"
    );

    let report = it.copy().await.unwrap();
    assert!(report.is_equal(), "{:?}", differing(&report));
    assert_eq!(report.rows(), u64::from(ROWS) * TABLES.len() as u64);
    for table in &report.tables {
        assert!(table.source.rows > 0 && table.source.checksum > 0, "{table:?}");
    }
    assert_eq!(report.passes, 2, "one to write, one to read again");
    // Days have pieces of their own; the app's tables are as they were.
    assert_eq!(it.sql("SELECT 1 FROM mainstay.page_views_default").await, 0);
    assert_eq!(it.sql("SELECT 1 FROM app.users").await, 1);
    assert_eq!(it.sql("SELECT 1 FROM public.page_views").await, 0);

    let again = it.copy().await.unwrap();
    assert_eq!((again.changed, again.passes), (0, 1));
    assert_eq!(
        again.tables,
        report.tables.iter().map(|t| Compared { changed: 0, ..*t }).collect::<Vec<_>>()
    );
    it.from.finish().await;
}

#[tokio::test]
async fn one_row_that_differs_changes_the_checksum_and_is_mended() {
    let it = Move::new().await;
    it.fill_every_table().await;
    it.copy().await.unwrap();
    for (table, change) in [
        (
            "page_views",
            "UPDATE mainstay.page_views SET path = path || 'x' WHERE id = '00000000000000000007'",
        ),
        (
            "performance_metrics",
            "UPDATE mainstay.performance_metrics SET value = value + 1e-9 WHERE id = '00000000000000000009'",
        ),
        (
            "users",
            "DELETE FROM mainstay.users WHERE id = (SELECT min(id::text)::uuid FROM mainstay.users)",
        ),
        (
            "custom_events",
            "UPDATE mainstay.custom_events SET props = '{}' WHERE id = (SELECT max(id) FROM mainstay.custom_events WHERE props IS NOT NULL)",
        ),
        (
            "reports",
            "INSERT INTO mainstay.reports SELECT 'other', hour, fingerprint, report_type, name, document, blocked, source, line_number, column_number, disposition, message, user_agent, ip_address, count, first_seen, last_seen FROM mainstay.reports LIMIT 1",
        ),
        (
            "event_keys",
            "DELETE FROM mainstay.event_keys WHERE key = (SELECT min(key::text)::uuid FROM mainstay.event_keys)",
        ),
    ] {
        assert_eq!(it.sql(change).await, 1, "{change}");
        let found = it.compare().await;
        assert_eq!((differing(&found), found.changed), (vec![table], 1), "{change}");
        assert_ne!(of(&found, table).source.checksum, of(&found, table).target.checksum);
        let mended = it.copy().await.unwrap();
        assert!(mended.is_equal(), "{:?}", differing(&mended));
        assert_eq!(mended.changed, 1, "{change}");
    }
    it.from.finish().await;
}

/// Rows that come, change and go while they are copied.
#[tokio::test]
async fn what_changes_in_the_files_is_taken_over() {
    let it = Move::new().await;
    it.fill_every_table().await;
    it.copy().await.unwrap();
    let mut core = it.files(File::Core).await;
    // Two who trade what must be unique, the first and the last.
    let email = "SELECT email FROM users WHERE rowid = $1";
    let one: String = sqlx::query_scalar(email).bind(1).fetch_one(&mut core).await.unwrap();
    let other: String = sqlx::query_scalar(email).bind(ROWS).fetch_one(&mut core).await.unwrap();
    for (id, email) in [(1, "nobody's"), (ROWS, one.as_str()), (1, other.as_str())] {
        let change = sqlx::query("UPDATE users SET email = $2 WHERE rowid = $1");
        change.bind(id).bind(email.to_owned()).execute(&mut core).await.unwrap();
    }
    sqlx::query("DELETE FROM security_events WHERE rowid < 10").execute(&mut core).await.unwrap();
    core.close().await.unwrap();
    let mut insight = it.files(File::Insight).await;
    for text in [
        "DELETE FROM page_views WHERE site = 's1'",
        "DELETE FROM engagement",
        "UPDATE performance_metrics SET value = value * 2, rating = 'poor'",
        "UPDATE user_sessions SET page_views = page_views + 1 WHERE site = 's2'",
        "DELETE FROM rollup_dirty",
    ] {
        sqlx::query(text).execute(&mut insight).await.unwrap();
    }
    insight.close().await.unwrap();
    it.from.record([Record::PageView(Sample(3).view())], Some(Sample(3).touch(9))).await;
    let report = it.copy().await.unwrap();
    assert!(report.is_equal(), "{:?}", differing(&report));
    assert_eq!(of(&report, "users").changed, 2);
    assert_eq!(of(&report, "engagement").target.rows, 0);
    assert_eq!(of(&report, "page_views").target.rows, u64::from(ROWS) * 2 / 3 + 1);
    it.from.finish().await;
}

#[tokio::test]
async fn a_copy_beside_a_busy_recorder_is_whole_once_that_has_stopped() {
    let it = Move::new().await;
    const WRITTEN: u32 = 1_500;
    let done = AtomicBool::new(false);
    let writing = async {
        for n in 0..WRITTEN {
            let at = Sample(n % 2_000);
            let mut view = at.view();
            view.id = format!("view-{n:020}");
            let mut vital = Sample(n % 300).vital("LCP", f64::from(n), n.into());
            vital.id = format!("vital-{n:019}");
            let mut engaged = Sample(n % 200).engagement(n.into(), 50);
            engaged.id = format!("read-{n:020}");
            let records = [
                Record::PageView(view),
                Record::Vital(vital),
                Record::Engagement(engaged),
                Record::Report(at.report(n % 50)),
            ];
            it.from.record(records, Some(at.touch(n % 40))).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let copying = async {
        let mut busy = it.transfer();
        busy.quiet = false;
        let mut reports = Vec::new();
        while !done.load(Ordering::Relaxed) {
            reports.push(run(&busy, &mut |_| {}).await.unwrap());
        }
        reports
    };
    let ((), reports) = futures_util::future::join(writing, copying).await;
    assert!(reports.iter().any(|report| report.changed > 0), "nothing was written meanwhile");
    assert!(reports.iter().all(|report| report.passes <= PASSES_MAX));
    let last = it.copy().await.unwrap();
    assert!(last.is_equal(), "{:?}", differing(&last));
    assert_eq!(of(&last, "page_views").target.rows, u64::from(WRITTEN));
    assert_eq!(of(&last, "user_sessions").target.rows, 40);
    it.from.finish().await;
}

#[tokio::test]
async fn events_that_are_sent_again_after_the_move_are_known() {
    let it = Move::new().await;
    let vital = |value, page_ms| Record::Vital(Sample(4).vital("LCP", value, page_ms));
    let events = [
        Record::PageView(Sample(1).view()),
        Record::Custom(Sample(2).custom("signup")),
        Record::Error(Sample(3).error("f", "words")),
        vital(100.0, 5),
        Record::Engagement(Sample(5).engagement(900, 10)),
    ];
    it.from.record(events.clone(), Some(Sample(1).touch(1))).await;
    let report = it.copy().await.unwrap();
    // One id each, and of what later reports change also that of the page or measurement.
    assert_eq!(of(&report, keys::TABLE).target.rows, 7);
    it.from.stop().await;

    let to = it.arrive().await;
    to.record(events, Some(Sample(1).touch(1))).await;
    let mut later = Sample(4).vital("LCP", 250.0, 9);
    later.id = Sample(40).event_id();
    let mut read_on = Sample(5).engagement(1_500, 80);
    read_on.id = Sample(50).event_id();
    to.record([Record::Vital(later), Record::Engagement(read_on)], None).await;
    let db = to.insight();
    assert_eq!(page_view::total(db, &day()).await.unwrap().pageviews, 1);
    let read = engagement::series(db, &day(), Duration::from_secs(86_400)).await.unwrap();
    assert_eq!(read.iter().map(|point| point.engaged_ms).sum::<i64>(), 1_500, "the same row grew");
    let mut values = performance_metric::stream_values(db, &day(), Group::Site);
    let found = values.next_page().await.unwrap();
    assert_eq!(found.iter().map(|value| value.value).collect::<Vec<_>>(), [250.0]);
    to.finish().await;

    // A server has worked there: what it wrote is never undone.
    assert!(matches!(it.copy().await, Err(Error::InUse)));
}

#[tokio::test]
async fn rows_of_somebody_else_are_left_alone() {
    let other = Move::new().await;
    other.from.record([Record::PageView(Sample(1).view())], None).await;
    other.copy().await.unwrap();
    let mut it = Move::new().await;
    it.database = other.database.clone();
    it.from.record([Record::PageView(Sample(2).view())], None).await;
    let refused = it.copy().await.unwrap_err();
    assert!(matches!(refused, Error::Foreign { table: "page_views", rows: 1 }), "{refused}");
    assert!(other.compare().await.is_equal());
    for fixture in [it.from, other.from] {
        fixture.finish().await;
    }
}

/// The step that remembers copies was not taken there, as an older version leaves it.
#[tokio::test]
async fn a_refused_copy_leaves_the_schema_as_it_was() {
    let other = Move::new().await;
    other.from.record([Record::PageView(Sample(1).view())], None).await;
    other.copy().await.unwrap();
    // The step that makes the table of copies.
    let version = 20;
    let untake = format!("DELETE FROM mainstay._sqlx_migrations WHERE version = {version}");
    assert_eq!(other.sql(&untake).await, 1);
    other.sql("DROP TABLE mainstay.transfers").await;
    let mut it = Move::new().await;
    it.database = other.database.clone();
    let refused = it.copy().await.unwrap_err();
    assert!(matches!(refused, Error::Foreign { table: "page_views", rows: 1 }), "{refused}");
    let steps = format!("SELECT 1 FROM mainstay._sqlx_migrations WHERE version = {version}");
    assert_eq!(other.sql(&steps).await, 0, "the step was taken all the same");
    for fixture in [it.from, other.from] {
        fixture.finish().await;
    }
}

/// Retention emptied the files since the copy before.
#[tokio::test]
async fn what_the_database_has_more_of_is_read_and_removed_in_pieces() {
    let it = Move::new().await;
    it.fill_every_table().await;
    it.copy().await.unwrap();
    let mut insight = it.files(File::Insight).await;
    for text in [
        "DELETE FROM page_views WHERE CAST(id AS INTEGER) % 5 <> 0",
        "UPDATE page_views SET path = path || 'x' WHERE CAST(id AS INTEGER) % 10 = 0",
        "DELETE FROM reports WHERE (site, hour, fingerprint) < (SELECT max(site), '', '' FROM reports)",
        "DELETE FROM engagement",
    ] {
        sqlx::query(text).execute(&mut insight).await.unwrap();
    }
    insight.close().await.unwrap();
    it.sql(
        "CREATE TABLE public.gone (table_name text, rows bigint);
        CREATE FUNCTION public.note_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO public.gone SELECT TG_TABLE_NAME, count(*) FROM old; RETURN NULL; END $$;
        CREATE TRIGGER note AFTER DELETE ON mainstay.page_views REFERENCING OLD TABLE AS old
            FOR EACH STATEMENT EXECUTE FUNCTION public.note_gone();
        CREATE TRIGGER note AFTER DELETE ON mainstay.reports REFERENCING OLD TABLE AS old
            FOR EACH STATEMENT EXECUTE FUNCTION public.note_gone();
        CREATE TRIGGER note AFTER DELETE ON mainstay.engagement REFERENCING OLD TABLE AS old
            FOR EACH STATEMENT EXECUTE FUNCTION public.note_gone()",
    )
    .await;
    let planned = it.compare().await;
    let report = it.copy().await.unwrap();
    assert!(report.is_equal(), "{:?}", differing(&report));
    for (table, rows, changed) in [("page_views", 12, 48 + 6), ("engagement", 0, 60)] {
        assert_eq!((of(&report, table).target.rows, of(&report, table).changed), (rows, changed));
        assert_eq!(of(&planned, table).changed, changed);
    }
    let piece = table::CHUNK + 1;
    assert_eq!(it.sql(&format!("SELECT 1 FROM public.gone WHERE rows > {piece}")).await, 0);
    assert!(it.sql("SELECT 1 FROM public.gone").await > 6);
    it.from.finish().await;
}

#[tokio::test]
async fn two_copies_at_a_time_are_one_too_many() {
    let it = Move::new().await;
    it.copy().await.unwrap();
    let mut held = PgConnection::connect(&it.server.primary_url(&it.name)).await.unwrap();
    let lock = "SELECT pg_advisory_lock(hashtextextended('mainstay transfer', 0))";
    sqlx::query(lock).execute(&mut held).await.unwrap();
    let refused = it.copy().await.unwrap_err();
    assert!(matches!(refused, Error::Busy), "{refused}");
    held.close().await.unwrap();
    it.copy().await.unwrap();
    it.from.finish().await;
}

#[tokio::test]
async fn a_database_or_a_file_of_the_future_is_refused() {
    let it = Move::new().await;
    it.copy().await.unwrap();
    it.sql("INSERT INTO mainstay._sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, '', 0)").await;
    assert!(matches!(it.copy().await, Err(Error::Newer)));
    it.sql("DELETE FROM mainstay._sqlx_migrations WHERE version = 9999").await;
    let mut insight = it.files(File::Insight).await;
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, '', 0)";
    sqlx::query(later).execute(&mut insight).await.unwrap();
    insight.close().await.unwrap();
    assert!(matches!(it.copy().await, Err(Error::SourceNewer { version: 9999, .. })));
    it.from.finish().await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_away() {
    let it = Move::new().await;
    let mut away = it.transfer();
    let database = Database {
        primary: Some("postgres://app@127.0.0.1:1/nothing".into()),
        ..it.database.clone()
    };
    away.database = &database;
    let error = run(&away, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Away(_)), "{error}");
    let database =
        Database { primary: Some("mysql://app@127.0.0.1/nothing".into()), ..Database::default() };
    away.database = &database;
    assert!(matches!(run(&away, &mut |_| {}).await, Err(Error::Address(_))));
    it.from.finish().await;
}
