//! A mergeable sketch of values from zero up, and its stored form; judges no value.
//!
//! DDSketch (Masson, Rim and Lee 2019) with an accuracy of 1 %: a value is counted in a bin whose edges grow by
//! 1.01 / 0.99, so that a quantile is at most 1 % off and merging adds bins up, exactly. The stored form is DataDog's own
//! (`sketches-java`, `DDSketchWithExactSummaryStatistics`), as the test against an implementation of theirs shows. It is
//! added from its bytes, bin by bin: an answer about a month is made of tens of thousands.

use super::number::{read_number, write_number};

/// Relative accuracy.
const ACCURACY: f64 = 0.01;
/// Growth of the edges.
const GAMMA: f64 = (1.0 + ACCURACY) / (1.0 - ACCURACY);
/// What is smaller is counted as zero.
const SMALLEST: f64 = 1e-9;
/// No value that is believed (100 to 1e5) comes near this bin; 40 would be off by more than anybody measures.
const KEY_MAX: i32 = 2_048;

/// First bytes of the parts of the stored form, and how a part is told by its lowest bits.
const COUNT: u8 = 0xa0;
const SUM: u8 = 0x84;
const MIN: u8 = 0x88;
const MAX: u8 = 0x8c;
const MAPPING: u8 = 0x02;
const ZEROS: u8 = 0x04;
/// Bins of values above zero: how many, then for each how much its key exceeds the one before, and its count.
const BINS: u8 = 0x05;

/// How many values fell into which bin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sketch {
    zeros: u64,
    /// Bins that hold values, with how many, ordered by key: two values take the room of two, however far apart.
    bins: Vec<(i32, u64)>,
    /// All values.
    count: u64,
}

impl Sketch {
    pub(super) fn add(&mut self, value: f64) {
        if value > SMALLEST {
            let key = ((value.ln() / GAMMA.ln()).floor() as i32).clamp(-KEY_MAX, KEY_MAX);
            // Values come in no order, and one by one: walking would cost each of them all bins below its own.
            let at = self.bins.partition_point(|(own, _)| *own < key);
            self.add_count(at, key, 1);
        } else {
            self.add_counts(1, &[]);
        }
    }

    /// The value that this share of all values does not exceed; `None` without any.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let mut rank = (share * (self.count.checked_sub(1)? as f64)) as u64;
        if rank < self.zeros {
            return Some(0.0);
        }
        rank -= self.zeros;
        for (key, count) in &self.bins {
            match rank.checked_sub(*count) {
                Some(left) => rank = left,
                None => {
                    let edge = (f64::from(*key) * GAMMA.ln()).exp();
                    return Some(edge * (2.0 * GAMMA / (1.0 + GAMMA)));
                }
            }
        }
        None
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(MAPPING);
        out.extend(GAMMA.to_le_bytes());
        out.extend(0_f64.to_le_bytes());
        if self.zeros > 0 {
            out.push(ZEROS);
            write_count(out, self.zeros);
        }
        if !self.bins.is_empty() {
            out.push(BINS);
            write_number(out, self.bins.len() as u64);
        }
        let mut before = 0;
        for (key, count) in &self.bins {
            write_number(out, zigzag(key - before));
            write_count(out, *count);
            before = *key;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.add_counts(other.zeros, &other.bins);
    }

    /// Adds a stored sketch. `None` when it has another accuracy or cannot be read; then nothing was added.
    pub(super) fn merge_stored(&mut self, mut bytes: &[u8]) -> Option<()> {
        let (mut zeros, mut bins, mut mapped) = (0, Vec::new(), false);
        let rest = &mut bytes;
        while let Some(part) = take::<1>(rest) {
            match part[0] {
                COUNT => drop(read_count(rest)?),
                SUM | MIN | MAX => drop(take::<8>(rest)?),
                MAPPING => {
                    let found = f64::from_le_bytes(take(rest)?);
                    mapped = found == GAMMA && f64::from_le_bytes(take(rest)?) == 0.0;
                }
                ZEROS => zeros = read_count(rest)?,
                BINS => bins = read_bins(rest)?,
                _ => return None,
            }
        }
        if !mapped {
            return None;
        }
        self.add_counts(zeros, &bins);
        Some(())
    }

    /// Adds what is ordered by key. Counts that are too large saturate.
    fn add_counts(&mut self, zeros: u64, bins: &[(i32, u64)]) {
        self.zeros = self.zeros.saturating_add(zeros);
        self.count = self.count.saturating_add(zeros);
        let mut at = 0;
        for (key, count) in bins {
            at += self.bins[at..].iter().take_while(|(own, _)| own < key).count();
            self.add_count(at, *key, *count);
        }
    }

    /// Adds to the bin of this key, whose place is `at`.
    fn add_count(&mut self, at: usize, key: i32, count: u64) {
        match self.bins.get_mut(at) {
            Some((own, sum)) if *own == key => *sum = sum.saturating_add(count),
            _ => self.bins.insert(at, (key, count)),
        }
        self.count = self.count.saturating_add(count);
    }
}

fn read_bins(rest: &mut &[u8]) -> Option<Vec<(i32, u64)>> {
    let many = usize::try_from(read_number(rest)?).ok()?;
    // Each has two bytes at least.
    let mut bins = Vec::with_capacity(many.min(rest.len() / 2));
    let mut key = 0_i32;
    for at in 0..many {
        let step = unzigzag(read_number(rest)?);
        key = key.checked_add(step)?;
        let is_next = at == 0 || step > 0;
        if !is_next || !(-KEY_MAX..=KEY_MAX).contains(&key) {
            return None;
        }
        bins.push((key, read_count(rest)?));
    }
    Some(bins)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

/// The format has counts as doubles: one more than the count, as bits, less those of 1.0, with the bits that whole
/// numbers use moved to the front and the zeros at the end left out, seven bits a byte.
fn write_count(out: &mut Vec<u8>, count: u64) {
    let bits = (count as f64 + 1.0).to_bits().wrapping_sub(1_f64.to_bits());
    let mut bits = bits.rotate_left(6);
    for _ in 0..8 {
        let next = (bits >> 57) as u8;
        bits <<= 7;
        if bits == 0 {
            out.push(next);
            return;
        }
        out.push(next | 0x80);
    }
    out.push((bits >> 56) as u8);
}

fn read_count(rest: &mut &[u8]) -> Option<u64> {
    let (mut bits, mut shift) = (0_u64, 57);
    loop {
        let [next] = take(rest)?;
        if shift == 1 {
            bits |= u64::from(next);
            break;
        }
        bits |= u64::from(next & 0x7f) << shift;
        if next < 0x80 {
            break;
        }
        shift -= 7;
    }
    let count = f64::from_bits(bits.rotate_right(6).wrapping_add(1_f64.to_bits())) - 1.0;
    // Whole, and added up for ever it does not overflow.
    (0.0..1e15).contains(&count).then_some(count as u64)
}

fn zigzag(number: i32) -> u64 {
    let number = i64::from(number);
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i32 {
    let number = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use mainstay_base::Entropy;
    use sketches_ddsketch::{Config, DDSketch};

    use super::*;

    fn values(scale: f64, many: usize) -> Vec<f64> {
        let entropy = Entropy::seeded(5);
        let unit = || u64::from_le_bytes(entropy.bytes().expect("seeded")) as f64 / u64::MAX as f64;
        (0..many).map(|n| if n % 9 == 0 { 0.0 } else { scale * 10f64.powf(unit() * 5.0) }).collect()
    }

    /// One by another's hand, by way of the stored form in both directions.
    #[test]
    fn it_is_the_sketch_that_others_know() {
        for (scale, many) in [(1.0, 5_000), (1e-4, 300), (1e-12, 10), (3.0, 1), (3.0, 0)] {
            let (mut ours, mut theirs) = (Sketch::default(), DDSketch::new(Config::defaults()));
            for value in values(scale, many) {
                ours.add(value);
                theirs.add(value);
            }
            let mut stored = Vec::new();
            ours.encode(&mut stored);
            let there = DDSketch::from_java_bytes(&stored).expect("readable");
            let mut back = Sketch::default();
            back.merge_stored(&theirs.to_java_bytes()).expect("readable");
            assert_eq!(back, ours);
            for share in [0.01, 0.5, 0.75, 0.95, 0.999] {
                let want = theirs.quantile(share).expect("a share");
                assert_eq!(ours.quantile(share), want, "{scale} {many} {share}");
                assert_eq!(there.quantile(share).expect("a share"), want);
            }
        }
    }

    #[test]
    fn merged_is_what_was_added_to_one() {
        let mut all = Sketch::default();
        let (mut merged, mut whole) = (Sketch::default(), Sketch::default());
        for scale in [1.0, 1e-3, 1e3] {
            let mut part = Sketch::default();
            for value in values(scale, 700) {
                part.add(value);
                all.add(value);
            }
            let mut stored = Vec::new();
            part.encode(&mut stored);
            merged.merge_stored(&stored).expect("readable");
            whole.merge(&part);
        }
        assert_eq!(merged, all);
        assert_eq!(whole, all);
    }

    #[test]
    fn values_far_apart_take_no_more_room_than_others() {
        let mut sketch = Sketch::default();
        for value in [6e4, 2e-9, 6e4, 1.0, 2e-9] {
            sketch.add(value);
        }
        assert_eq!((sketch.bins.len(), sketch.bins.capacity() < 16), (3, true));
        let counts: Vec<_> = sketch.bins.iter().map(|(_, count)| *count).collect();
        assert_eq!((counts, sketch.bins.is_sorted()), (vec![2, 1, 2], true));
    }

    #[test]
    fn what_cannot_be_read_adds_nothing() {
        let mut sketch = Sketch::default();
        values(1.0, 40).into_iter().for_each(|value| sketch.add(value));
        let mut stored = Vec::new();
        sketch.encode(&mut stored);
        let refused = |bytes: &[u8], why: &str| {
            let mut found = sketch.clone();
            assert_eq!(found.merge_stored(bytes), None, "{why}");
            assert_eq!(found, sketch, "{why}");
        };
        for length in (0..stored.len()).filter(|length| *length != 17 && *length != 19) {
            refused(&stored[..length], &format!("cut off at {length}"));
        }
        let mapping = &stored[..17];
        let bins = |bins: &[u8]| [mapping, &[BINS], bins].concat();
        refused(&bins(&[2, 2, 8, 0, 8]), "the same bin twice");
        refused(&bins(&[1, 0x80, 0x80, 0x04, 8]), "a bin that is too far off");
        refused(&bins(&[0xff, 0xff, 0xff, 0xff, 0x0f, 2, 8]), "more bins than there are bytes");
        refused(&[mapping, &[0x07, 0]].concat(), "bins below zero");
        let other = DDSketch::new(Config::new(0.02, 2_048, 1e-9));
        refused(&other.to_java_bytes(), "another accuracy");
        let entropy = Entropy::seeded(6);
        for _ in 0..2_000 {
            let noise: [u8; 24] = entropy.bytes().expect("seeded");
            let _whatever = sketch.clone().merge_stored(&[mapping, &noise].concat());
        }
    }

    #[test]
    fn counts_are_written_as_they_are_read() {
        for count in [0, 1, 2, 63, 64, 1_000, 123_456_789] {
            let mut out = Vec::new();
            write_count(&mut out, count);
            assert_eq!(read_count(&mut &out[..]), Some(count));
        }
    }
}
