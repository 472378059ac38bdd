//! The console's view of 30 days over five million events, on files and on PostgreSQL: `cargo xtask bench store-panels` asks for rows and puts them beside their bar. Judges nothing.
//!
//! The value is the 95th percentile of the slowest panel, in milliseconds, each panel asked by itself 20 times; the detail
//! names the others and tells how long the whole view takes, all panels at once, as the console asks for it. Events come
//! through the recorder and hours are counted by the product. The clock stands ten minutes before midnight: what is not
//! counted yet, or must be told apart from the rest of its day, is as much as it can be.
#![expect(clippy::expect_used, reason = "a bench that cannot go on says why and tells no row")]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mainstay_store::Database;
use mainstay_testkit::Postgres;
use mainstay_testkit::bench::{Ask, EVENTS, median, p95, tell};

mod house;
mod month;
mod panel;

use house::House;
use panel::Panel;

/// Times each panel is asked.
const TIMES: usize = 20;
/// Times the whole view is asked.
const VIEWS: usize = 5;

fn main() {
    let ask = Ask::of_command_line();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    if ask.wants("store-panels-sqlite") {
        runtime.block_on(measure(&ask, "store-panels-sqlite", &Database::default()));
    }
    if ask.wants("store-panels-postgres") {
        // As an operator has it: its log is synced, and its memory for pages is PostgreSQL's own default.
        let server = Postgres::launch().durable().setting("shared_buffers", "128MB").start();
        let name = server.create_database();
        let database = Database {
            primary: Some(server.primary().url(&name)),
            partitions_ahead: month::DAYS + 1,
            ..Database::default()
        };
        runtime.block_on(measure(&ask, "store-panels-postgres", &database));
    }
}

async fn measure(ask: &Ask, row: &str, database: &Database) {
    let mut house = House::open(&ask.dir, database).await;
    let begun = Instant::now();
    let events = house.feed(ask.events).await;
    let fed = begun.elapsed();
    house.count_hours().await;
    let counted = begun.elapsed() - fed;
    let span = house.month();

    let mut slow: Vec<(f64, Panel)> = Vec::new();
    for panel in Panel::ALL {
        // What is read for the first time comes from the disk, whoever asks.
        panel.ask(&house.insight, &span).await.expect("an answer");
        let mut taken = Vec::new();
        for _ in 0..TIMES {
            taken.push(timed(panel.ask(&house.insight, &span)).await);
        }
        slow.push((p95(taken), panel));
    }
    slow.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut views = Vec::new();
    for _ in 0..VIEWS {
        let all = join_all(Panel::ALL.map(|panel| panel.ask(&house.insight, &span)));
        views.push(timed(async { all.await.into_iter().collect::<Result<Vec<_>, _>>() }).await);
    }
    let panels: Vec<_> =
        slow.iter().map(|(p95, panel)| format!("{} {p95:.1}", panel.name())).collect();
    let detail = format!(
        "{events} events{}: {} ms; all at once {:.0} ms; recorded in {:.0} s, counted in {:.0} s",
        if events < EVENTS { ", too few to judge" } else { "" },
        panels.join(", "),
        median(views),
        fed.as_secs_f64(),
        counted.as_secs_f64(),
    );
    let value = slow.first().filter(|_| events >= EVENTS).map(|(p95, _)| *p95);
    house.close().await;
    tell(row, value, detail);
}

/// How long an answer takes, in milliseconds.
async fn timed<T, E: std::fmt::Debug>(answer: impl Future<Output = Result<T, E>>) -> f64 {
    let begun = Instant::now();
    answer.await.expect("an answer");
    Duration::as_secs_f64(&begun.elapsed()) * 1e3
}
