//! Metrics that the app behind us names while it runs, below `app_`: within bounds of names, label combinations and
//! lengths, whatever it sends. Our own metrics are in `names`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::cell::Counter;
use super::encode::Encoder;
use super::family::render;

/// What every name begins with.
pub const PREFIX: &str = "app_";
/// Upper bounds of an app's histograms: whatever it measures, milliseconds to minutes in seconds are told apart.
pub(super) const BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0];
/// Longest name of a metric or a label, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// Longest value of a label, in bytes.
const VALUE_BYTES_MAX: usize = 100;
/// Most labels of a metric.
const LABELS_MAX: usize = 8;
/// Largest believable value, either way.
const VALUE_MAX: f64 = 1e15;
/// Ends of names that the text formats keep for samples of a family.
const RESERVED: [&str; 5] = ["_bucket", "_sum", "_count", "_created", "_info"];

/// What is done with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Added.
    Counter,
    /// Put in place of the one before.
    Gauge,
    /// Counted by its size.
    Histogram,
}

impl Kind {
    /// By its word.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        [Self::Counter, Self::Gauge, Self::Histogram].into_iter().find(|k| k.as_str() == word)
    }

    /// Its word, the one of the text formats.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One value of one metric.
#[derive(Clone, Debug)]
pub struct Update<'a> {
    /// What is done with it.
    pub kind: Kind,
    /// Without [`PREFIX`]; a counter's with or without `_total`.
    pub name: &'a str,
    /// Names and values, in the order of names.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// The value.
    pub value: f64,
}

/// A rule that an update breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// `type`, `name`, `labels` or `value`.
    pub field: &'static str,
    /// How, to follow the field's name in a sentence. Never repeats what was sent.
    pub reason: String,
}

/// What a metric was when it was first met.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    kind: Kind,
    labels: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Family {
    shape: Shape,
    series: BTreeMap<String, Cell>,
}

/// The numbers of one label combination.
#[derive(Debug)]
pub(super) enum Cell {
    Number(f64),
    Buckets { counts: [u64; BOUNDS.len() + 1], sum: f64 },
}

/// All of them.
#[derive(Debug)]
pub struct AppMetrics {
    families: Mutex<BTreeMap<String, Family>>,
    names_max: usize,
    series_max: usize,
    without_name: Bound,
    without_series: Bound,
    of_other_shape: Bound,
}

/// What does not fit: counted each time, told once.
#[derive(Debug)]
struct Bound {
    dropped: Counter,
    told: AtomicBool,
}

impl Bound {
    fn new(dropped: Counter) -> Self {
        Self { dropped, told: AtomicBool::new(false) }
    }

    /// True the first time.
    fn count(&self) -> bool {
        self.dropped.inc();
        !self.told.swap(true, Relaxed)
    }
}

impl AppMetrics {
    pub(super) fn new(
        names_max: usize,
        series_max: usize,
        [names, series, shape]: [Counter; 3],
    ) -> Self {
        Self {
            families: Mutex::default(),
            names_max,
            series_max,
            without_name: Bound::new(names),
            without_series: Bound::new(series),
            of_other_shape: Bound::new(shape),
        }
    }

    /// Whether all of these can be applied.
    ///
    /// # Errors
    /// The number of the first that cannot, and the rule it breaks.
    pub fn check(&self, updates: &[Update<'_>]) -> Result<(), (usize, Broken)> {
        let known = self.families();
        let mut met = BTreeMap::new();
        for (at, update) in updates.iter().enumerate() {
            let base = check_alone(update).map_err(|broken| (at, broken))?;
            let shape = Shape::of(update);
            let before = known.get(base).map(|family| &family.shape).or_else(|| met.get(base));
            if let Some(before) = before {
                before.agrees(&shape).map_err(|broken| (at, broken))?;
            } else {
                met.insert(base, shape);
            }
        }
        Ok(())
    }

    /// Applies what [`AppMetrics::check`] found good. What another caller gave another shape meanwhile is left out.
    pub fn apply(&self, updates: &[Update<'_>]) {
        for update in updates {
            self.apply_one(update);
        }
    }

    fn apply_one(&self, update: &Update<'_>) {
        let mut families = self.families();
        let is_full = families.len() >= self.names_max;
        let family = match families.entry(base_of(update).to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => {
                if self.without_name.count() {
                    tracing::warn!(
                        names = self.names_max,
                        "the app records more metrics than metrics.app_names_max: further ones are left out"
                    );
                }
                return;
            }
            Entry::Vacant(new) => {
                new.insert(Family { shape: Shape::of(update), series: BTreeMap::new() })
            }
        };
        if family.shape != Shape::of(update) {
            if self.of_other_shape.count() {
                tracing::warn!(
                    metric = update.name,
                    "the app records one metric in two ways at a time: one of them is left out"
                );
            }
            return;
        }
        let names: Vec<_> = update.labels.iter().map(|(name, _)| *name).collect();
        let values: Vec<_> = update.labels.iter().map(|(_, value)| &**value).collect();
        let mut labels = render(&names, &values);
        if family.series.len() >= self.series_max && !family.series.contains_key(&labels) {
            self.count_full(update.name);
            // Of values that are put in place of one another, those of many are nobody's.
            if update.kind == Kind::Gauge {
                return;
            }
            labels = render(&names, &vec!["other"; names.len()]);
        }
        let new = || Cell::new(update.kind);
        family.series.entry(labels).or_insert_with(new).apply(update);
    }

    /// Counts a value whose label combination is one too many of this metric, and warns once.
    pub fn count_full(&self, metric: &str) {
        if self.without_series.count() {
            tracing::warn!(
                metric,
                series = self.series_max,
                "the app's metric has more label combinations than metrics.app_series_max: further ones count as other, those of gauges are left out"
            );
        }
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        for (base, family) in &*self.families() {
            encoder.app(&format!("{PREFIX}{base}"), family.shape.kind, family.series.iter());
        }
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shape {
    fn of(update: &Update<'_>) -> Self {
        let labels = update.labels.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { kind: update.kind, labels }
    }

    fn agrees(&self, new: &Self) -> Result<(), Broken> {
        if self.kind != new.kind {
            let reason = format!("cannot change: this metric is a {}", self.kind.as_str());
            return Err(Broken { field: "type", reason });
        }
        if self.labels != new.labels {
            let names = if self.labels.is_empty() { "none".into() } else { self.labels.join(", ") };
            let reason = format!("cannot change: those of this metric are {names}");
            return Err(Broken { field: "labels", reason });
        }
        Ok(())
    }
}

impl Cell {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter | Kind::Gauge => Self::Number(0.0),
            Kind::Histogram => Self::Buckets { counts: [0; BOUNDS.len() + 1], sum: 0.0 },
        }
    }

    fn apply(&mut self, update: &Update<'_>) {
        match self {
            Self::Number(number) if update.kind == Kind::Gauge => *number = update.value,
            Self::Number(number) => *number += update.value,
            Self::Buckets { counts, sum } => {
                let at = BOUNDS.iter().take_while(|bound| **bound < update.value).count();
                counts[at] += 1;
                *sum += update.value;
            }
        }
    }
}

/// The name of the family, which a counter's samples follow with `_total`.
fn base_of<'a>(update: &Update<'a>) -> &'a str {
    match update.kind {
        Kind::Counter => update.name.strip_suffix("_total").unwrap_or(update.name),
        Kind::Gauge | Kind::Histogram => update.name,
    }
}

/// What can be said without knowing any other metric.
fn check_alone<'a>(update: &Update<'a>) -> Result<&'a str, Broken> {
    let broken = |field, reason: String| Err(Broken { field, reason });
    let base = base_of(update);
    if !is_name(base) {
        let reason =
            format!("must be 1 to {NAME_BYTES_MAX} letters, digits or _, not a digit first");
        return broken("name", reason);
    }
    if let Some(end) = RESERVED.iter().chain(&["_total"]).find(|end| base.ends_with(**end)) {
        return broken("name", format!("must not end with {end}"));
    }
    if update.labels.len() > LABELS_MAX {
        return broken("labels", format!("must be at most {LABELS_MAX}"));
    }
    for (name, value) in &update.labels {
        if !is_name(name) || name.starts_with("__") || matches!(*name, "le" | "quantile") {
            let reason = "must have names of letters, digits or _, no digit first, no __ first, not le, not quantile";
            return broken("labels", reason.into());
        }
        if value.len() > VALUE_BYTES_MAX {
            return broken(
                "labels",
                format!("must have values of at most {VALUE_BYTES_MAX} bytes"),
            );
        }
    }
    let least = if update.kind == Kind::Gauge { -VALUE_MAX } else { 0.0 };
    if !(least..=VALUE_MAX).contains(&update.value) {
        return broken("value", format!("must be a number from {least} to {VALUE_MAX}"));
    }
    Ok(base)
}

/// By the rules of Prometheus' data model; colons are for what its own rules record.
fn is_name(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

#[cfg(test)]
mod tests;
