//! The two text formats, written out by hand. Reads the registry's numbers and never changes them.

use std::fmt::Write as _;

use mainstay_base::Timestamp;

use super::app::{self, BOUNDS};
use super::cell::{Counter, Exemplar, Gauge, Histogram, Reading};
use super::family::Family;
use super::negotiate::Format;
use crate::names::Metric;

/// Collects one answer to a scrape.
pub(super) struct Encoder {
    out: String,
    format: Format,
}

impl Encoder {
    pub(super) fn new(format: Format) -> Self {
        Self { out: String::with_capacity(16 << 10), format }
    }

    pub(super) fn counter(&mut self, family: &Family<Counter>) {
        self.head(family.metric, "counter");
        let name = family.metric.name;
        family.each(|labels, cell| self.sample(name, "", labels, cell.get() as f64));
        family.each_callback(|labels, value| self.sample(name, "", labels, value));
    }

    pub(super) fn gauge(&mut self, family: &Family<Gauge>) {
        self.head(family.metric, "gauge");
        self.gauge_samples(family.metric.name, family);
    }

    /// A gauge once more under another name, without a type: as a gauge that name would be malformed.
    pub(super) fn untyped_copy(&mut self, name: &str, family: &Family<Gauge>) {
        let kind = match self.format {
            Format::Text => "untyped",
            Format::OpenMetrics => "unknown",
        };
        self.describe(name, family.metric.help, kind, None);
        self.gauge_samples(name, family);
    }

    pub(super) fn histogram(&mut self, family: &Family<Histogram>) {
        self.head(family.metric, "histogram");
        let named = (family.metric.name, family.metric.bounds());
        family.each(|labels, cell| {
            let count = match self.format {
                Format::Text => self.buckets(named, labels, cell.read()),
                Format::OpenMetrics => self.buckets(named, labels, cell.read_and_rearm()),
            };
            self.sample(family.metric.name, "_sum", labels, cell.sum_total());
            self.sample(family.metric.name, "_count", labels, count as f64);
        });
    }

    /// A metric of the app, `name` without a counter's `_total`.
    pub(super) fn app<'c>(
        &mut self,
        name: &str,
        kind: app::Kind,
        series: impl Iterator<Item = (&'c String, &'c app::Cell)>,
    ) {
        let total = if kind == app::Kind::Counter { "_total" } else { "" };
        let family =
            if self.format == Format::Text { format!("{name}{total}") } else { name.into() };
        self.describe(&family, "Recorded by the app.", kind.as_str(), None);
        for (labels, cell) in series {
            match cell {
                app::Cell::Number(number) => self.sample(name, total, labels, *number),
                app::Cell::Buckets { counts, sum } => {
                    let readings = counts.iter().map(|&count| Reading { count, exemplar: None });
                    let count = self.buckets((name, &BOUNDS), labels, readings);
                    self.sample(name, "_sum", labels, *sum);
                    self.sample(name, "_count", labels, count as f64);
                }
            }
        }
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn gauge_samples(&mut self, name: &str, family: &Family<Gauge>) {
        family.each(|labels, cell| self.sample(name, "", labels, cell.get()));
        family.each_callback(|labels, value| self.sample(name, "", labels, value));
    }

    fn head(&mut self, metric: &Metric, kind: &str) {
        let name = match self.format {
            Format::Text => metric.name,
            Format::OpenMetrics => metric.family_name(),
        };
        self.describe(name, metric.help, kind, metric.unit());
    }

    fn describe(&mut self, name: &str, help: &str, kind: &str, unit: Option<&str>) {
        // Writing to a String cannot fail, here and below.
        let _infallible = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            let _infallible = writeln!(self.out, "# UNIT {name} {unit}");
        }
    }

    /// Writes the cumulated buckets and returns how many observations they hold.
    fn buckets(
        &mut self,
        (name, bounds): (&str, &[f64]),
        labels: &str,
        readings: impl Iterator<Item = Reading>,
    ) -> u64 {
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let comma = if labels.is_empty() { "" } else { "," };
        let mut so_far = 0;
        for (bound, reading) in bounds.zip(readings) {
            so_far += reading.count;
            let _infallible = write!(self.out, "{name}_bucket{{{labels}{comma}le=\"");
            self.bound(bound);
            let _infallible = write!(self.out, "\"}} {so_far}");
            if let Some(exemplar) = reading.exemplar {
                self.exemplar(&exemplar);
            }
            self.out.push('\n');
        }
        so_far
    }

    /// OpenMetrics wants canonical floats (`1.0`); the older text format has always said `1`.
    fn bound(&mut self, bound: f64) {
        let _infallible = match self.format {
            _ if bound.is_infinite() => write!(self.out, "+Inf"),
            Format::Text => write!(self.out, "{bound}"),
            Format::OpenMetrics => write!(self.out, "{bound:?}"),
        };
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let Exemplar { trace_id, value, at } = exemplar;
        let _infallible = write!(self.out, " # {{trace_id=\"{trace_id:032x}\"}} {value} ");
        self.seconds(*at);
    }

    fn seconds(&mut self, at: Timestamp) {
        let millis = at.as_micros().rem_euclid(1_000_000) / 1_000;
        let _infallible = write!(self.out, "{}.{millis:03}", at.as_seconds());
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &str, value: f64) {
        self.out.push_str(name);
        self.out.push_str(suffix);
        if !labels.is_empty() {
            let _infallible = write!(self.out, "{{{labels}}}");
        }
        let _infallible = match value {
            f64::INFINITY => writeln!(self.out, " +Inf"),
            f64::NEG_INFINITY => writeln!(self.out, " -Inf"),
            value => writeln!(self.out, " {value}"),
        };
    }
}
