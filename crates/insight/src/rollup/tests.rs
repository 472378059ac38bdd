//! Tests of `rollup`.

use mainstay_base::Entropy;
use mainstay_base::units;
use mainstay_store::{Cursor, Database};

use super::*;
use crate::fixture::{CURL, FIREFOX, House, events, id, midnight, page_view, vital};
use crate::settings::Settings;

const CHROME: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36";

pub(super) async fn open_on(server: &mainstay_testkit::Postgres, name: &str) -> House {
    let database =
        Database { primary: Some(server.primary().url(name)), pool_min: 0, ..Database::default() };
    House::open_with(midnight().plus(4 * DAY), &database).await
}

/// Runs statements in a database of the server.
pub(super) fn sql_on(server: &mainstay_testkit::Postgres, name: &str) -> impl Fn(&str) {
    |text| {
        let _none = server.primary().query(name, text);
    }
}

/// Everything the console may ask about the span, in one comparable value.
pub(super) async fn ask(insight: &Insight, span: &Span<'_>) -> Vec<String> {
    let mut said = Vec::new();
    for bots in [Bots::Exclude, Bots::Include, Bots::Only] {
        let span = Span { bots, ..*span };
        for step in [DAY, HOUR] {
            let points = insight.list_visitors(&span, step).await.expect("points");
            said.extend(points.iter().map(|point| format!("{bots:?} {step:?} {point:?}")));
        }
        // A visit over midnight keeps its visitor's id and counts on both days, so days are asked one by one.
        let mut day = span.from;
        while day < span.to {
            let span = Span { from: day, to: day.plus(DAY).min(span.to), ..span };
            let none: Option<Cursor> = None;
            for rows in [
                insight.list_pages(&span, none.clone(), 1_000).await,
                insight.list_sources(&span, none.clone(), 1_000).await,
                insight.list_devices(&span, none.clone(), 1_000).await,
                insight.list_countries(&span, none, 1_000).await,
            ] {
                said.push(format!("{bots:?} {day} {:?}", rows.expect("keys")));
            }
            day = day.plus(DAY);
        }
        for group in Group::ALL {
            let mut rows = insight.list_vitals(&span, group).await.expect("vitals");
            rows.sort_by_key(|row| (row.key.clone(), row.vital));
            said.extend(rows.iter().map(|row| format!("{bots:?} {group:?} {row:?}")));
        }
    }
    said
}

/// Random days with repeats, bots, direct and referred visits, and vitals and engagement that change hours later,
/// rolled up at random moments: counted hours must say what the events say.
#[tokio::test]
async fn counted_hours_say_what_the_events_say() {
    let house = House::open_at(midnight()).await;
    let entropy = Entropy::seeded(11);
    let random = move |below: u64| u64::from_le_bytes(entropy.bytes().expect("seeded")) % below;
    for n in 1..=700 {
        house.clock.advance(Duration::from_secs(random(600)));
        let client = format!("192.0.2.{}", random(12));
        let agent = [FIREFOX, FIREFOX, CHROME, CURL][random(4) as usize];
        let sender = house.sender(&client, agent);
        let page = 1 + random(n);
        let url = format!("https://h/p{}?utm_source=s{}", page % 7, page % 3);
        let body = match random(4) {
            0 | 1 => page_view(n, &url),
            2 => {
                let name = ["LCP", "CLS", "INP"][random(3) as usize];
                events(page, &url, &vital(n, name, random(50) as f64, n))
            }
            _ => {
                let report = format!(
                    r#"{{"id":"{}","type":"engagement","t":1,"ms":{}}}"#,
                    id(n),
                    random(9_999)
                );
                events(page, &url, &report)
            }
        };
        for _ in 0..=random(2) {
            assert!(house.insight.accept(&sender, body.as_bytes()).await.is_ok());
        }
        if random(25) == 0 {
            reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
        }
    }
    // Dirty hours of one round may mark others for the next.
    for _ in 0..3 {
        reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    }
    let db = house.store.insight();
    assert_eq!(rollup::list_dirty(db, None, 10).await.expect("dirty"), []);
    let mark = rollup::watermark(db, "default").await.expect("mark").expect("counted");
    assert!(mark > midnight().plus(DAY));
    let unfolded = rollup::list_unfolded(db, "default", mark.minus(fold::SETTLED), 9).await;
    assert_eq!(unfolded.expect("days"), []);

    let raw = Settings { raw_range_max: units::Span::days(365), ..Settings::default() };
    let counted = Settings { raw_range_max: units::Span::seconds(0), ..Settings::default() };
    let (raw, counted) = (house.with_settings(raw).await, house.with_settings(counted).await);
    let to = house.clock.now().plus(Duration::from_secs(1));
    let span = Span { site: "default", from: midnight(), to, bots: Bots::Exclude };
    let (want, got) = (ask(&raw, &span).await, ask(&counted, &span).await);
    assert!(want.len() > 250, "{}", want.len());
    for (want, got) in want.iter().zip(&got) {
        assert_eq!(want, got);
    }
    assert_eq!(want.len(), got.len());
    house.close().await;
}

#[tokio::test]
async fn counting_twice_changes_nothing_and_pages_follow_each_other() {
    let house = House::open().await;
    for n in 0..9 {
        assert!(house.send(&page_view(n, &format!("https://h/p{}", n % 4))).await.is_ok());
    }
    house.clock.advance(2 * HOUR);
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    let counted = house
        .with_settings(Settings { raw_range_max: units::Span::seconds(0), ..Settings::default() })
        .await;
    let span = house.last(4 * HOUR);
    let all = counted.list_pages(&span, None, 10).await.expect("pages");
    let keys: Vec<_> =
        all.iter().map(|row| (row.key.as_deref().unwrap_or(""), row.pageviews)).collect();
    assert_eq!(keys, [("/p0", 3), ("/p1", 2), ("/p2", 2), ("/p3", 2)]);
    let first = counted.list_pages(&span, None, 2).await.expect("pages");
    let rest =
        counted.list_pages(&span, first.last().map(KeyCount::cursor), 9).await.expect("pages");
    assert_eq!([first, rest].concat(), all);
    rollup::mark_dirty(house.store.insight(), "default", house.clock.now().minus(2 * HOUR))
        .await
        .expect("marked");
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    assert_eq!(counted.list_pages(&span, None, 10).await.expect("pages"), all);
    house.close().await;
}

/// Who comes after the last counted hour is a visitor of the day once, and only when no counted hour knows them.
#[tokio::test]
async fn visitors_since_the_last_counted_hour_are_added_to_their_day() {
    let house = House::open_at(midnight()).await;
    let view = async |n, client| {
        let body = page_view(n, "https://h/");
        assert!(
            house.insight.accept(&house.sender(client, FIREFOX), body.as_bytes()).await.is_ok()
        );
    };
    view(1, "192.0.2.1").await;
    house.clock.advance(2 * HOUR);
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    for (n, client) in [(2, "192.0.2.1"), (3, "198.51.100.1"), (4, "198.51.100.1")] {
        view(n, client).await;
    }
    let counted = house
        .with_settings(Settings { raw_range_max: units::Span::seconds(0), ..Settings::default() })
        .await;
    let to = house.clock.now().plus(Duration::from_secs(1));
    let span = Span { site: "default", from: midnight(), to, bots: Bots::Exclude };
    let days = counted.list_visitors(&span, DAY).await.expect("points");
    assert_eq!(days.iter().map(|day| (day.visitors, day.pageviews)).collect::<Vec<_>>(), [(2, 4)]);
    let pages = counted.list_pages(&span, None, 9).await.expect("pages");
    assert_eq!(pages.iter().map(|p| (p.visitors, p.pageviews)).collect::<Vec<_>>(), [(2, 4)]);
    house.close().await;
}

/// A page view that arrives after its hour was counted changes that hour, and who is new in the later ones.
#[tokio::test]
async fn a_late_page_view_moves_who_was_first_seen_when() {
    let house = House::open().await;
    house.clock.advance(HOUR);
    assert!(house.send(&page_view(1, "https://h/")).await.is_ok());
    house.clock.advance(2 * HOUR);
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    let mut late = house.sender("192.0.2.1", FIREFOX);
    late.received = late.received.minus(3 * HOUR);
    assert!(house.insight.accept(&late, page_view(2, "https://h/").as_bytes()).await.is_ok());
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    let counted = house
        .with_settings(Settings { raw_range_max: units::Span::seconds(0), ..Settings::default() })
        .await;
    let of = async |back: Duration| {
        let span = Span { to: house.clock.now().minus(back).plus(HOUR), ..house.last(back) };
        let span = Span { from: span.from.floor_to(HOUR), to: span.to.floor_to(HOUR), ..span };
        let pages = counted.list_pages(&span, None, 9).await.expect("pages");
        pages.first().map(|page| (page.visitors, page.pageviews))
    };
    assert_eq!(of(3 * HOUR).await, Some((1, 1)), "first seen in the earlier hour now");
    assert_eq!(of(2 * HOUR).await, Some((0, 1)));
    house.close().await;
}

/// Marked hours of the day, all sites', counted from midnight.
async fn dirty(house: &House) -> Vec<(String, u64)> {
    let listed = rollup::list_dirty(&house.insight.latest(), None, 99).await.expect("dirty");
    let number = |at: Timestamp| at.since(midnight()).as_secs() / HOUR.as_secs();
    listed.into_iter().map(|dirty| (dirty.site, number(dirty.hour))).collect()
}

async fn mark(house: &House, hours: &[u32]) {
    for hour in hours {
        let at = midnight().plus(HOUR * *hour);
        rollup::mark_dirty(house.store.insight(), "default", at).await.expect("marked");
    }
}

/// Neither does a site whose hours cannot be declared over.
#[tokio::test]
async fn an_hour_that_cannot_be_counted_stops_no_other_hour_and_no_other_site() {
    let server = mainstay_testkit::Postgres::start();
    let name = server.create_database();
    let house = open_on(&server, &name).await;
    house.insight.set_sites(vec!["odd".into(), "default".into()]);
    let sql = sql_on(&server, &name);
    sql("ALTER TABLE mainstay.rollup_watermark ADD CONSTRAINT odd CHECK (site <> 'odd')");
    sql("ALTER TABLE mainstay.rollup_total ADD CONSTRAINT odd
         CHECK (hour NOT IN ('2026-11-22T01:00:00Z', '2026-11-22T02:00:00Z'))");
    let failing = [("default".to_owned(), 1), ("default".to_owned(), 2)];
    mark(&house, &[1, 2, 3, 4]).await;
    reconcile(&house.insight, &Stop::default()).await.expect("told of, hour by hour");
    assert_eq!(dirty(&house).await, failing);
    let failing_now = || house.metric("mainstay_rollup_counts_failing");
    assert_eq!(failing_now(), Some(3.0), "two hours, and a site");
    let over = rollup::watermark(&house.insight.latest(), "default").await.expect("a mark");
    assert_eq!(over, Some(midnight().plus(4 * DAY).minus(HOUR)));
    // They are no more than are counted in one go.
    let two = house.with_settings(Settings { rollup_hours_max: 2, ..Settings::default() }).await;
    two.set_sites(vec!["odd".into(), "default".into()]);
    mark(&house, &[0, 3, 4, 5, 6]).await;
    for _ in 0..4 {
        reconcile(&two, &Stop::default()).await.expect("told of");
    }
    assert_eq!(dirty(&house).await, failing);
    sql("ALTER TABLE mainstay.rollup_total DROP CONSTRAINT odd");
    sql("ALTER TABLE mainstay.rollup_watermark DROP CONSTRAINT odd");
    reconcile(&two, &Stop::default()).await.expect("reconciled");
    assert_eq!(dirty(&house).await, []);
    assert_eq!(failing_now(), Some(0.0));
    house.close().await;
}

/// Holds the day's lock until somebody waits for it, and has changed the day then: what another server does that counts
/// one of its hours meanwhile.
fn change_day_meanwhile(server: &mainstay_testkit::Postgres, name: &str, day: Timestamp) {
    let (lock, at) = (format!("default {}", day.as_micros()), day.to_rfc3339());
    sql_on(server, name)(&format!(
        "SET statement_timeout = '30s';
         DO $$ BEGIN
             PERFORM pg_advisory_xact_lock(hashtextextended('{lock}', 0));
             LOOP
                 EXIT WHEN EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted);
             END LOOP;
             UPDATE mainstay.rollup_day SET changes = changes + 1 WHERE site = 'default' AND day = '{at}';
         END $$"
    ));
}

/// Who goes on with the day would be refused in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_another_server_counts_is_left_to_it_and_tried_again() {
    let server = mainstay_testkit::Postgres::start();
    let name = server.create_database();
    let house = open_on(&server, &name).await;
    mark(&house, &[0, 1, 24]).await;
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    assert_eq!(dirty(&house).await, []);
    mark(&house, &[0, 1, 24]).await;
    std::thread::scope(|scope| {
        scope.spawn(|| change_day_meanwhile(&server, &name, midnight()));
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
        mainstay_testkit::until("the day is held", Duration::from_secs(30), || {
            server.primary().query(&name, held) == "1"
        });
        tokio::task::block_in_place(|| {
            let stop = Stop::default();
            let reconciled = reconcile(&house.insight, &stop);
            tokio::runtime::Handle::current().block_on(reconciled).expect("no error");
        });
    });
    let left = [0, 1].map(|hour| ("default".to_owned(), hour));
    assert_eq!(dirty(&house).await, left, "the other day is counted");
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    assert_eq!(dirty(&house).await, []);
    house.close().await;
}

#[tokio::test]
async fn who_is_told_to_stop_counts_no_other_hour() {
    let house = House::open_at(midnight()).await;
    assert!(house.send(&page_view(1, "https://h/")).await.is_ok());
    house.clock.advance(HOUR);
    assert!(house.send(&page_view(2, "https://h/")).await.is_ok());
    house.clock.advance(2 * HOUR);
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    let group = mainstay_base::task::Group::new();
    group.stop_softly();
    mark(&house, &[0, 1]).await;
    reconcile(&house.insight, group.stop()).await.expect("reconciled");
    assert_eq!(dirty(&house).await.len(), 2);
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    assert_eq!(dirty(&house).await, []);
    // A late view changes all later hours of its day.
    let mut late = house.sender("198.51.100.1", FIREFOX);
    late.received = late.received.minus(3 * HOUR);
    assert!(house.insight.accept(&late, page_view(3, "https://h/").as_bytes()).await.is_ok());
    let db = &house.insight.latest();
    let changed = rollup::list_dirty(db, None, 1).await.expect("dirty").remove(0);
    recount(&house.insight, db, &changed, group.stop()).await.expect("left");
    assert_eq!(dirty(&house).await, [("default".to_owned(), 0)]);
    recount(&house.insight, db, &changed, &Stop::default()).await.expect("counted");
    assert_eq!(dirty(&house).await, []);
    house.close().await;
}

#[tokio::test]
async fn metrics_name_the_most_viewed_pages_of_the_past() {
    let house = House::open().await;
    for n in 0..5 {
        let path = if n == 0 { "rare" } else { "loved" };
        assert!(house.send(&page_view(n, &format!("https://h/{path}"))).await.is_ok());
    }
    house.clock.advance(HOUR);
    let one = Settings { metric_pages_max: 1, ..Settings::default() };
    // The registry outlives the room here: what the first one counted is known.
    let insight = house.with_settings(one).await;
    assert!(insight.wait_store(&mainstay_base::task::Stop::default()).await);
    for (n, path) in [(10, "rare"), (11, "loved")] {
        let body = page_view(n, &format!("https://h/{path}"));
        let sender = house.sender("192.0.2.1", FIREFOX);
        assert!(insight.accept(&sender, body.as_bytes()).await.is_ok());
    }
    let views = |page: &str| {
        let labels = "user_type=\"anonymous\",referrer_type=\"direct\"";
        house.metric(&format!("page_views_total{{page=\"{page}\",{labels}}}"))
    };
    assert_eq!(
        (views("/rare"), views("/loved"), views("other")),
        (Some(1.0), Some(5.0), Some(1.0))
    );
    house.close().await;
}

/// One replica stands still before the hours were counted. Up to which hour they are is read of a server, then the hours:
/// were it another one's, some would be in neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_behind_hides_no_hour() {
    const LONG: Duration = Duration::from_secs(30);
    let servers = mainstay_testkit::Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    servers.wait_replicated(LONG);
    let database = mainstay_store::Database {
        primary: Some(servers.primary().url(&name)),
        replicas: servers.replicas().iter().map(|replica| replica.url(&name)).collect(),
        pool_min: 0,
        ..Default::default()
    };
    let house = House::open_with(midnight(), &database).await;
    for n in 1..=9 {
        house.clock.advance(HOUR);
        assert!(house.send(&page_view(n, "https://h/")).await.is_ok());
        let measured = events(n, "https://h/", &vital(100 + n, "LCP", 1_000.0, n));
        assert!(house.send(&measured).await.is_ok());
    }
    house.clock.advance(2 * HOUR);
    servers.wait_replicated(LONG);
    servers.replicas()[1].set_apply_delay(Duration::from_secs(3_600));
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    let at = servers.primary().query("postgres", "SELECT pg_current_wal_lsn()");
    servers.replicas()[0].wait_replayed(&at, LONG);
    let span = house.last(30 * DAY);
    for _ in 0..30 {
        let points = house.insight.list_visitors(&span, HOUR).await.expect("points");
        assert_eq!(points.iter().map(|point| point.pageviews).sum::<i64>(), 9);
        let points = house.insight.list_visitors(&span, DAY).await.expect("points");
        assert_eq!(points.iter().map(|point| point.pageviews).sum::<i64>(), 9);
        let pages = house.insight.list_pages(&span, None, 10).await.expect("pages");
        assert_eq!(pages.iter().map(|page| page.pageviews).collect::<Vec<_>>(), [9]);
        let vitals = house.insight.list_vitals(&span, Group::Site).await.expect("vitals");
        assert_eq!(vitals.iter().map(|row| row.samples).collect::<Vec<_>>(), [9]);
    }
    house.close().await;
}

#[tokio::test]
async fn an_hour_keeps_the_pages_measured_most_however_late_they_come() {
    let house = House::open().await;
    let pages = ["first", "second", "third", "late", "third", "late", "late", "first", "late"];
    for (sent, page) in (0..).zip(pages) {
        let lcp = vital(sent, "LCP", 1_000.0, 10);
        let body = events(sent, &format!("https://h/{page}"), &lcp);
        assert!(house.send(&body).await.is_ok());
        house.clock.advance(Duration::from_secs(1));
    }
    let few = |raw_range_max| Settings { raw_range_max, vital_keys_max: 2, ..Settings::default() };
    let shown = async |insight: &Insight| {
        let rows = insight.list_vitals(&house.last(3 * HOUR), Group::Page).await.expect("vitals");
        rows.into_iter().map(|row| (row.key.expect("a page"), row.samples)).collect::<Vec<_>>()
    };
    let most = [("/late".to_owned(), 4), ("/first".to_owned(), 2)];
    let raw = house.with_settings(few(units::Span::seconds(48 * 3_600))).await;
    assert_eq!(shown(&raw).await, most);
    house.clock.advance(HOUR + Duration::from_secs(60));
    let counted = house.with_settings(few(units::Span::seconds(0))).await;
    reconcile(&counted, &Stop::default()).await.expect("reconciled");
    assert_eq!(shown(&counted).await, most);
    house.close().await;
}
