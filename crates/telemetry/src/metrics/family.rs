//! One metric with its label combinations, bounded: what does not fit is counted under `other`. Nothing is written out here.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::cell::Counter;
use crate::names::{Kind, Metric};

/// Reads a value at the moment of a scrape.
pub(super) type Callback = Box<dyn Fn() -> f64 + Send + Sync>;

/// All metrics of one kind, by name.
pub(super) struct Families<C>(RwLock<BTreeMap<&'static str, Arc<Family<C>>>>);

impl<C> Default for Families<C> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<C> Families<C> {
    /// The family of `metric`; each exists once, however often it is asked for.
    pub(super) fn find_or_create(
        &self,
        metric: &'static Metric,
        make: impl FnOnce() -> Family<C>,
    ) -> Arc<Family<C>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(family) = known.get(metric.name) {
            return Arc::clone(family);
        }
        drop(known);
        // Made before the lock: making one may register the counter of dropped series in this same map.
        let made = Arc::new(make());
        let mut families = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(families.entry(metric.name).or_insert(made))
    }

    /// All of them, in the order of names.
    pub(super) fn list(&self) -> Vec<Arc<Family<C>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// All series of one metric. `C` is a handle; the map holds one clone of each.
pub(super) struct Family<C> {
    pub(super) metric: &'static Metric,
    max: usize,
    make: Box<dyn Fn() -> C + Send + Sync>,
    series: RwLock<BTreeMap<Box<str>, C>>,
    callbacks: RwLock<BTreeMap<Box<str>, Callback>>,
    dropped: Option<Counter>,
}

impl<C: Clone> Family<C> {
    /// `max_samples` counts as Prometheus does: a histogram's buckets, sum and count are a series each.
    pub(super) fn new(
        metric: &'static Metric,
        max_samples: usize,
        dropped: Option<Counter>,
        make: impl Fn() -> C + Send + Sync + 'static,
    ) -> Self {
        let samples = match metric.kind {
            Kind::Histogram(bounds) => bounds.len() + 3,
            Kind::Counter | Kind::Gauge => 1,
        };
        Self {
            metric,
            max: (max_samples / samples).max(1),
            make: Box::new(make),
            series: RwLock::default(),
            callbacks: RwLock::default(),
            dropped,
        }
    }

    /// The handle of one label combination, made at first sight.
    pub(super) fn with(&self, values: &[&str]) -> C {
        debug_assert_eq!(values.len(), self.metric.labels.len(), "{}", self.metric.name);
        let labels = render(self.metric.labels, values);
        if let Some(known) =
            self.series.read().unwrap_or_else(PoisonError::into_inner).get(&*labels)
        {
            return known.clone();
        }
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if series.len() < self.max || series.contains_key(&*labels) {
            return series.entry(labels.into()).or_insert_with(&self.make).clone();
        }
        if let Some(dropped) = &self.dropped {
            dropped.inc();
        }
        let other = render(self.metric.labels, &vec!["other"; self.metric.labels.len()]);
        series.entry(other.into()).or_insert_with(&self.make).clone()
    }

    /// Reads one label combination's value from `callback` at every scrape; a second one replaces the first.
    pub(super) fn with_callback(&self, values: &[&str], callback: Callback) {
        let labels = render(self.metric.labels, values);
        self.callbacks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(labels.into(), callback);
    }

    /// The sum over all series, callbacks included.
    pub(super) fn total(&self, value: impl Fn(&C) -> f64) -> f64 {
        let mut total = 0.0;
        self.each(|_, cell| total += value(cell));
        self.each_callback(|_, value| total += value);
        total
    }

    /// Visits every series in the order of its labels.
    pub(super) fn each(&self, mut visit: impl FnMut(&str, &C)) {
        for (labels, cell) in &*self.series.read().unwrap_or_else(PoisonError::into_inner) {
            visit(labels, cell);
        }
    }

    /// Visits every callback's value; those that are not a number are left out.
    pub(super) fn each_callback(&self, mut visit: impl FnMut(&str, f64)) {
        for (labels, read) in &*self.callbacks.read().unwrap_or_else(PoisonError::into_inner) {
            let value = read();
            if !value.is_nan() {
                visit(labels, value);
            }
        }
    }
}

/// `a="x",b="y"`, escaped as both text formats want it. Also the key: different values never render alike.
pub(super) fn render(names: &[&str], values: &[&str]) -> String {
    let mut out = String::with_capacity(values.iter().map(|v| v.len() + 16).sum());
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        let value = values.get(at).copied().unwrap_or_default();
        if value.contains(['\\', '"', '\n']) {
            for c in value.chars() {
                match c {
                    '\\' => out.push_str("\\\\"),
                    '"' => out.push_str("\\\""),
                    '\n' => out.push_str("\\n"),
                    c => out.push(c),
                }
            }
        } else {
            out.push_str(value);
        }
        out.push('"');
    }
    out
}
