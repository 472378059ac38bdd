//! What is asked of the store while there is nothing to do, and what is found that nobody spoke of.

use mainstay_testkit::Postgres;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_idle_asks_one_question_per_look_for_all_queues() {
    let server = Postgres::start();
    let name = server.create_database();
    let _ = server.primary().query(&name, "CREATE EXTENSION pg_stat_statements");
    let primary = Some(server.primary().url(&name));
    let database = Database { primary, pool_min: 0, pool_max: 6, ..Database::default() };
    let (poll, sweep) = (Duration::from_millis(100), Duration::from_millis(500));
    let of = |name: &str| Queue { name: name.into(), concurrency: None };
    let settings = Settings {
        poll_every: Span(poll),
        sweep: Span(sweep),
        queue: ["two", "three"].map(of).into(),
        ..Settings::default()
    };
    let mut house = House::open(settings, Some(database)).await;
    house.is_ready(&["one", "two", "three"]).await;
    // Everything that is said of jobs, and every transaction but those of the upkeep, which says something else in it.
    let text = "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
        WHERE d.datname = current_database() AND query NOT LIKE '%pg_stat_statements%' AND query LIKE '%mainstay.job%'";
    let calls = || server.primary().query(&name, text).parse::<u32>().expect("a number");
    let (before, begun) = (calls(), std::time::Instant::now());
    // The time itself is what is tested.
    tokio::time::sleep(poll * 20).await;
    let asked = calls() - before;
    let looks = (begun.elapsed().as_millis() / poll.as_millis()) as u32;
    // A look for leases that ran out is one, too, and may fall between two others.
    let sweeps = (begun.elapsed().as_millis() / sweep.as_millis()) as u32;
    assert!(asked >= 5 && asked <= looks + sweeps + 2, "{asked} in {looks} looks");
    // Of one that runs for long its lease is written twice in its time, and asked after in between.
    let written = || {
        let text =
            text.replace("LIKE '%mainstay.job%'", "LIKE '%SET lease_until = now() + h.lease%'");
        server.primary().query(&name, &text).parse::<u32>().expect("a number")
    };
    house.add("1").await;
    let begun_job = house.next().await;
    let renewal = Duration::from_millis(800);
    // The first renewal says that it has begun; the time itself is what is tested.
    tokio::time::sleep(renewal * 2).await;
    assert!(written() > 0, "nobody is told that it has begun");
    let (before, all_before) = (written(), calls());
    tokio::time::sleep(renewal * 4).await;
    assert_eq!(written() - before, 0);
    assert!(calls() > all_before);
    begun_job.say(Ok(None));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_made_in_the_transaction_that_needs_it() {
    for house in [House::sqlite(settings()).await, House::postgres(settings()).await] {
        let (clock, entropy) = (Clock::System, Entropy::System);
        let context = Context { store: house.store.clone(), clock, entropy };
        let queue = vec![Queue { name: "fresh".into(), concurrency: Some(0) }];
        let settings = Settings { queue, ..settings() };
        let jobs = Jobs::open(context, settings, Vec::new(), &house.writers);
        for (commits, expected) in [(false, 0), (true, 1)] {
            let mut tx = house.store.core().transaction("test").await.expect("a transaction");
            let added = jobs.add_in(&mut tx, "fresh", vec![Add::new("puppet", "1")]).await;
            assert!(added.expect("added")[0].is_new);
            if commits {
                tx.commit().await.expect("committed");
            } else {
                drop(tx);
            }
            // What a transaction made that was undone is not taken for made.
            let rows = mainstay_store::job_queue::list(house.store.core()).await.expect("queues");
            let fresh = rows.iter().filter(|row| row.name == "fresh").count();
            assert_eq!(fresh, expected);
        }
        let counts = jobs.counts("fresh").await.expect("counts");
        assert_eq!(counts.of(Status::Waiting), 1);
        house.close().await;
    }
}
