//! Ids and addresses as text: written for every request, so by hand and not by the formatting machinery. Pure.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::header::HeaderValue;

/// 32 lower-case digits.
pub(super) fn hex(number: u128) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [0; 32];
    for (pair, byte) in out.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out
}

/// An address as a header's whole value.
pub(super) fn of_address(address: IpAddr) -> HeaderValue {
    let text = match address {
        IpAddr::V4(v4) => {
            let mut text = String::with_capacity(15);
            push_v4(&mut text, v4);
            text
        }
        IpAddr::V6(v6) => v6.to_string(),
    };
    HeaderValue::from_maybe_shared(Bytes::from(text))
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// Four numbers and three dots.
pub(super) fn push_v4(out: &mut String, address: Ipv4Addr) {
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            out.push('.');
        }
        out.push_str(itoa::Buffer::new().format(octet));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_addresses_are_written_as_the_standard_library_writes_them() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, u128::MAX, u128::MAX - 15, 1 << 127] {
            assert_eq!(hex(number), format!("{number:032x}").as_bytes());
        }
        for address in ["0.0.0.0", "127.0.0.1", "255.20.3.100", "::", "2001:db8::7"] {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(of_address(parsed), address);
        }
    }
}
