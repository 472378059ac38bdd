//! A process that uses shared state, as far as the store can tell, and how long it has to wait.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_kv::{Freshness, Kv, Settings, Taken};
use mainstay_telemetry::metrics::Registry;
use mainstay_testkit::{Metrics, fresh_id};

/// Time that an event may take on a busy machine.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);
/// What every call is promised.
pub(crate) const PROMISE: Duration = Duration::from_millis(50);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) struct Process {
    pub(crate) kv: Kv,
    pub(crate) group: Group,
    registry: Registry,
}

/// A namespace of its own.
pub(crate) fn namespace() -> String {
    format!("test-{}", fresh_id())
}

impl Process {
    /// One with default settings, started, and using the store.
    pub(crate) async fn start(nodes: &[SocketAddr], namespace: &str) -> Self {
        Self::start_with(nodes, namespace, |_| {}).await
    }

    pub(crate) async fn start_with(
        nodes: &[SocketAddr],
        namespace: &str,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let process = Self::start_away(nodes, namespace, change);
        process.wait_ready().await;
        process
    }

    /// One whose store may not be there.
    pub(crate) fn start_away(
        nodes: &[SocketAddr],
        namespace: &str,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let nodes = nodes.iter().map(ToString::to_string).collect();
        let mut settings =
            Settings { nodes, namespace: namespace.to_owned(), ..Settings::default() };
        change(&mut settings);
        let metrics = mainstay_telemetry::settings::Metrics::default();
        let registry = Registry::new(&metrics, Clock::System);
        let kv = Kv::open(&settings, Clock::System, Entropy::System, &registry);
        let group = Group::new();
        kv.start(&group);
        Self { kv, group, registry }
    }

    pub(crate) async fn wait_ready(&self) {
        assert!(self.kv.wait_ready(WITHIN).await, "{:?}", self.kv.health().await);
    }

    pub(crate) async fn set(&self, key: &str, value: &str) -> Taken {
        self.kv.set(key, Bytes::from(value.to_owned()), Some(HOUR)).await.unwrap()
    }

    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        let found = self.kv.get(key, Freshness::Exact).await.unwrap();
        found.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        Metrics::parse(self.registry.encode_text()).value(name, &[])
    }

    /// Questions that were asked again because of a failover.
    pub(crate) fn repeats(&self) -> u64 {
        self.metric("mainstay_kv_repeats_total") as u64
    }

    /// Reads that the store did not answer.
    pub(crate) fn reads_from_memory(&self) -> f64 {
        let labels = [("operation", "get"), ("answered_by", "memory")];
        Metrics::parse(self.registry.encode_text()).value("mainstay_kv_operations_total", &labels)
    }

    /// Nothing may have crashed or hang.
    pub(crate) async fn finish(self) {
        assert_eq!(self.group.finish(WITHIN, WITHIN).await, 0);
        assert_eq!(self.group.crashes(), []);
    }
}

/// Looks until it is so.
pub(crate) async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !look().await {
        assert!(began.elapsed() < WITHIN, "{what}: not within {WITHIN:?}");
        // The pause between two looks: what is awaited is another process's, which tells nobody.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
