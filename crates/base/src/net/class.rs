//! What an address is set aside for (IANA's special-purpose registries, RFC 6890): pure tables. Never resolves, never connects.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Anybody's: a host of the internet.
    Public,
    /// "This host on this network" (`0.0.0.0/8`, `::`): a system takes it for itself.
    Unspecified,
    /// This machine.
    Loopback,
    /// An organisation's own network (RFC 1918, RFC 4193, and the site-local addresses of old).
    Private,
    /// A carrier's network behind its NAT (RFC 6598); clouds put services of their own there.
    Shared,
    /// The same link (RFC 3927, RFC 4291): metadata services of clouds live there.
    LinkLocal,
    /// Groups of hosts.
    Multicast,
    /// Every host of the link.
    Broadcast,
    /// For examples in documents.
    Documentation,
    /// For measuring networks (RFC 2544).
    Benchmarking,
    /// For protocols, not for hosts.
    Protocol,
    /// IPv6 that a tunnel or a translator of this network turns into IPv4 of its choice: 6to4, Teredo, and the like.
    Transition,
    /// Given to nobody.
    Reserved,
}

impl Class {
    /// The name of the rule that refuses such an address: stable, for logs and errors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public address",
            Self::Unspecified => "unspecified address",
            Self::Loopback => "loopback address",
            Self::Private => "private address",
            Self::Shared => "carrier-grade NAT address",
            Self::LinkLocal => "link-local address",
            Self::Multicast => "multicast address",
            Self::Broadcast => "broadcast address",
            Self::Documentation => "documentation address",
            Self::Benchmarking => "benchmarking address",
            Self::Protocol => "protocol address",
            Self::Transition => "transition address",
            Self::Reserved => "reserved address",
        }
    }
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>, and RFC 5771 for multicast. Of `192.0.0.0/24` two
/// addresses are reachable from everywhere (RFC 7723, RFC 8155): anycast of relays, no host's, so they are left in.
const V4: [(Ipv4Addr, u32, Class); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, Class::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Class::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Class::Shared),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Class::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Class::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Class::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Class::Protocol),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Class::Documentation),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Class::Transition),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Class::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Class::Benchmarking),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Class::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Class::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Class::Multicast),
    // Azure's metadata and DNS answer here, on an address that is else like any other.
    (Ipv4Addr::new(168, 63, 129, 16), 32, Class::LinkLocal),
    (Ipv4Addr::new(255, 255, 255, 255), 32, Class::Broadcast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Class::Reserved),
];

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>; the first row that holds an address says what it is.
/// `2001::/23` holds a few anycast services that are reachable from everywhere; none is a web server, so it is one row.
const V6: [(Ipv6Addr, u32, Class); 17] = [
    (Ipv6Addr::UNSPECIFIED, 128, Class::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Class::Loopback),
    // IPv4-compatible (deprecated by RFC 4291) and IPv4-translated (RFC 7915).
    (Ipv6Addr::UNSPECIFIED, 96, Class::Transition),
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96, Class::Transition),
    // A network's own translation prefix (RFC 8215).
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, Class::Transition),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, Class::Reserved),
    // Teredo (RFC 4380), before the block that it lies in.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, Class::Transition),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48, Class::Benchmarking),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Class::Protocol),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Class::Documentation),
    // 6to4 (RFC 3056).
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, Class::Transition),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Class::Documentation),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, Class::Protocol),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Class::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, Class::LinkLocal),
    // Site-local (deprecated by RFC 3879; systems still route it).
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, Class::Private),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Class::Multicast),
];

/// The only block that addresses of hosts are given from (RFC 4291 §2.4, IANA's IPv6 address space).
const V6_GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// The translation prefix of RFC 6052: on a network without IPv4 every IPv4 host is met under it.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
/// The upper half of an interface identifier of ISATAP (RFC 5214 §6.1), with and without the bit for "universal".
const ISATAP: [u32; 2] = [0x0000_5efe, 0x0200_5efe];

/// What an address is for. IPv6 that carries an IPv4 address is what that one is.
#[must_use]
pub fn class(address: IpAddr) -> Class {
    match address.to_canonical() {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) => class_v6(v6),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    let bits = address.to_bits();
    let held = |(net, len, _): &&(Ipv4Addr, u32, Class)| (bits ^ net.to_bits()) >> (32 - len) == 0;
    V4.iter().find(held).map_or(Class::Public, |(_, _, class)| *class)
}

fn class_v6(address: Ipv6Addr) -> Class {
    if is_in(address, NAT64.0, NAT64.1) {
        return class_v4(last_v4(address));
    }
    let row = V6.iter().find(|(net, len, _)| is_in(address, *net, *len));
    if let Some((_, _, class)) = row {
        return *class;
    }
    if !is_in(address, V6_GLOBAL.0, V6_GLOBAL.1) {
        return Class::Reserved;
    }
    let identifier = (address.to_bits() >> 32) as u32;
    if ISATAP.contains(&identifier) { class_v4(last_v4(address)) } else { Class::Public }
}

fn is_in(address: Ipv6Addr, net: Ipv6Addr, len: u32) -> bool {
    (address.to_bits() ^ net.to_bits()) >> (128 - len) == 0
}

fn last_v4(address: Ipv6Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits() as u32)
}

#[cfg(test)]
mod tests;
