//! A split that somebody meets: a migration, a TRUNCATE, days that were detached, days without number.

use mainstay_testkit::{Postgres, PostgresNode};

use super::house::{database, words};
use super::partitions::{VIEWS, digest, in_default, stray};
use crate::contract::Fixture;
use crate::postgres::Db;
use crate::postgres::partition::split::{self, Step};
use crate::{Engine, Settings};

struct Place {
    servers: Postgres,
    name: String,
    house: Fixture,
}

impl Place {
    async fn open() -> Self {
        let servers = Postgres::start();
        let name = servers.create_database();
        let house = Fixture::open(&Settings::default(), &database(&servers, &name)).await;
        Self { servers, name, house }
    }

    fn primary(&self) -> &PostgresNode {
        self.servers.primary()
    }

    fn ask(&self, text: &str) -> String {
        self.primary().query(&self.name, text)
    }

    fn db(&self) -> Db {
        let Engine::Postgres(db) = self.house.insight().clone() else { panic!("not PostgreSQL") };
        db
    }

    /// Steps to the end, each of which leaves the table as it is; how often one went.
    async fn split(&self) -> u32 {
        for went in 0.. {
            let before = digest(self.primary(), &self.name);
            let step = split::step(&self.db(), VIEWS).await.unwrap();
            assert_eq!(digest(self.primary(), &self.name), before, "{step:?}");
            if matches!(step, Step::Nothing | Step::Done(_)) {
                assert_eq!(in_default(self.primary(), &self.name), 0);
                return went;
            }
        }
        unreachable!("it ends before")
    }

    async fn step(&self) -> Step {
        split::step(&self.db(), VIEWS).await.unwrap()
    }
}

const LATER: &str =
    "INSERT INTO mainstay.page_views (id, site, recorded_at, page_id, path, device_type)
    SELECT 'later-' || to_char(n, 'FM00000000000'), 'default', '2026-12-22T13:00:00Z'::timestamptz + n * INTERVAL '1 day', 'page', '/', 'desktop'
    FROM generate_series(0, 5) AS n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_goes_on_beside_migrations_and_truncation() {
    for change in [
        "ALTER TABLE mainstay.page_views ADD COLUMN later TEXT NOT NULL DEFAULT 'x'",
        "ALTER TABLE mainstay.page_views ADD COLUMN later BIGINT; ALTER TABLE mainstay.page_views DROP COLUMN later",
        "ALTER TABLE mainstay.page_views ADD CONSTRAINT later CHECK (path <> 'later')",
        "CREATE UNIQUE INDEX later ON mainstay.page_views (id, path, recorded_at)",
        "TRUNCATE mainstay.page_views_default",
        "TRUNCATE mainstay.page_views",
    ] {
        let place = Place::open().await;
        stray(place.primary(), &place.name, 30_000);
        assert_eq!(place.step().await, Step::Begun);
        for _ in 0..2 {
            assert_eq!(place.step().await, Step::Went);
        }
        assert_eq!(place.ask("SELECT count(*) > 0 FROM mainstay.page_views_p20261222"), "t");
        let _ = place.ask(change);
        let _ = place.ask(LATER);
        let before = digest(place.primary(), &place.name);
        let _ = place.split().await;
        assert_eq!(digest(place.primary(), &place.name), before, "{change}");
        let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'page_views_default_%' AND relkind = 'r'";
        assert_eq!(place.ask(left), "0", "{change}");
        place.house.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_was_detached_by_hand_stays_so() {
    let place = Place::open().await;
    const DAY: &str = "mainstay.page_views_p20261122";
    let _ = place.ask(&format!("ALTER TABLE mainstay.page_views DETACH PARTITION {DAY}"));
    // Rows of other days have nothing to do with it.
    stray(place.primary(), &place.name, 300);
    let _ = place.split().await;
    let attached = format!("SELECT relispartition FROM pg_class WHERE oid = '{DAY}'::regclass");
    assert_eq!(place.ask(&attached), "f");
    // Rows of that day have no place.
    let _ = place.ask(&LATER.replace("2026-12-22", "2026-11-20"));
    let before = digest(place.primary(), &place.name);
    let refused = split::run(&place.db(), VIEWS, || true).await.unwrap_err();
    let said = words(&refused);
    assert!(said.contains(DAY) && said.contains("attach it again"), "{said}");
    assert_eq!(place.ask(&attached), "f");
    assert_eq!(digest(place.primary(), &place.name), before);
    let _ = place.ask(&format!("ALTER TABLE {DAY} RENAME TO archived"));
    let _ = place.split().await;
    assert_eq!(place.ask(&attached), "t");
    place.house.finish().await;
}

/// While everybody waits no other word is exchanged, however many days there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_change_hands_in_one_text_of_somebody_who_may_not_stand_still() {
    let place = Place::open().await;
    let days = "INSERT INTO mainstay.page_views (id, site, recorded_at, page_id, path, device_type)
        SELECT 'stray-' || to_char(n, 'FM00000000000'), 'default', '2027-01-01T12:00:00Z'::timestamptz + n * INTERVAL '1 day', 'page', '/', 'desktop'
        FROM generate_series(1, 40) AS n";
    let _ = place.ask(days);
    let _ = place.ask(
        "CREATE TABLE seen (words TEXT, idle TEXT); GRANT INSERT ON seen TO PUBLIC;
         CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql AS $see$
         BEGIN
            INSERT INTO public.seen VALUES (current_query(), current_setting('idle_in_transaction_session_timeout'));
         END $see$;
         CREATE EVENT TRIGGER see ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION see()",
    );
    let _ = place.split().await;
    assert_eq!(place.ask("SELECT count(DISTINCT words) FROM seen"), "1");
    let words = place.ask("SELECT DISTINCT words FROM seen");
    assert_eq!(words.matches("ATTACH PARTITION").count(), 40, "{words}");
    assert!(words.ends_with("DEFAULT; COMMIT"), "{words}");
    assert_eq!(place.ask("SELECT DISTINCT idle FROM seen"), "5s");
    place.house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_days_are_told_and_those_that_are_deleted_make_room() {
    let place = Place::open().await;
    // First rows of 300 days, then those of 100 more, in blocks of their own.
    let days = "INSERT INTO mainstay.page_views (id, site, recorded_at, page_id, path, device_type)
        SELECT 'stray-' || to_char(n, 'FM00000000000'), 'default', '2027-01-01T12:00:00Z'::timestamptz
            + (CASE WHEN n < 15000 THEN n % 300 ELSE 300 + n % 100 END) * INTERVAL '1 day', 'page', '/', 'desktop'
        FROM generate_series(0, 29999) AS n";
    let _ = place.ask(days);
    let before = digest(place.primary(), &place.name);
    for _ in 0..2 {
        let refused = split::run(&place.db(), VIEWS, || true).await.unwrap_err();
        let said = words(&refused);
        assert!(said.contains("more than 366 days") && said.contains("DELETE FROM"), "{said}");
    }
    assert_eq!(digest(place.primary(), &place.name), before);
    let _ = place.ask("DELETE FROM mainstay.page_views WHERE recorded_at < '2027-03-01'");
    assert!(place.split().await > 3);
    let days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'mainstay.page_views'::regclass
        AND inhrelid::regclass::text ~ '_p202[78]'";
    assert_eq!(place.ask(days), "341");
    place.house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stood_still_and_was_ended_begins_again() {
    let place = Place::open().await;
    stray(place.primary(), &place.name, 300);
    let _ = place.ask(
        "CREATE SEQUENCE times; GRANT ALL ON SEQUENCE times TO PUBLIC;
         CREATE FUNCTION stand() RETURNS event_trigger LANGUAGE plpgsql AS $stand$
         BEGIN
            IF nextval('public.times') = 1 THEN
                RAISE USING ERRCODE = 'idle_in_transaction_session_timeout';
            END IF;
         END $stand$;
         CREATE EVENT TRIGGER stand ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION stand()",
    );
    assert_eq!(split::run(&place.db(), VIEWS, || true).await.unwrap(), 300);
    assert_eq!(place.ask("SELECT last_value > 1 FROM times"), "t");
    place.house.finish().await;
}
