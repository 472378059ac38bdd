//! Tests of `recorder`.

use std::future::pending;
use std::time::{Duration, Instant};

use mainstay_base::Entropy;
use mainstay_base::units::{Size, Span as Time};
use rusqlite::Connection;
use tokio::sync::mpsc;

use super::sink::{Sink, SinkContext};
use super::{Entry, Gathering, answers};
use crate::ask::{change, run};
use crate::contract::{Fixture, Sample};
use crate::error::Source;
use crate::sql::{Sql, sql};
use crate::tables::retain::{self, Table};
use crate::tables::{page_view, user_session};
use crate::{Batch, Bots, Error, Health, Record, Settings, Span, record};

const LONG: Duration = Duration::from_secs(20);

fn batch(n: u32) -> Batch {
    Batch { records: vec![Record::PageView(Sample(n).view())], visit: Some(Sample(n).touch(n % 7)) }
}

/// A sink beside the recorder's, for what is about groups.
fn sink(f: &Fixture, settings: &Settings) -> Sink {
    let (store, clock, entropy) = (f.store.clone(), f.clock.clone(), Entropy::System);
    let context = SinkContext { store, clock, entropy, spool_dir: f.dir.path().to_owned() };
    Sink::new(context, settings)
}

async fn count(f: &Fixture) -> i64 {
    let span = Span {
        site: "default",
        from: mainstay_base::Timestamp::EPOCH,
        to: mainstay_base::Timestamp::from_micros(i64::MAX),
        bots: Bots::Include,
    };
    page_view::total(f.insight(), &span).await.unwrap().pageviews
}

/// Records all at once, queued before any is written; answers in order.
async fn record_all(f: &Fixture, batches: Vec<Batch>) -> Vec<Result<(), record::Error>> {
    let queue = |batch| {
        let recorder = f.recorder.clone();
        let mut waiting = Box::pin(async move { recorder.record(batch).await.map(drop) });
        // Polled once, it is queued.
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let ready = std::future::Future::poll(waiting.as_mut(), &mut cx);
        (ready, waiting)
    };
    let waiting: Vec<_> = while_busy(f, async || batches.into_iter().map(queue).collect()).await;
    let mut answers = Vec::new();
    for (ready, waiting) in waiting {
        answers.push(match ready {
            std::task::Poll::Ready(answer) => answer,
            std::task::Poll::Pending => waiting.await,
        });
    }
    answers
}

/// Holds the writer, so that what is recorded meanwhile must queue.
async fn while_busy<T>(f: &Fixture, work: impl AsyncFnOnce() -> T) -> T {
    let db = f.insight().file();
    let writer = db.writer().await;
    let out = work().await;
    drop(writer);
    out
}

#[tokio::test]
async fn a_group_is_waited_for_until_it_is_complete() {
    let gathering = Gathering::new();
    let (queue, entries) = mpsc::channel(8);
    let send = async {
        for n in 0..3 {
            tokio::task::yield_now().await;
            queue.try_send(Entry { batch: batch(n), asker: answers::ask().0 }).unwrap();
            gathering.note_queued(&queue);
        }
    };
    let began = Instant::now();
    tokio::join!(gathering.wait(3, &entries, LONG), send);
    assert!(began.elapsed() < LONG / 2 && entries.len() == 3);
    // Those who do not come again are not waited for longer than that.
    let (began, at_most) = (Instant::now(), Duration::from_millis(20));
    gathering.wait(4, &entries, at_most).await;
    assert!((at_most..LONG / 2).contains(&began.elapsed()) && entries.len() == 3);
}

#[tokio::test]
async fn batches_that_wait_share_a_commit() {
    let f = Fixture::sqlite().await;
    let answers = record_all(&f, (0..200).map(batch).collect()).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(count(&f).await, 200);
    let commits = *f.recorder.committed().borrow();
    assert!((1..=20).contains(&commits), "{commits} commits for 200 batches");
    assert_eq!((f.recorder.queued(), f.recorder.shed_total()), (0, 0));
    f.finish().await;
}

#[tokio::test]
async fn a_full_queue_answers_at_once() {
    let settings =
        Settings { recorder_queue_batches: 4, commit_batches_max: 1, ..Settings::default() };
    let f = Fixture::sqlite_with(&settings).await;
    let recorder = f.recorder.clone();
    let held = while_busy(&f, async || {
        let mut held = Vec::new();
        let mut shed = 0;
        // One batch may be in the task's hands, four in the queue.
        for n in 0..8 {
            let mut waiting = Box::pin({
                let recorder = recorder.clone();
                async move { recorder.record(batch(n)).await }
            });
            match futures_poll(&mut waiting).await {
                Some(answer) => {
                    assert_eq!(answer, Err(record::Error::Full));
                    shed += 1;
                }
                None => held.push(waiting),
            }
        }
        assert!((3..=4).contains(&shed), "{shed} shed");
        assert_eq!(recorder.shed_total(), shed);
        held
    })
    .await;
    let kept = i64::try_from(held.len()).unwrap();
    for waiting in held {
        assert_eq!(waiting.await.map(drop), Ok(()));
    }
    assert_eq!(count(&f).await, kept);
    f.finish().await;
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(waiting: &mut F) -> Option<F::Output> {
    let polled = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *waiting).poll(cx))
    })
    .await;
    tokio::task::yield_now().await;
    match polled {
        std::task::Poll::Ready(out) => Some(out),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_poisoned_batch_fails_alone() {
    let f = Fixture::sqlite().await;
    let mut batches: Vec<_> = (0..9).map(batch).collect();
    // The country's length is a rule of the table.
    if let Some(visit) = &mut batches[4].visit {
        visit.country_code = Some("much too long".into());
    }
    let answers = record_all(&f, batches).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer, if n == 4 { Err(record::Error::Refused) } else { Ok(()) }, "batch {n}");
    }
    assert_eq!(count(&f).await, 8);
    assert_eq!(f.recorder.health(), Health::Ok);
    f.finish().await;
}

const LIMITED: Size = Size::kib(400);

/// Deletes all that was recorded.
async fn make_room(f: &Fixture) {
    let future = mainstay_base::Timestamp::from_seconds(9_000_000_000);
    for table in [Table::PageViews, Table::UserSessions] {
        retain::delete_before(f.insight(), table, future, 100_000).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    let settings = Settings {
        insight_size_max: LIMITED,
        recorder_probe_every: Time(Duration::from_millis(20)),
        ..Settings::default()
    };
    let f = Fixture::sqlite_with(&settings).await;
    let (mut stored, mut refused) = (0, 0);
    let mut tell = |answers: &[Result<(), record::Error>]| {
        for answer in answers {
            match answer {
                Ok(()) => stored += 1,
                Err(error) => {
                    assert_eq!(*error, record::Error::Unavailable);
                    refused += 1;
                }
            }
        }
        answers.iter().any(Result::is_err)
    };
    // Until no group has room, then until no batch has.
    let mut fresh = 0..10_000;
    while !tell(&record_all(&f, fresh.by_ref().take(16).map(batch).collect()).await) {}
    while !tell(&record_all(&f, fresh.by_ref().take(1).map(batch).collect()).await) {}
    assert!(!fresh.is_empty(), "the limit does not bite");
    let Health::Degraded { since, reason } = f.recorder.health() else { panic!("not degraded") };
    assert_eq!(since, f.clock.now());
    assert!(reason.contains("full"), "{reason}");
    assert_eq!(f.recorder.shed_total(), refused);
    assert_eq!(count(&f).await, stored, "a failed group left something behind");

    // The recorder notices without anybody recording.
    make_room(&f).await;
    tokio::time::timeout(LONG, async {
        while f.recorder.health() != Health::Ok {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    f.record(batch(10_001).records, None).await;
    assert_eq!(count(&f).await, 1);
    f.finish().await;
}

/// A row that is there already can be rewritten in a full file: that says nothing of new ones.
#[tokio::test]
async fn no_probe_calls_a_full_disk_well() {
    let settings = Settings { insight_size_max: LIMITED, ..Settings::default() };
    let f = Fixture::sqlite_with(&settings).await;
    let (mut sink, now) = (sink(&f, &settings), f.clock.now());
    sink.tend(now, pending()).await.unwrap();
    assert_eq!(sink.why_away(), None);
    let mut fresh = (0..10_000).map(batch);
    while sink.commit(&[&fresh.next().unwrap()], now, pending()).await.is_ok() {}
    for _ in 0..5 {
        assert!(sink.why_away().unwrap().contains("full"));
        assert_eq!(sink.tend(now, pending()).await, Ok(false));
    }
    make_room(&f).await;
    sink.tend(now, pending()).await.unwrap();
    assert_eq!(sink.why_away(), None);
    sink.commit(&[&fresh.next().unwrap()], now, pending()).await.unwrap();
    let names = "SELECT count(*) FROM sqlite_schema WHERE name = 'recorder_room'";
    let left: i64 =
        sqlx::query_scalar(names).fetch_one(f.insight().file().readers()).await.unwrap();
    assert_eq!(left, 0);
    f.finish().await;
}

#[tokio::test]
async fn a_soft_stop_finishes_what_is_queued() {
    let settings = Settings { commit_batches_max: 8, ..Settings::default() };
    let f = Fixture::sqlite_with(&settings).await;
    let recorder = f.recorder.clone();
    let group = mainstay_base::task::Group::new();
    let (done, mut all) = tokio::sync::mpsc::unbounded_channel();
    while_busy(&f, async || {
        for n in 0..50 {
            let (recorder, done) = (recorder.clone(), done.clone());
            group.spawn_child("client", async move {
                let _closed = done.send(recorder.record(batch(n)).await);
            });
        }
        while recorder.queued() < 40 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let wal = f.dir.path().join("insight.db-wal");
    f.stop().await;
    for _ in 0..50 {
        assert_eq!(all.recv().await.map(|answer| answer.map(drop)), Some(Ok(())));
    }
    assert_eq!(std::fs::metadata(wal).map_or(0, |m| m.len()), 0, "not checkpointed");
    assert_eq!(recorder.record(batch(99)).await, Err(record::Error::Unavailable));
    f.finish().await;
}

#[tokio::test]
async fn a_transaction_left_open_is_cleared_away() {
    const BEGIN: &str = "BEGIN IMMEDIATE";
    // Long enough for a connection that is given up to be closed by its own thread.
    let f =
        Fixture::sqlite_with(&Settings { busy_timeout: Time(LONG), ..Settings::default() }).await;
    f.record(batch(0).records, None).await;
    // What a cancelled writer leaves behind.
    drop(f.insight().begin("test.begin").await.unwrap());
    assert_eq!(f.try_record(batch(1).records, None).await, Ok(()));
    // Nor does the recorder's own hold up anybody.
    {
        let db = f.insight().file();
        let begin = |conn: &Connection| Ok::<_, Source>(conn.execute_batch(BEGIN)?);
        db.writer().await.directly(db, begin).unwrap();
    }
    f.insight().begin("test.begin").await.unwrap().commit().await.unwrap();
    assert_eq!(f.try_record(batch(2).records, None).await, Ok(()));
    assert_eq!(f.recorder.health(), Health::Ok);
    f.finish().await;
}

/// Takes the file's write lock and never ends.
const ENDLESS: Sql = sql!(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
     INSERT INTO mainstay.recorder_probe (id, at) SELECT 1, count(*) FROM n"
);

/// Gives up what it is at once that holds the file's write lock.
async fn give_up_within(f: &Fixture, work: impl Future<Output = Result<(), Error>>) {
    let other = Connection::open(f.insight().file().path()).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    let locked = async {
        while other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = work => panic!("it has ended: {ended:?}"),
        () = locked => {}
    }
}

#[tokio::test]
async fn what_is_given_up_in_the_middle_ends_and_holds_up_nobody() {
    let f =
        Fixture::sqlite_with(&Settings { busy_timeout: Time(LONG), ..Settings::default() }).await;
    let db = f.insight();
    give_up_within(&f, async { change!(db, "test.change", ENDLESS).map(drop) }).await;
    assert_eq!(f.try_record(batch(0).records, None).await, Ok(()));
    give_up_within(&f, async {
        let mut tx = db.begin("test.begin").await?;
        run!(tx, ENDLESS).map(drop)
    })
    .await;
    assert_eq!(f.try_record(batch(1).records, None).await, Ok(()));
    assert_eq!(count(&f).await, 2);
    f.finish().await;
}

#[tokio::test]
async fn a_transaction_that_nobody_ends_refuses_no_batch_for_good() {
    let busy_timeout = Time(Duration::from_millis(100));
    let f = Fixture::sqlite_with(&Settings { busy_timeout, ..Settings::default() }).await;
    {
        let mut writer = f.insight().file().writer().await;
        let conn = writer.conn().await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(conn).await.unwrap();
    }
    // Nothing is wrong with the batch, so it must not be called refused.
    let recorded = async |n| f.try_record(batch(n).records, None).await;
    assert_eq!(recorded(0).await, Err(record::Error::Unavailable));
    // The connection was given up; its own thread closes it.
    tokio::time::timeout(LONG, async {
        while let Err(error) = recorded(1).await {
            assert_eq!(error, record::Error::Unavailable);
        }
    })
    .await
    .unwrap();
    assert_eq!(f.recorder.health(), Health::Ok);
    f.finish().await;
}

#[tokio::test]
async fn a_hard_stop_is_heard_between_commits() {
    let busy_timeout = Time(Duration::from_millis(300));
    let settings = Settings { busy_timeout, commit_batches_max: 1, ..Settings::default() };
    let f = Fixture::sqlite_with(&settings).await;
    let other = Connection::open(f.insight().file().path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let recorder = f.recorder.clone();
    let queued = record_all(&f, (0..100).map(batch).collect());
    let mut queued = std::pin::pin!(queued);
    while recorder.queued() < 99 {
        assert!(futures_poll(&mut queued).await.is_none());
    }
    let began = Instant::now();
    f.stop_now();
    f.stop().await;
    assert!(began.elapsed() < LONG / 2, "a hundred commits, each of which waits");
    drop(other);
}

/// The statement for eight rows inserts seven: the values of the eighth before it must be gone.
#[tokio::test]
async fn a_smaller_group_writes_nothing_of_the_one_before() {
    let f = Fixture::sqlite().await;
    let mut sink = sink(&f, &Settings::default());
    for (many, sum) in [(8, 8), (7, 15)] {
        let group = (sum - many..sum).map(|n| Batch {
            records: vec![Record::PageView(Sample(n).view())],
            visit: Some(Sample(n).touch(n)),
        });
        let group: Vec<_> = group.collect();
        sink.commit(&group.iter().collect::<Vec<_>>(), f.clock.now(), pending()).await.unwrap();
        let visits: (i64, i64) =
            sqlx::query_as("SELECT count(*), sum(page_views) FROM user_sessions")
                .fetch_one(f.insight().file().readers())
                .await
                .unwrap();
        assert_eq!(visits, (i64::from(sum), i64::from(sum)));
    }
    f.finish().await;
}

#[tokio::test]
async fn news_are_counted_per_commit() {
    let f = Fixture::sqlite().await;
    let mut news = f.recorder.committed();
    f.record(batch(0).records, None).await;
    tokio::time::timeout(LONG, news.changed()).await.unwrap().unwrap();
    assert_eq!(*news.borrow_and_update(), 1);
    let active = user_session::list_active_since(f.insight(), Sample(0).at(), 10).await.unwrap();
    assert_eq!(active, []);
    f.finish().await;
}
