//! Tests of the room on both engines: real files, a real server, handlers that do what the test says.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::task::Group;
use mainstay_base::units::Span;
use mainstay_base::{Clock, Entropy};
use mainstay_store::job::{Ack, Outcome};
use mainstay_store::{Database, Place, Store};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::settings::Queue;

mod ends;
mod looks;
mod runs;

const LONG: Duration = Duration::from_secs(20);
const HOUR: Span = Span::seconds(3_600);

/// What a handler answers.
type Said = Result<Option<String>, Failure>;

/// A handler that has begun, and waits for what it shall answer.
#[derive(Debug)]
struct Begun {
    work: Work,
    /// Which kind it is.
    by: &'static str,
    say: oneshot::Sender<Said>,
}

impl Begun {
    fn say(self, said: Said) {
        self.say.send(said).expect("nobody waits for the handler");
    }

    fn id(&self) -> String {
        self.work.id()
    }
}

/// A kind whose handlers do as the test says.
#[derive(Debug)]
struct Puppet {
    kind: &'static str,
    queue: &'static str,
    begun: mpsc::UnboundedSender<Begun>,
}

impl Job for Puppet {
    fn kind(&self) -> &str {
        self.kind
    }

    fn queue(&self) -> &str {
        self.queue
    }

    fn run(&self, work: Work) -> Running<'_> {
        Box::pin(async move {
            let (say, said) = oneshot::channel();
            self.begun.send(Begun { work, by: self.kind, say }).expect("a test that listens");
            said.await.unwrap_or_else(|_| Err(Failure::Again("nobody said anything".into())))
        })
    }
}

/// A kind whose handlers panic.
#[derive(Debug)]
struct Bomb;

impl Job for Bomb {
    fn kind(&self) -> &str {
        "bomb"
    }

    fn queue(&self) -> &str {
        "one"
    }

    fn run(&self, _: Work) -> Running<'_> {
        Box::pin(async { panic!("a handler that panics") })
    }
}

/// A kind whose handlers block their thread until the test lets go.
#[derive(Debug)]
struct Blocker(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

impl Job for Blocker {
    fn kind(&self) -> &str {
        "blocker"
    }

    fn queue(&self) -> &str {
        "one"
    }

    fn run(&self, _: Work) -> Running<'_> {
        Box::pin(async {
            let _let_go = self.0.lock().expect("one at a time").recv();
            Ok(None)
        })
    }
}

/// A kind whose handlers block their thread until they are told that nobody waits for them.
#[derive(Debug)]
struct Stubborn;

impl Job for Stubborn {
    fn kind(&self) -> &str {
        "stubborn"
    }

    fn queue(&self) -> &str {
        "one"
    }

    fn run(&self, work: Work) -> Running<'_> {
        Box::pin(async move {
            let (told, blocks) = std::sync::mpsc::channel();
            let waker = std::task::Waker::from(Arc::new(Bell(std::sync::Mutex::new(told))));
            let mut context = std::task::Context::from_waker(&waker);
            let mut cancelled = std::pin::pin!(work.cancel.cancelled());
            while cancelled.as_mut().poll(&mut context).is_pending() {
                blocks.recv().expect("a bell");
            }
            Ok(None)
        })
    }
}

struct Bell(std::sync::Mutex<std::sync::mpsc::Sender<()>>);

impl std::task::Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _nobody_waits = self.0.lock().expect("nobody panicked").send(());
    }
}

struct House {
    jobs: Jobs,
    begun: mpsc::UnboundedReceiver<Begun>,
    let_go: std::sync::mpsc::Sender<()>,
    workers: Group,
    writers: Group,
    store: Store,
    _dir: TempDir,
}

/// One process that never looks by itself.
fn settings() -> Settings {
    Settings { poll_every: HOUR, sweep: HOUR, ..Settings::default() }
}

impl House {
    async fn sqlite(settings: Settings) -> Self {
        Self::open(settings, None).await
    }

    async fn postgres(settings: Settings) -> Self {
        let server = mainstay_testkit::Postgres::shared();
        let primary = Some(server.primary_url(&server.create_database()));
        let database = Database { primary, pool_min: 0, pool_max: 6, ..Database::default() };
        Self::open(settings, Some(database)).await
    }

    async fn open(settings: Settings, database: Option<Database>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (clock, entropy) = (Clock::System, Entropy::System);
        let place = Place {
            settings: &mainstay_store::Settings::default(),
            database: database.as_ref(),
            data_dir: dir.path(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let store = Store::open(place).await.expect("a store");
        let (workers, writers) = (Group::new(), Group::new());
        let (puppets, begun) = mpsc::unbounded_channel();
        let (let_go, held) = std::sync::mpsc::channel();
        let puppet = |kind, queue| Puppet { kind, queue, begun: puppets.clone() };
        let kinds: Vec<Arc<dyn Job>> = vec![
            Arc::new(puppet("puppet", "one")),
            Arc::new(puppet(ANY, "two")),
            Arc::new(puppet("puppet", "two")),
            Arc::new(Bomb),
            Arc::new(Blocker(held.into())),
            Arc::new(Stubborn),
        ];
        let context = Context { store: store.clone(), clock, entropy };
        let jobs = Jobs::open(context, settings, kinds, &writers);
        jobs.start(&workers).expect("threads");
        Self { jobs, begun, let_go, workers, writers, store, _dir: dir }
    }

    async fn add(&self, payload: &str) -> String {
        self.add_with(Add::new("puppet", payload)).await
    }

    async fn add_with(&self, job: Add) -> String {
        self.jobs.add("one", job).await.expect("added").seq.to_string()
    }

    async fn next(&mut self) -> Begun {
        let begun = tokio::time::timeout(LONG, self.begun.recv()).await;
        begun.expect("no handler began").expect("a house that stands")
    }

    /// Until those who work on these queues have begun: each has claimed, and rests.
    async fn is_ready(&mut self, queues: &[&str]) {
        for queue in queues {
            let added = self.jobs.add(queue, Add::new("stranger", "1")).await.expect("added");
            if self.jobs.find_kind(queue, "stranger").is_some() {
                self.next().await.say(Ok(None));
            }
            let (id, begun) = (added.seq.to_string(), tokio::time::Instant::now());
            while !self.jobs.get(queue, &id).await.expect("a job").status.is_final() {
                assert!(begun.elapsed() < LONG, "nobody works on {queue}");
                // The pause between two looks: a row of the store tells nobody that it has changed.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.jobs.remove(queue, &id).await.expect("removed");
        }
    }

    /// How the job stands as soon as it stands so, or what it stands like in the end.
    async fn wait(&self, id: &str, status: Status) -> Row {
        let begun = tokio::time::Instant::now();
        loop {
            let row = self.jobs.get("one", id).await.expect("a job");
            if row.status == status {
                return row;
            }
            assert!(begun.elapsed() < LONG, "{row:?}");
            // The pause between two looks: a row of the store tells nobody that it has changed.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn close(self) {
        assert_eq!(self.workers.finish(LONG, LONG).await, 0);
        assert_eq!(self.workers.crashes(), []);
        assert_eq!(self.writers.finish(LONG, LONG).await, 0);
        assert_eq!(self.writers.crashes(), []);
        self.store.close().await.expect("closed");
    }
}

/// Every case on both engines.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(async |settings| super::House::sqlite(settings).await).await;
            }
        )+}
        mod on_postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(async |settings| super::House::postgres(settings).await).await;
            }
        )+}
    };
}
use on_both;

#[test]
fn what_may_be_added_is_judged_before_it_is() {
    let settings = Settings { payload_max: mainstay_base::units::Size(8), ..Settings::default() };
    let refused = |job: Add, word: &str| {
        let error = job.check(1, &settings).expect_err(word).to_string();
        assert!(error.contains(word), "{error}");
    };
    let fine = || Add::new("kind", "1");
    refused(Add { payload: "{".into(), ..fine() }, "not JSON");
    refused(Add { payload: "[1,2,3,4]".into(), ..fine() }, "payload_max");
    refused(Add { priority: 2_097_152, ..fine() }, "2097151");
    refused(Add { id: Some("12".into()), ..fine() }, "no number");
    refused(Add { id: Some(String::new()), ..fine() }, "255");
    refused(Add { kind: "x".repeat(256).into(), ..fine() }, "255");
    refused(Add { idempotency_key: Some("a\0".into()), ..fine() }, "NUL");
    let ages = Duration::from_secs(4_000 * 86_400);
    refused(Add { delay: ages, ..fine() }, "ten years");
    refused(Add { timeout: Some(ages), ..fine() }, "ten years");
    refused(Add { backoff: Some(Backoff::Fixed(ages)), ..fine() }, "ten years");
    refused(Add { timeout: Some(Duration::from_micros(1)), ..fine() }, "millisecond");
    refused(Add { trace: Some("a\0".into()), ..fine() }, "1024");
    let new = fine().check(1, &settings).expect("fine");
    assert_eq!((new.attempts_max, new.backoff), (3, Backoff::Exponential(Duration::from_secs(2))));
}

#[test]
fn renewals_are_twice_within_a_lease_and_heard_of_within_a_second() {
    let every = |lease: u64| {
        Settings { lease: Span(Duration::from_millis(lease)), ..Settings::default() }.renew_every()
    };
    assert_eq!(every(30_000), Duration::from_millis(800));
    assert_eq!(every(500), Duration::from_millis(250));
    assert_eq!(every(0), Duration::from_millis(10));
}

#[test]
fn in_each_queue_a_name_is_the_first_kind_of_that_name() {
    #[derive(Debug)]
    struct Of(&'static str);
    impl Job for Of {
        fn kind(&self) -> &str {
            "same"
        }
        fn queue(&self) -> &str {
            self.0
        }
        fn run(&self, _: Work) -> Running<'_> {
            Box::pin(async { Ok(None) })
        }
    }
    let kinds: [Arc<dyn Job>; 3] = [Arc::new(Of("one")), Arc::new(Of("two")), Arc::new(Of("one"))];
    let by_name = crate::jobs::by_name(kinds.to_vec());
    let at = |queue: &str| by_name.get(&(queue.to_owned(), "same".to_owned())).expect("known");
    assert!(Arc::ptr_eq(at("one"), &kinds[0]) && Arc::ptr_eq(at("two"), &kinds[1]));
}

#[test]
fn after_a_time_in_which_nobody_could_renew_nobody_is_judged_for_a_lease() {
    let lease = Duration::from_secs(3_600);
    let clock = Clock::fixed(Clock::System.now());
    let mut quiet = crate::sweep::Quiet::new(clock.clone(), lease);
    assert!(quiet.may_sweep());
    clock.advance(lease);
    assert!(!quiet.may_sweep(), "the machine slept");
    assert!(!quiet.may_sweep(), "a lease long");
    let mut quiet = crate::sweep::Quiet::new(clock, Duration::ZERO);
    quiet.wait();
    assert!(quiet.may_sweep());
}
