//! An open store with its recorder, and many callers of it. Measures one thing: how fast they are answered.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_store::{Batch, Database, Health, Place, Recorder, Settings, Store};
use mainstay_telemetry::metrics::Registry;
use mainstay_testkit::{Postgres, PostgresLaunch};
use tempfile::TempDir;

const LAST: Duration = Duration::from_secs(20);

pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) recorder: Recorder,
    pub(crate) registry: Registry,
    group: Group,
    pub(crate) dir: TempDir,
}

impl House {
    /// A store with default settings, on files in `parent` when there is no database.
    pub(crate) async fn open(parent: &std::path::Path, database: Option<&Database>) -> Self {
        let dir = tempfile::tempdir_in(parent).expect("a folder");
        let (settings, clock, entropy) = (Settings::default(), Clock::System, Entropy::System);
        let place = Place {
            settings: &settings,
            database,
            data_dir: dir.path(),
            clock: clock.clone(),
            entropy,
        };
        let store = Store::open(place).await.expect("a store");
        let registry = Registry::new(&mainstay_telemetry::settings::Metrics::default(), clock);
        store.register(&registry);
        let group = Group::new();
        let recorder = store.start_recorder(&settings, &group, &registry);
        Self { store, recorder, registry, group, dir }
    }

    /// Batches that were recorded a second while so many callers record one after the other, for about `time`.
    pub(crate) async fn load(
        &self,
        callers: usize,
        time: Duration,
        make: impl Fn(usize) -> Batch,
    ) -> (u64, f64) {
        let begun = Instant::now();
        let calls = (0..callers).map(async |caller| {
            let mut recorded = 0;
            while begun.elapsed() < time {
                self.recorder.record(make(caller)).await.expect("recorded");
                recorded += 1;
            }
            recorded
        });
        let recorded: u64 = join_all(calls).await.into_iter().sum();
        (recorded, recorded as f64 / begun.elapsed().as_secs_f64())
    }

    pub(crate) async fn close(self) {
        assert_eq!((self.recorder.health(), self.recorder.spooled()), (Health::Ok, 0));
        assert_eq!(self.group.finish(LAST, LAST).await, 0);
        assert_eq!(self.group.crashes(), []);
        self.store.close().await.expect("closed");
    }
}

/// A server as an operator has it: its log is synced, and its memory for pages is PostgreSQL's own default.
pub(crate) fn server() -> PostgresLaunch {
    Postgres::launch().durable().setting("shared_buffers", "128MB")
}
