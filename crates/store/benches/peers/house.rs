//! An open store with its recorder, and many callers of it: how fast they are answered, beside somebody else in turn.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_store::{Batch, Database, Health, Place, Recorder, Settings, Store};
use mainstay_telemetry::metrics::Registry;
use mainstay_testkit::bench::{Ask, median};
use mainstay_testkit::{Postgres, PostgresLaunch};
use tempfile::TempDir;

const LAST: Duration = Duration::from_secs(20);
/// Of the time of a side in a round, this part is spent beforehand and does not count.
const WARM_UP: u32 = 4;

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
        // Probes, kept connections, upkeep: what every server has beside the way that is measured.
        store.start_reopening(&group);
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

/// Both sides in turn.
#[derive(Debug)]
pub(crate) struct Rounds {
    /// The median of the rounds' ratios, ours by theirs.
    pub(crate) ratio: f64,
    /// Medians of what each does in a second, ours first.
    pub(crate) rates: [f64; 2],
    /// What each has done in all, ours first.
    pub(crate) done: [u64; 2],
}

/// Lets both work for the time that is asked for, each told how long, answering how much it did and how much in a second.
/// Both are warm when it counts, and take turns in being first: who is second meets what the other has left behind.
pub(crate) async fn rounds(
    ask: &Ask,
    mut theirs: impl AsyncFnMut(Duration) -> (u64, f64),
    mut ours: impl AsyncFnMut(Duration) -> (u64, f64),
) -> Rounds {
    let time = Duration::from_secs(ask.seconds.into());
    let mut done = [ours(time / WARM_UP).await.0, theirs(time / WARM_UP).await.0];
    let (mut ratios, mut rates) = (Vec::new(), [Vec::new(), Vec::new()]);
    for round in 0..ask.rounds {
        let (own, other) = if round % 2 == 0 {
            let other = theirs(time).await;
            (ours(time).await, other)
        } else {
            let own = ours(time).await;
            (own, theirs(time).await)
        };
        ratios.push(own.1 / other.1);
        for (side, (count, rate)) in [own, other].into_iter().enumerate() {
            done[side] += count;
            rates[side].push(rate);
        }
    }
    Rounds { ratio: median(ratios), rates: rates.map(median), done }
}

/// A server as an operator has it: its log is synced, and its memory for pages is PostgreSQL's own default.
pub(crate) fn server() -> PostgresLaunch {
    Postgres::launch().durable().setting("shared_buffers", "128MB")
}
