//! Contract of leases.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::fixture::{Fixture, until};
use crate::{Grant, Kv, Lease};

const HOUR: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(300);

async fn acquire(kv: &Kv, ttl: Duration) -> Option<Lease> {
    match kv.acquire("job", ttl).await.unwrap() {
        Grant::Granted(lease) => Some(lease),
        Grant::Held { .. } => None,
    }
}

pub(super) async fn one_holder_at_a_time(f: &Fixture) {
    let calls = (0..32).map(|n| {
        let kv = if n % 2 == 0 { &f.one } else { &f.other };
        kv.acquire("job", HOUR)
    });
    let grants: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let granted = |grant: &&Grant| matches!(grant, Grant::Granted(_));
    let lease = grants.iter().find(granted).unwrap();
    let Grant::Granted(lease) = lease else { unreachable!() };
    for grant in &grants {
        match grant {
            Grant::Granted(other) => assert_eq!(other, lease),
            Grant::Held { token, left } => {
                assert_eq!(*token, lease.token);
                assert!(*left <= HOUR && *left > HOUR / 2, "{left:?}");
            }
        }
    }
    assert_eq!(grants.iter().filter(granted).count(), 1);
    assert!(matches!(f.one.acquire("another", HOUR).await, Ok(Grant::Granted(_))));
}

pub(super) async fn a_lease_ends_unless_renewed(f: &Fixture) {
    let began = Instant::now();
    let first = acquire(&f.one, SHORT).await.unwrap();
    until("the end of a lease", async || acquire(&f.other, HOUR).await.is_some()).await;
    assert!(began.elapsed() >= SHORT - Duration::from_millis(2), "not before its time");
    assert_eq!(f.one.renew(&first, HOUR).await, Ok(false), "it is over");
    f.one.increment("time", 1, SHORT * 3).await.unwrap();
    let Grant::Granted(kept) = f.one.acquire("kept", SHORT).await.unwrap() else { unreachable!() };
    assert_eq!(f.one.renew(&kept, HOUR).await, Ok(true));
    // Three times as long as it would have lasted, by the same clock.
    until("some time", async || f.one.increment("time", 1, SHORT).await.unwrap().value == 1).await;
    assert!(matches!(f.other.acquire("kept", HOUR).await, Ok(Grant::Held { .. })));
}

pub(super) async fn tokens_grow_whatever_became_of_the_lease(f: &Fixture) {
    let mut last = 0;
    for n in 0..20 {
        let kv = if n % 2 == 0 { &f.one } else { &f.other };
        // Every other one is left to its end.
        let ttl = if n % 4 < 2 { HOUR } else { Duration::from_millis(1) };
        let mut lease = None;
        until("the lease", async || {
            let granted = acquire(kv, ttl).await;
            let is_granted = granted.is_some();
            lease = lease.take().or(granted);
            is_granted
        })
        .await;
        let lease: Lease = lease.unwrap();
        assert!(lease.token > last, "{} after {last}", lease.token);
        last = lease.token;
        if ttl == HOUR {
            assert_eq!(kv.release(&lease).await, Ok(true));
        }
    }
}

pub(super) async fn only_the_holder_may_renew_or_release(f: &Fixture) {
    let old = acquire(&f.one, HOUR).await.unwrap();
    assert_eq!(f.one.release(&old).await, Ok(true));
    assert_eq!(f.one.release(&old).await, Ok(false), "given back already");
    let new = acquire(&f.other, HOUR).await.unwrap();
    assert_eq!(f.one.renew(&old, HOUR).await, Ok(false));
    assert_eq!(f.one.release(&old).await, Ok(false));
    assert_eq!(f.other.renew(&new, HOUR).await, Ok(true));
    assert!(acquire(&f.one, HOUR).await.is_none(), "still held");
}
