//! How many connections each address has open, over all workers. Keeps an address for as long as it has one.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

/// Bits of an IPv6 address that tell one customer from another (RFC 6177: a site gets at least a /64).
const V6_BITS: u32 = 64;

/// Open connections by address; not more entries than connections.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<FxHashMap<IpAddr, usize>>);

/// One connection's place in the count, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    addresses: Arc<Addresses>,
    network: IpAddr,
}

impl Addresses {
    /// A place for a further connection, unless its address has `max` already.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<Place> {
        let network = network_of(address);
        let mut open = self.open();
        let count = open.entry(network).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Place { addresses: Arc::clone(self), network })
    }

    fn open(&self) -> std::sync::MutexGuard<'_, FxHashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.addresses.open();
        match open.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.network)),
        }
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << V6_BITS))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_places_and_gives_them_back() {
        let addresses = Arc::new(Addresses::default());
        let enter = |address: &str| addresses.enter(address.parse().expect("an address"), 2);
        let one = (enter("192.0.2.1"), enter("192.0.2.1"));
        assert!(one.0.is_some() && one.1.is_some() && enter("192.0.2.1").is_none());
        assert!(enter("::ffff:192.0.2.1").is_none(), "the same address, written otherwise");
        let other = enter("192.0.2.2");
        assert!(other.is_some());
        drop(one.0);
        let again = enter("192.0.2.1");
        assert!(again.is_some() && enter("192.0.2.1").is_none());
        drop((one.1, other, again));
        assert!(addresses.open().is_empty(), "nobody is remembered");
    }

    #[test]
    fn a_customer_cannot_multiply_by_the_addresses_of_its_network() {
        let addresses = Arc::new(Addresses::default());
        let enter = |address: &str| addresses.enter(address.parse().expect("an address"), 2);
        let held = (enter("2001:db8:0:1::1"), enter("2001:db8:0:1:ffff::2"));
        assert!(held.0.is_some() && held.1.is_some() && enter("2001:db8:0:1::3").is_none());
        assert!(enter("2001:db8:0:2::1").is_some());
    }
}
