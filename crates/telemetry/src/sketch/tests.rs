//! Tests of `sketch`.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

/// Durations from 1 µs to 120 s, as many in each power of ten.
fn random_durations(count: usize, seed: u64) -> Vec<Duration> {
    let mut random = StdRng::seed_from_u64(seed);
    let range = (1e-6_f64).ln()..(120.0_f64).ln();
    (0..count).map(|_| Duration::from_secs_f64(random.random_range(range.clone()).exp())).collect()
}

fn sketch_of(durations: &[Duration]) -> Snapshot {
    let latency = Latency::new();
    durations.iter().for_each(|duration| latency.record(*duration));
    latency.snapshot()
}

#[test]
fn quantiles_are_within_two_percent_of_the_exact_ones() {
    for seed in 0..20 {
        let mut durations = random_durations(5_000, seed);
        let sketch = sketch_of(&durations);
        durations.sort();
        for q in [0.0, 0.001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let rank = ((q * durations.len() as f64).ceil() as usize).max(1);
            let exact = durations[rank - 1].as_secs_f64();
            let told = sketch.quantile(q).unwrap().as_secs_f64();
            assert!((told / exact - 1.0).abs() <= 0.02, "q {q}: told {told}, exact {exact}");
        }
    }
}

#[test]
fn every_duration_lands_where_its_bucket_says() {
    for nanos in (0..5_000_000).step_by(7).chain([119_999_999_999, 120_000_000_000]) {
        let duration = Duration::from_nanos(nanos);
        let middle = middle_of(index_of(duration));
        let off = middle.abs_diff(duration).as_nanos() as f64;
        assert!(off <= 16.0 || off <= nanos as f64 / 64.0, "{nanos} is told as {middle:?}");
    }
    assert_eq!(index_of(Duration::MAX), BUCKETS - 1);
    assert_eq!(index_of(Duration::ZERO), 0);
}

#[test]
fn fixed_memory_is_small() {
    assert!(BUCKETS * size_of::<AtomicU64>() <= 20 << 10);
}

#[test]
fn an_interval_is_the_difference_of_two_snapshots() {
    let latency = Latency::new();
    latency.record(Duration::from_secs(100));
    let before = latency.snapshot();
    assert_eq!(latency.snapshot().minus(&before).quantile(0.5), None);
    latency.record(Duration::from_millis(10));
    let between = latency.snapshot().minus(&before);
    assert_eq!(between.count(), 1);
    let median = between.quantile(0.5).unwrap().as_secs_f64();
    assert!((median / 0.01 - 1.0).abs() < 0.02, "{median}");
}

#[test]
fn merging_is_as_if_all_had_been_counted_in_one() {
    let (a, b) = (random_durations(300, 1), random_durations(500, 2));
    let mut merged = sketch_of(&a);
    merged.merge(&sketch_of(&b));
    assert_eq!(merged, sketch_of(&[a, b].concat()));
    assert_eq!(merged.count(), 800);
}

#[test]
fn the_stored_form_comes_back_and_is_compact() {
    let sketch = sketch_of(&random_durations(2_000, 3));
    assert_eq!(Snapshot::decode(&sketch.encode()), Ok(sketch));
    assert_eq!(Snapshot::empty().encode(), [1]);
    let one = sketch_of(&[Duration::from_millis(3)]).encode();
    assert!(one.len() <= 4, "{one:?}");
    let mut full = Snapshot::empty();
    full.0.fill(u64::MAX);
    assert_eq!(Snapshot::decode(&full.encode()).as_ref(), Ok(&full));
    assert_eq!(full.count(), u64::MAX);
    assert!(full.quantile(1.0).is_some());
}

#[test]
fn damaged_bytes_are_refused() {
    assert_eq!(Snapshot::decode(&[]), Err(DecodeError::Version(None)));
    assert_eq!(Snapshot::decode(&[2, 0, 1]), Err(DecodeError::Version(Some(2))));
    for bytes in [&[1, 0][..], &[1, 0x80], &[1, 0, 0x80], &[1, 0xff, 0x7f, 1]] {
        assert_eq!(Snapshot::decode(bytes), Err(DecodeError::Damaged), "{bytes:?}");
    }
    let endless = [&[1][..], &[0xff; 11]].concat();
    assert_eq!(Snapshot::decode(&endless), Err(DecodeError::Damaged));
    let mut random = StdRng::seed_from_u64(4);
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..random.random_range(0..24)).map(|_| random.random()).collect();
        bytes.insert(0, 1);
        let _may_not_panic = Snapshot::decode(&bytes);
    }
}
