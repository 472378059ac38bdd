//! Each kind through a store of jobs on files, with real servers at the other end.

use std::time::Duration;

use mainstay_base::task::Group;
use mainstay_base::units::Span;
use mainstay_insight::Insight;
use mainstay_jobs::{Add, Backoff, Jobs, Row, Running, Status};
use mainstay_store::{Place, Store};
use mainstay_telemetry::http::HttpMetrics;
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::outbound::{Resolver, Trust};
use serde_json::Value;
use tempfile::TempDir;

use super::*;

mod analytics;
mod email;
mod scan;
mod webhook;

const LONG: Duration = Duration::from_secs(20);
const RESULT_MAX: usize = 256 << 10;

/// A kind that does everything twice, as one whose first word was lost.
#[derive(Debug)]
struct Twice(Arc<dyn Job>);

impl Job for Twice {
    fn kind(&self) -> &str {
        self.0.kind()
    }

    fn queue(&self) -> &str {
        self.0.queue()
    }

    fn run(&self, work: Work) -> Running<'_> {
        Box::pin(async move {
            self.0.run(work.clone()).await?;
            self.0.run(work).await
        })
    }
}

struct House {
    jobs: Jobs,
    store: Store,
    settings: watch::Sender<Arc<Settings>>,
    workers: Group,
    writers: Group,
    dir: TempDir,
}

impl House {
    async fn open(settings: Settings) -> Self {
        Self::open_with(settings, RESULT_MAX, |kind| kind).await
    }

    async fn open_with(
        settings: Settings,
        result_max: usize,
        wrap: impl FnMut(Arc<dyn Job>) -> Arc<dyn Job>,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (clock, entropy) = (Clock::System, Entropy::System);
        let registry = Registry::new(&settings.metrics, clock.clone());
        let place = Place {
            settings: &settings.store,
            database: None,
            data_dir: dir.path(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let store = Store::open(place).await.expect("a store");
        let (workers, writers) = (Group::new(), Group::new());
        let insight = mainstay_insight::Context {
            sites: vec!["default".into(), "other".into()],
            store: store.clone(),
            recorder: store.start_recorder(&settings.store, &writers, &registry),
            registry: registry.clone(),
            http: HttpMetrics::new(&registry, &settings.metrics),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let insight = Insight::open(settings.insight.clone(), insight).await.expect("insight");
        let mail = Mail::open(&settings.mail, clock.clone()).expect("mail");
        let client = Client::new(&registry, Resolver::System, &Trust::System).expect("a client");
        let (settings, in_force) = watch::channel(Arc::new(settings));
        let context = Context {
            mail,
            insight,
            client,
            settings: in_force,
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let kinds = kinds(&context, result_max).into_iter().map(wrap).collect();
        let context = mainstay_jobs::Context { store: store.clone(), clock, entropy };
        let jobs = Jobs::open(context, mainstay_jobs::Settings::default(), kinds, &writers);
        jobs.list_queues().await.expect("queues");
        jobs.start(&workers).expect("threads");
        Self { jobs, store, settings, workers, writers, dir }
    }

    /// A job with one attempt, whatever it is called.
    async fn add(&self, queue: &str, payload: &Value) -> String {
        let job = Add { attempts: Some(1), ..Add::new("anything", payload.to_string()) };
        self.add_with(queue, job).await
    }

    async fn add_with(&self, queue: &str, job: Add) -> String {
        self.jobs.add(queue, job).await.expect("added").seq.to_string()
    }

    /// What becomes of such a job.
    async fn run(&self, queue: &str, payload: &Value) -> Row {
        let id = self.add(queue, payload).await;
        self.end(queue, &id).await
    }

    async fn end(&self, queue: &str, id: &str) -> Row {
        let ended = [Status::Completed, Status::Failed, Status::Dead];
        self.look(queue, id, |row| ended.contains(&row.status)).await
    }

    async fn look(&self, queue: &str, id: &str, is_it: impl Fn(&Row) -> bool) -> Row {
        let began = tokio::time::Instant::now();
        loop {
            let row = self.jobs.get(queue, id).await.expect("a job");
            if is_it(&row) {
                return row;
            }
            assert!(began.elapsed() < LONG, "{row:?}");
            // Between two looks.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// It is dead for this reason, which repeats nothing.
    async fn assert_dead(&self, queue: &str, payload: &Value, reason: &str) {
        let row = self.run(queue, payload).await;
        let error = row.error.unwrap_or_default();
        assert_eq!(row.status, Status::Dead, "{payload}: {error}");
        assert!(error.contains(reason) && !error.contains("SECRET"), "{payload}: {error}");
    }

    async fn close(self) {
        assert_eq!(self.workers.finish(LONG, LONG).await, 0);
        assert_eq!(self.workers.crashes(), []);
        assert_eq!(self.writers.finish(LONG, LONG).await, 0);
        assert_eq!(self.writers.crashes(), []);
        self.store.close().await.expect("closed");
    }
}

fn result(row: &Row) -> Value {
    assert_eq!(row.status, Status::Completed, "{:?}", row.error);
    row.result.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON"))
}
