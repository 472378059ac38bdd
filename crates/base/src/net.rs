//! Addresses: those of clients made safe to keep (truncation to a network), and what an address is set aside for. Never resolves, never connects.

mod class;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use class::{Class, class};

/// Bits kept of an IPv4 address in logs and tables.
pub const V4_BITS_KEPT: u32 = 24;
/// Bits kept of an IPv6 address in logs and tables.
pub const V6_BITS_KEPT: u32 = 48;

/// The address with its host part zeroed: /24 for IPv4, /48 for IPv6.
///
/// An IPv4-mapped IPv6 address (`::ffff:a.b.c.d`) is treated as the IPv4 address it carries, so that the
/// mapping cannot smuggle a full address past the truncation.
#[must_use]
pub fn truncate(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << (32 - V4_BITS_KEPT))))
        }
        IpAddr::V6(v6) => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - V6_BITS_KEPT))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_parts_are_zeroed() {
        let check = |from: &str, to: &str| {
            let parsed = from.parse::<IpAddr>().map(truncate).map(|a| a.to_string());
            assert_eq!(parsed.as_deref(), Ok(to), "{from}");
        };
        check("203.0.113.77", "203.0.113.0");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1::");
        check("::ffff:203.0.113.77", "203.0.113.0");
        check("::1", "::");
    }
}
