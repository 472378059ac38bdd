//! The settings of this room; the doc comment of a field is its manual.

use std::path::PathBuf;

use mainstay_base::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Width of the steps that older samples are merged into, in seconds.
pub const COARSE_STEP_S: u32 = 300;
/// Most events of one request that can be read, whatever is set.
pub const EVENTS_MAX: usize = 1_024;
/// Longest name of a release, in bytes.
pub const RELEASE_BYTES_MAX: usize = 64;

/// What is counted, how long it is kept, and how much memory that may take.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A MaxMind-format database (`.mmdb`) that tells countries by address. Empty: countries are not told.
    /// Read once at start. Addresses are looked up in memory and never stored whole.
    pub country_database: Option<PathBuf>,
    /// Name of the release of the site that is being served, at most 64 bytes; stored with views, vitals and errors.
    /// Empty: releases are not told apart.
    pub release: Option<String>,
    /// Largest body of one request with events. Default 64 KiB.
    pub body_max: Size,
    /// Time the body of one request with events may take, however steadily it drips. Default 10 s.
    pub body_timeout: Span,
    /// Most events in one request, at most 1024. Default 50.
    pub events_max: usize,
    /// A visit ends after this long without an event. Default 30 minutes.
    pub visit_idle: Span,
    /// Most running visits remembered. Beyond it the oldest are forgotten and would count as new. Default 100 000
    /// (about 10 MB when full).
    pub visits_max: usize,
    /// Most user agents remembered as already read. Default 1024.
    pub agents_max: usize,
    /// Most event ids remembered, so that an event sent twice is not counted twice in the metrics. Default 8192.
    pub repeats_max: usize,
    /// Most different pages named in the metrics: those viewed most in the 30 days before the start, then the first ones
    /// seen; the rest is counted as `other`. Default 30.
    pub metric_pages_max: usize,
    /// How long a browser is told to wait when events cannot be made durable, in whole seconds. Default 30 s.
    pub retry_after: Span,
    /// Questions about a longer time are answered from the roll-ups instead of single events. Default 48 hours.
    pub raw_range_max: Span,
    /// How often closed hours are rolled up. Default 1 minute.
    pub rollup_every: Span,
    /// Most hours of all sites rolled up in one go. Of each site as many days as these hours make, rounded up, are folded
    /// in one go beside its newest one. Default 48, which makes two days.
    pub rollup_hours_max: usize,
    /// Most pages, sources or countries told apart per hour and per answer; the least viewed beyond are left out of
    /// lists, never out of totals. Default 10 000.
    pub keys_max: usize,
    /// Most pages told apart by web vitals: per hour (or short range) those measured most in it, and per answer those
    /// measured most of all that were told apart. Where an hour has more than eight times as many, one of them may be taken
    /// for another that is measured as rarely. Default 1000.
    pub vital_keys_max: usize,
    /// How often old rows are deleted and old salts destroyed. Default 10 minutes.
    pub retain_every: Span,
    /// Most rows deleted in one transaction, so that new events never wait long. Default 2000.
    pub retain_rows_max: usize,
    /// How often the traffic and the named metrics are sampled into the store: whole seconds that divide 5 minutes, and
    /// less. Default 10 s.
    pub sample_every: Span,
    /// What browsers report about the pages, and how much of it is taken.
    pub reports: Reports,
    /// What the app records about itself, and how much of it is taken.
    pub record: Recorded,
    /// How long things are kept.
    pub retain: Retain,
}

/// Reports of browsers: policy violations, deprecations, crashes, failed requests.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reports {
    /// Largest body of one request with reports. Browsers send all reports of a page together, each with the whole
    /// policy. Default 1 MiB.
    pub body_max: Size,
    /// Most bodies beyond 64 KiB that are read at one time, one address up to a quarter of them; further ones are
    /// refused with 503 or 429. Default 32.
    pub large_bodies_max: usize,
    /// Most reports read of one request; further ones are dropped and counted. Default 1000.
    pub reports_max: usize,
    /// What is done with reports that extensions and browsers themselves cause. Default `"drop"`.
    pub noise: Noise,
    /// Reports one address may send at once; it gets as many again over time. Default 20 000.
    pub burst: u32,
    /// Reports per second one address gets back. Default 100.
    pub per_second: u32,
    /// Reports of all addresses that may wait for the disk, alike ones of a request counted once; beyond it they are
    /// refused with 503. Default 4096.
    pub waiting_max: usize,
    /// The share of one address in them. Default 1024.
    pub waiting_per_address_max: usize,
    /// Most addresses whose sending is remembered; the least recent are forgotten first. Default 16 384 (about 2 MB
    /// when full).
    pub addresses_max: usize,
    /// Most kinds of reports told apart per site and hour; what is beyond is counted as one kind per type. Default
    /// 1000.
    pub kinds_max: usize,
    /// The share of one address in them, so that inventing kinds cannot blur what others report. Default 200.
    pub kinds_per_address_max: usize,
    /// How long reports wait for others to share their commit while many come. Default `"5ms"`.
    pub gather: Span,
}

/// What the app behind this server records by `POST /_mainstay/record`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recorded {
    /// Largest body of one request. Default 256 KiB.
    pub body_max: Size,
    /// Most metrics, events and others in one request. Default 500.
    pub items_max: usize,
}

/// What is done with reports that say nothing about the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Noise {
    /// Dropped and counted.
    Drop,
    /// Kept like any other.
    Keep,
}

/// How long each kind of row is kept. Visitor ids cannot be recomputed after 48 hours, whatever is set here.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retain {
    /// Page views, engagement, vitals and named events. Default 90 days.
    pub events: Span,
    /// The same of bots, and their errors, when that is shorter. Default 30 days.
    pub bots: Span,
    /// JavaScript errors. Default 90 days.
    pub errors: Span,
    /// Reports of browsers. Default 90 days.
    pub reports: Span,
    /// Visits. Default 90 days.
    pub sessions: Span,
    /// Roll-ups, in whole days. Default 730 days.
    pub rollups: Span,
    /// Samples of metrics and traffic every ten seconds. Default 24 hours.
    pub samples: Span,
    /// The same in steps of five minutes. Default 400 days.
    pub compact_samples: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            country_database: None,
            release: None,
            body_max: Size::kib(64),
            body_timeout: Span::seconds(10),
            events_max: 50,
            visit_idle: Span::seconds(30 * 60),
            visits_max: 100_000,
            agents_max: 1_024,
            repeats_max: 8_192,
            metric_pages_max: 30,
            retry_after: Span::seconds(30),
            raw_range_max: Span::days(2),
            rollup_every: Span::seconds(60),
            rollup_hours_max: 48,
            keys_max: 10_000,
            vital_keys_max: 1_000,
            retain_every: Span::seconds(600),
            retain_rows_max: 2_000,
            sample_every: Span::seconds(10),
            reports: Reports::default(),
            record: Recorded::default(),
            retain: Retain::default(),
        }
    }
}

impl Settings {
    /// `retry_after` as its header says it: whole seconds, never none.
    pub(crate) fn retry_after_s(&self) -> u64 {
        self.retry_after.0.as_millis().div_ceil(1_000).max(1).try_into().unwrap_or(u64::MAX)
    }
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            body_max: Size::kib(1_024),
            large_bodies_max: 32,
            reports_max: 1_000,
            noise: Noise::Drop,
            burst: 20_000,
            per_second: 100,
            waiting_max: 4_096,
            waiting_per_address_max: 1_024,
            addresses_max: 16_384,
            kinds_max: 1_000,
            kinds_per_address_max: 200,
            gather: Span(std::time::Duration::from_millis(5)),
        }
    }
}

impl Default for Recorded {
    fn default() -> Self {
        Self { body_max: Size::kib(256), items_max: 500 }
    }
}

impl Default for Retain {
    fn default() -> Self {
        Self {
            events: Span::days(90),
            bots: Span::days(30),
            errors: Span::days(90),
            reports: Span::days(90),
            sessions: Span::days(90),
            rollups: Span::days(730),
            samples: Span::days(1),
            compact_samples: Span::days(400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_try_again_at_once() {
        for (ms, seconds) in [(1, 1), (500, 1), (1_000, 1), (1_001, 2), (30_000, 30)] {
            let retry_after = Span(std::time::Duration::from_millis(ms));
            assert_eq!(Settings { retry_after, ..Settings::default() }.retry_after_s(), seconds);
        }
    }
}
