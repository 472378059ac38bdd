//! A process that uses shared state, as far as the store can tell, and how long it has to wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// The longest wait for an answer. What the machine was late by meanwhile is no part of the promise, what the call itself
/// held up is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Arc<AtomicU64>);

impl Waits {
    pub(crate) async fn time<T>(&self, call: impl Future<Output = T>) -> T {
        // A timer in the same task: what holds up its thread holds up the timer as well.
        const TICK: Duration = Duration::from_millis(2);
        // The runtime's timers are whole milliseconds and end up to two later: that is nobody's delay.
        const USUAL: Duration = Duration::from_millis(4);
        let (began, mut late) = (Instant::now(), Duration::ZERO);
        let mut call = std::pin::pin!(call);
        let answer = loop {
            let (tick, mut held) = (Instant::now(), Duration::ZERO);
            let polled = std::future::poll_fn(|context| {
                let began = Instant::now();
                let outcome = call.as_mut().poll(context);
                held += began.elapsed();
                outcome
            });
            let answer = tokio::select! {
                biased;
                // No wait for an event: how late it ends is what is measured.
                () = tokio::time::sleep(TICK) => None,
                answer = polled => Some(answer),
            };
            late += tick.elapsed().saturating_sub(USUAL).saturating_sub(held);
            if let Some(answer) = answer {
                break answer;
            }
        };
        let waited = began.elapsed().saturating_sub(late);
        self.0.fetch_max(u64::try_from(waited.as_micros()).unwrap(), Ordering::Relaxed);
        answer
    }

    pub(crate) fn check(&self, what: &str) {
        let longest = Duration::from_micros(self.0.load(Ordering::Relaxed));
        assert!(
            longest <= PROMISE,
            "{what}: waited {longest:?} beside what the machine was late by"
        );
    }
}
