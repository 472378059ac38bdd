//! The registry: which metrics exist, and typed handles to write them. What a metric is called is decided in `names`.

pub mod app;
mod cell;
mod encode;
mod family;
mod negotiate;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use mainstay_base::Clock;

pub use cell::{Counter, Gauge, Histogram};
pub use negotiate::{Format, negotiate};

use crate::names::{self, Kind, Metric};
use crate::settings;
use app::AppMetrics;
use encode::Encoder;
use family::{Families, Family};

/// Every metric of the process. Clones share the same numbers.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    counters: Families<Counter>,
    gauges: Families<Gauge>,
    histograms: Families<Histogram>,
    app: OnceLock<AppMetrics>,
    settings: settings::Metrics,
    clock: Clock,
}

/// A counter with labels.
#[derive(Clone)]
pub struct CounterFamily(Arc<Family<Counter>>);

/// A gauge with labels.
#[derive(Clone)]
pub struct GaugeFamily(Arc<Family<Gauge>>);

/// A histogram with labels.
#[derive(Clone)]
pub struct HistogramFamily(Arc<Family<Histogram>>);

macro_rules! family {
    ($family:ident -> $cell:ident) => {
        impl $family {
            /// The handle of one label combination, values in the order of the metric's labels. Once the metric
            /// is full, the handle of the combination `other`.
            #[must_use]
            pub fn with(&self, values: &[&str]) -> $cell {
                self.0.with(values)
            }
        }

        impl fmt::Debug for $family {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($family)).field(&self.0.metric.name).finish()
            }
        }
    };
}
family!(CounterFamily -> Counter);
family!(GaugeFamily -> Gauge);
family!(HistogramFamily -> Histogram);

impl Registry {
    /// An empty registry. The clock dates exemplars.
    #[must_use]
    pub fn new(settings: &settings::Metrics, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            counters: Families::default(),
            gauges: Families::default(),
            histograms: Families::default(),
            app: OnceLock::new(),
            settings: settings.clone(),
            clock,
        }))
    }

    /// A counter without labels.
    #[must_use]
    pub fn counter(&self, metric: &'static Metric) -> Counter {
        self.counter_family(metric).with(&[])
    }

    /// A counter with labels.
    #[must_use]
    pub fn counter_family(&self, metric: &'static Metric) -> CounterFamily {
        debug_assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        let make = |max| Family::new(metric, max, self.dropped(metric), Counter::default);
        CounterFamily(self.0.counters.find_or_create(metric, || make(self.0.settings.max_series)))
    }

    /// A gauge without labels.
    #[must_use]
    pub fn gauge(&self, metric: &'static Metric) -> Gauge {
        self.gauge_family(metric).with(&[])
    }

    /// A gauge with labels.
    #[must_use]
    pub fn gauge_family(&self, metric: &'static Metric) -> GaugeFamily {
        debug_assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        let make = |max| Family::new(metric, max, self.dropped(metric), Gauge::default);
        GaugeFamily(self.0.gauges.find_or_create(metric, || make(self.0.settings.max_series)))
    }

    /// A histogram without labels.
    #[must_use]
    pub fn histogram(&self, metric: &'static Metric) -> Histogram {
        self.histogram_family(metric).with(&[])
    }

    /// A histogram with labels.
    #[must_use]
    pub fn histogram_family(&self, metric: &'static Metric) -> HistogramFamily {
        debug_assert!(matches!(metric.kind, Kind::Histogram(_)), "{}", metric.name);
        let clock = self.0.clock.clone();
        let cell = move || Histogram::new(metric.bounds(), clock.clone());
        let make = |max| Family::new(metric, max, self.dropped(metric), cell);
        HistogramFamily(
            self.0.histograms.find_or_create(metric, || make(self.0.settings.max_series)),
        )
    }

    /// A gauge read by `read` at every scrape; `values` are its labels. NaN means: nothing to tell.
    pub fn gauge_fn(
        &self,
        metric: &'static Metric,
        values: &[&str],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.gauge_family(metric).0.with_callback(values, Box::new(read));
    }

    /// A counter read by `read` at every scrape; `values` are its labels. NaN means: nothing to tell.
    pub fn counter_fn(
        &self,
        metric: &'static Metric,
        values: &[&str],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.counter_family(metric).0.with_callback(values, Box::new(read));
    }

    /// What the app behind us records, beside our own metrics.
    #[must_use]
    pub fn app(&self) -> &AppMetrics {
        self.0.app.get_or_init(|| {
            let dropped = self.counter_family(&names::APP_METRICS_DROPPED);
            let bounds = &self.0.settings;
            let counters = ["names", "series", "shape"].map(|reason| dropped.with(&[reason]));
            AppMetrics::new(bounds.app_names_max, bounds.app_series_max, counters)
        })
    }

    /// Most label combinations of one metric of the app.
    #[must_use]
    pub fn app_series_max(&self) -> usize {
        self.0.settings.app_series_max
    }

    /// One number per metric, in the order of names: the sum over all labels; a histogram's is its count.
    #[must_use]
    pub fn list_totals(&self) -> BTreeMap<&'static str, f64> {
        let mut totals = BTreeMap::new();
        for family in self.0.counters.list() {
            totals.insert(family.metric.name, family.total(|counter| counter.get() as f64));
        }
        for family in self.0.gauges.list() {
            totals.insert(family.metric.name, family.total(Gauge::get));
        }
        for family in self.0.histograms.list() {
            totals.insert(family.metric.name, family.total(|h| h.count_total() as f64));
        }
        totals
    }

    /// Prometheus text format 0.0.4, without exemplars.
    #[must_use]
    pub fn encode_text(&self) -> String {
        self.encode(Format::Text)
    }

    /// OpenMetrics 1.0.0, with exemplars.
    #[must_use]
    pub fn encode_openmetrics(&self) -> String {
        self.encode(Format::OpenMetrics)
    }

    /// All metrics in the given format, counters first, each kind in the order of names.
    #[must_use]
    pub fn encode(&self, format: Format) -> String {
        let mut encoder = Encoder::new(format);
        for family in self.0.counters.list() {
            encoder.counter(&family);
        }
        for family in self.0.gauges.list() {
            encoder.gauge(&family);
            for (name, metric) in names::FIRST_PUBLISHED {
                if self.0.settings.roadmap_names && *metric == family.metric {
                    encoder.untyped_copy(name, &family);
                }
            }
        }
        for family in self.0.histograms.list() {
            encoder.histogram(&family);
        }
        if let Some(app) = self.0.app.get() {
            app.encode(&mut encoder);
        }
        encoder.finish()
    }

    /// Where a family with labels counts what does not fit. The counter of that counts itself without a bound:
    /// it has as many series as there are metrics.
    fn dropped(&self, metric: &'static Metric) -> Option<Counter> {
        let counted = !metric.labels.is_empty() && *metric != names::DROPPED_SERIES;
        counted.then(|| self.counter_family(&names::DROPPED_SERIES).with(&[metric.family_name()]))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.list_totals()).finish()
    }
}

#[cfg(test)]
mod tests;
