//! Two processes on one store, as far as the store can tell. One's clock is five minutes early, the other's late: no case may notice.

use std::time::{Duration, Instant};

use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy, Timestamp};
use mainstay_telemetry::metrics::Registry;
use mainstay_testkit::{Redis, RedisCluster, fresh_id};

use crate::{Kv, Settings};

/// Time that an event may take on a busy machine.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);
/// 2026-11-22T12:00:00Z.
const NOON: Timestamp = Timestamp::from_seconds(1_795_348_800);
const MOVED: Duration = Duration::from_secs(300);

pub(crate) struct Fixture {
    pub(crate) one: Kv,
    pub(crate) other: Kv,
    pub(crate) settings: Settings,
    group: Group,
}

impl Fixture {
    pub(crate) fn in_process() -> Self {
        Self::new(Vec::new())
    }

    pub(crate) fn on_redis() -> Self {
        Self::new(vec![Redis::shared().to_string()])
    }

    pub(crate) fn on_cluster() -> Self {
        Self::new(RedisCluster::shared().iter().map(ToString::to_string).collect())
    }

    pub(crate) fn on_valkey() -> Self {
        Self::new(vec![Redis::shared_valkey().to_string()])
    }

    pub(crate) fn on_valkey_cluster() -> Self {
        Self::new(RedisCluster::shared_valkey().iter().map(ToString::to_string).collect())
    }

    fn new(nodes: Vec<String>) -> Self {
        let settings = Settings {
            nodes,
            namespace: format!("test-{}", fresh_id()),
            // What the contract says holds while the store answers, however busy the machine is.
            answer_within: mainstay_base::units::Span(WITHIN),
            ttl: mainstay_base::units::Span(Duration::from_millis(700)),
            ..Settings::default()
        };
        let open = |clock: Timestamp| {
            let clock = Clock::fixed(clock);
            let metrics = mainstay_telemetry::settings::Metrics::default();
            let registry = Registry::new(&metrics, clock.clone());
            Kv::open(&settings, clock, Entropy::System, &registry)
        };
        let one = open(NOON.plus(MOVED));
        let other = if settings.nodes.is_empty() { one.clone() } else { open(NOON.minus(MOVED)) };
        Self { one, other, settings, group: Group::new() }
    }

    pub(crate) async fn start(&self) {
        for kv in [&self.one, &self.other] {
            kv.start(&self.group);
            assert!(kv.wait_ready(WITHIN).await, "{:?}", kv.health().await);
        }
    }

    pub(crate) async fn finish(self) {
        assert_eq!(self.group.finish(WITHIN, WITHIN).await, 0);
        assert_eq!(self.group.crashes(), []);
    }
}

/// Looks until it is so. Every look is a question to the store, which takes its time.
pub(crate) async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !look().await {
        assert!(began.elapsed() < WITHIN, "{what}: not within {WITHIN:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
