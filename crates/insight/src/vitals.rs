//! Web vitals: their names, limits, ratings, and the sketch that merges their distribution over hours; never averages percentiles.

pub(crate) mod day;
mod number;
mod sketch;

use sketch::Sketch;

/// The measured vitals (web.dev/vitals).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Vital {
    /// Largest Contentful Paint.
    Lcp,
    /// Interaction to Next Paint.
    Inp,
    /// Cumulative Layout Shift; unitless.
    Cls,
    /// First Contentful Paint.
    Fcp,
    /// Time to First Byte.
    Ttfb,
}

/// How a value feels to a visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rating {
    /// At or below the first threshold.
    Good,
    /// Between the thresholds.
    NeedsImprovement,
    /// Above the second threshold.
    Poor,
}

impl Rating {
    /// The word used in columns and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NeedsImprovement => "needs-improvement",
            Self::Poor => "poor",
        }
    }
}

impl Vital {
    /// Every vital, in the order the console shows them.
    pub const ALL: [Self; 5] = [Self::Lcp, Self::Inp, Self::Cls, Self::Fcp, Self::Ttfb];

    /// By its usual abbreviation; `None` for any other name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vital| vital.as_str() == name)
    }

    /// `LCP`, `INP`, `CLS`, `FCP`, `TTFB`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lcp => "LCP",
            Self::Inp => "INP",
            Self::Cls => "CLS",
            Self::Fcp => "FCP",
            Self::Ttfb => "TTFB",
        }
    }

    /// The largest value a browser is believed: a minute for times in ms, 100 for CLS.
    #[must_use]
    pub fn value_max(self) -> f64 {
        if self == Self::Cls { 100.0 } else { 60_000.0 }
    }

    /// Upper ends of *good* and *needs improvement* (web.dev/articles/defining-core-web-vitals-thresholds).
    #[must_use]
    pub fn thresholds(self) -> (f64, f64) {
        match self {
            Self::Lcp => (2_500.0, 4_000.0),
            Self::Inp => (200.0, 500.0),
            Self::Cls => (0.1, 0.25),
            Self::Fcp => (1_800.0, 3_000.0),
            Self::Ttfb => (800.0, 1_800.0),
        }
    }

    /// Rates a value in this vital's own unit.
    #[must_use]
    pub fn rate(self, value: f64) -> Rating {
        let (good, fair) = self.thresholds();
        if value <= good {
            Rating::Good
        } else if value <= fair {
            Rating::NeedsImprovement
        } else {
            Rating::Poor
        }
    }
}

/// First byte of an encoded sketch; a change of layout or accuracy takes the next number.
const SKETCH_VERSION: u8 = 1;

/// A mergeable distribution of one vital with its counts by rating. Quantiles are within 1 % of the exact value.
#[derive(Clone, Default)]
pub struct Distribution {
    sketch: Sketch,
    /// Samples rated good.
    pub good: u64,
    /// Samples between the thresholds.
    pub needs_improvement: u64,
    /// Samples rated poor.
    pub poor: u64,
}

impl Distribution {
    /// Adds one sample.
    pub fn add(&mut self, vital: Vital, value: f64) {
        self.sketch.add(value);
        match vital.rate(value) {
            Rating::Good => self.good += 1,
            Rating::NeedsImprovement => self.needs_improvement += 1,
            Rating::Poor => self.poor += 1,
        }
    }

    /// How many samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.good.saturating_add(self.needs_improvement).saturating_add(self.poor)
    }

    /// The 75th percentile, the value a vital is judged by; `None` without samples.
    #[must_use]
    pub fn p75(&self) -> Option<f64> {
        self.sketch.quantile(0.75)
    }

    /// The 75th percentile and its rating. The exact counts rate it; a sketched value that is 1 % off is kept from
    /// contradicting them. A threshold itself belongs to the better rating.
    #[must_use]
    pub fn judge(&self, vital: Vital) -> Option<(f64, Rating)> {
        let (p75, rank) = (self.p75()?, (0.75 * (self.samples().checked_sub(1)? as f64)) as u64);
        let (good, fair) = vital.thresholds();
        Some(if rank < self.good {
            (p75.min(good), Rating::Good)
        } else if rank - self.good < self.needs_improvement {
            (p75.clamp(good.next_up(), fair), Rating::NeedsImprovement)
        } else {
            (p75.max(fair.next_up()), Rating::Poor)
        })
    }

    /// The 95th percentile.
    #[cfg(test)]
    pub(crate) fn p95(&self) -> Option<f64> {
        self.sketch.quantile(0.95)
    }

    /// The sketch as bytes; the counts by rating are kept beside it.
    #[must_use]
    pub fn encode_sketch(&self) -> Vec<u8> {
        let mut bytes = vec![SKETCH_VERSION];
        self.sketch.encode(&mut bytes);
        bytes
    }

    /// Adds stored bytes and their counts (good, between, poor), without a sketch in between: long spans are made of
    /// very many. `None` when the bytes are of an unknown version or accuracy, or broken; then nothing was added.
    pub fn merge_stored(&mut self, bytes: &[u8], counts: [u64; 3]) -> Option<()> {
        let (&version, body) = bytes.split_first()?;
        if version != SKETCH_VERSION {
            return None;
        }
        self.sketch.merge_stored(body)?;
        self.count(counts);
        Some(())
    }

    /// Damaged counts may be any number.
    fn count(&mut self, [good, needs_improvement, poor]: [u64; 3]) {
        self.good = self.good.saturating_add(good);
        self.needs_improvement = self.needs_improvement.saturating_add(needs_improvement);
        self.poor = self.poor.saturating_add(poor);
    }
}

/// The distributions of one key, a vital each.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByVital([Distribution; Vital::ALL.len()]);

impl ByVital {
    pub(crate) fn of(&mut self, vital: Vital) -> &mut Distribution {
        &mut self.0[vital as usize]
    }

    /// Those that have samples.
    pub(crate) fn measured(&self) -> impl Iterator<Item = (Vital, &Distribution)> {
        Vital::ALL.into_iter().zip(&self.0).filter(|(_, all)| all.samples() > 0)
    }

    /// Of all vitals.
    pub(crate) fn samples(&self) -> u64 {
        self.0.iter().fold(0, |sum, all| sum.saturating_add(all.samples()))
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            own.sketch.merge(&other.sketch);
            own.count([other.good, other.needs_improvement, other.poor]);
        }
    }
}

impl std::fmt::Debug for Distribution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Distribution")
            .field("p75", &self.p75())
            .field("samples", &self.samples())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_base::Entropy;

    #[test]
    fn ratings_change_just_above_the_thresholds() {
        for (vital, value, word) in [
            (Vital::Lcp, 2_500.0, "good"),
            (Vital::Lcp, 2_500.1, "needs-improvement"),
            (Vital::Lcp, 4_000.1, "poor"),
            (Vital::Inp, 200.0, "good"),
            (Vital::Inp, 501.0, "poor"),
            (Vital::Cls, 0.1, "good"),
            (Vital::Cls, 0.25, "needs-improvement"),
            (Vital::Cls, 0.26, "poor"),
            (Vital::Fcp, 1_801.0, "needs-improvement"),
            (Vital::Ttfb, 1_801.0, "poor"),
        ] {
            assert_eq!(vital.rate(value).as_str(), word, "{vital:?} {value}");
        }
        assert_eq!(Vital::from_name("FID"), None);
    }

    /// 100 000 values over five decades, spread over 24 hourly sketches that went through their stored form.
    #[test]
    fn p75_of_merged_hours_is_within_two_percent() {
        let entropy = Entropy::seeded(3);
        for (vital, scale) in [(Vital::Lcp, 1.0), (Vital::Cls, 1e-5)] {
            let mut exact = Vec::new();
            let mut hours = vec![Distribution::default(); 24];
            for n in 0..100_000 {
                let Ok(bytes) = entropy.bytes::<8>() else { panic!("seeded") };
                let unit = u64::from_le_bytes(bytes) as f64 / u64::MAX as f64;
                let value = scale * 10f64.powf(unit * 4.7);
                exact.push(value);
                hours[n % 24].add(vital, value);
            }
            exact.sort_by(f64::total_cmp);
            let mut day = Distribution::default();
            for hour in &hours {
                let stored = hour.encode_sketch();
                assert!(stored.len() < 2_500, "{}", stored.len());
                let (good, fair, poor) = (hour.good, hour.needs_improvement, hour.poor);
                assert!(day.merge_stored(&stored, [good, fair, poor]).is_some());
            }
            assert_eq!(day.samples(), 100_000);
            let (got, want) = (day.p75().unwrap_or(0.0), exact[74_999]);
            assert!((got / want - 1.0).abs() < 0.02, "{vital:?}: {got} for {want}");
        }
    }

    #[test]
    fn a_percentile_is_rated_by_exact_counts() {
        let judged = |values: &[f64]| {
            let mut all = Distribution::default();
            values.iter().for_each(|value| all.add(Vital::Lcp, *value));
            all.judge(Vital::Lcp).map(|(p75, rating)| (p75.round(), rating))
        };
        assert_eq!(judged(&[]), None);
        // The sketch says 2 515.
        assert_eq!(judged(&[2_500.0]), Some((2_500.0, Rating::Good)));
        assert_eq!(judged(&[2_501.0]), Some((2_515.0, Rating::NeedsImprovement)));
        assert_eq!(judged(&[4_001.0]).map(|(_, rating)| rating), Some(Rating::Poor));
        assert_eq!(judged(&[1.0, 2.0, 3.0, 9_000.0]), Some((3.0, Rating::Good)));
        let half = [1.0, 2.0, 9_000.0, 9_100.0];
        assert_eq!(judged(&half).map(|(_, rating)| rating), Some(Rating::Poor));
    }

    #[test]
    fn a_percentile_never_contradicts_its_rating() {
        for vital in Vital::ALL {
            let (good, fair) = vital.thresholds();
            for (value, rating) in [
                (good, Rating::Good),
                (good.next_up(), Rating::NeedsImprovement),
                (good * 1.001, Rating::NeedsImprovement),
                (fair, Rating::NeedsImprovement),
                (fair.next_up(), Rating::Poor),
                (fair * 1.001, Rating::Poor),
            ] {
                let mut all = Distribution::default();
                all.add(vital, value);
                let judged = all.judge(vital);
                let rated = judged.map(|(p75, rating)| (vital.rate(p75), rating));
                assert_eq!(rated, Some((rating, rating)), "{vital:?} {value} {judged:?}");
            }
        }
    }

    #[test]
    fn zero_is_a_value_and_nothing_is_not() {
        let mut none = Distribution::default();
        assert_eq!(none.p75(), None);
        assert!(none.merge_stored(&Distribution::default().encode_sketch(), [0; 3]).is_some());
        assert_eq!(none.p75(), None);
        none.add(Vital::Cls, 0.0);
        assert_eq!((none.p75(), none.good), (Some(0.0), 1));
        assert!(none.merge_stored(&[9, 1, 2], [1; 3]).is_none());
        assert!(none.merge_stored(&[], [1; 3]).is_none());
        assert_eq!(none.samples(), 1);
    }
}
