//! The bounds of memory. What values, counters and leases do is in the contract.

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn values_go_before_memory_does() {
    let max = mainstay_base::units::Size::kib(64);
    let local = Local::new(&Settings { memory_bytes_max: max, ..Settings::default() });
    for n in 0..1_000 {
        local.set(&n.to_string(), Bytes::from(vec![0; 1_000]), HOUR);
        assert!(local.count_bytes() <= max.0);
    }
    assert!(local.count_bytes() > max.0 / 2, "and not all of them");
    local.forget();
    assert_eq!(local.count_bytes(), 0);
}

#[test]
fn names_of_counters_are_bounded_and_over_ones_make_room() {
    let local = Local::new(&Settings { counters_max: 2, ..Settings::default() });
    local.increment("a", 1, HOUR).unwrap();
    local.increment("b", 1, Duration::ZERO).unwrap();
    local.increment("c", 1, HOUR).unwrap();
    assert_eq!(local.increment("d", 1, HOUR), Err(Error::Full));
    assert_eq!(local.increment("a", 1, HOUR).unwrap().0, 2);
}

#[test]
fn names_of_leases_are_bounded_and_over_ones_make_room() {
    let local = Local::new(&Settings { leases_max: 2, ..Settings::default() });
    local.acquire("a", "x", HOUR).unwrap();
    local.acquire("b", "x", Duration::ZERO).unwrap();
    local.acquire("c", "x", HOUR).unwrap();
    assert_eq!(local.acquire("d", "x", HOUR), Err(Error::Full));
}
