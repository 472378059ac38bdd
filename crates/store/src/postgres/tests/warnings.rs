//! Warnings that this thread logs, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

/// Counts until it is dropped. The test's runtime must be of one thread.
pub(super) struct Warnings {
    counted: Arc<AtomicUsize>,
    _guard: DefaultGuard,
}

struct Counter {
    of: &'static str,
    counted: Arc<AtomicUsize>,
}

impl Warnings {
    /// Those of one file of this crate, and of those below it.
    pub(super) fn of(module: &'static str) -> Self {
        let counted = Arc::<AtomicUsize>::default();
        let counter = Counter { of: module, counted: Arc::clone(&counted) };
        Self { counted, _guard: tracing::subscriber::set_default(counter) }
    }

    pub(super) fn count(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }
}

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().contains(self.of)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.counted.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
