//! How often the product logged an error, for the metrics. Knows no message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::metrics::Registry;
use crate::names;

/// The errors logged so far. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Logged(Arc<AtomicU64>);

impl Logged {
    /// Shows the number as `errors_total{component="server"}`.
    pub fn register(&self, registry: &Registry) {
        let errors = Arc::clone(&self.0);
        registry.counter_fn(&names::ERRORS, &["internal", "error", "server"], move || {
            errors.load(Ordering::Relaxed) as f64
        });
    }
}

impl<S: Subscriber> Layer<S> for Logged {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() == Level::ERROR && metadata.target().starts_with("mainstay") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_base::Clock;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn errors_of_the_product_are_counted_and_nothing_else() {
        let registry = Registry::new(&crate::settings::Metrics::default(), Clock::System);
        let logged = Logged::default();
        logged.register(&registry);
        let subscriber = tracing_subscriber::registry().with(logged);
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "mainstay_store", "one");
            tracing::error!("two");
            tracing::error!(target: "sqlx", "a library's");
            tracing::warn!("no error");
        });
        let text = registry.encode_text();
        let series = r#"errors_total{type="internal",severity="error",component="server"} 2"#;
        assert!(text.contains(series), "{text}");
    }
}
