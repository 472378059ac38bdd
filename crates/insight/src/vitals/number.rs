//! Numbers of a stored value in as few bytes as they need: LEB128, seven bits a byte, the lowest first.

pub(super) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front; none where none ends.
pub(super) fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_are_read_back() {
        for (number, bytes) in [(0, 1), (1, 1), (0x7f, 1), (0x80, 2), (300, 2), (u64::MAX, 10)] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(out.len(), bytes);
            assert_eq!(read_number(&mut &out[..]), Some(number));
            assert_eq!(read_number(&mut &out[..bytes - 1]), None);
        }
        assert_eq!(read_number(&mut &[0xff; 12][..]), None);
    }
}
