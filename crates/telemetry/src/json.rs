//! The inside of a JSON string, written by hand where every nanosecond counts. Whole documents are serde's.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` escaped (RFC 8259, 7), at most six bytes for one. Control characters that JSON would allow are
/// escaped too, so that a log shown on a terminal cannot steer it.
pub(crate) fn escape(out: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escape_slowly(out, text);
    }
}

/// Whether `text` needs no escape. 0xC2 begins the C1 control characters, which terminals obey. Looks at every byte
/// instead of stopping at the first: so the compiler makes it look at sixteen at once.
fn is_plain(text: &str) -> bool {
    !text.bytes().fold(false, |found, byte| {
        found | (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte == 0x7f) | (byte == 0xc2)
    })
}

#[cold]
fn escape_slowly(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            // All control characters are below U+00A0.
            c if c.is_control() => {
                let code = u32::from(c) as u8;
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(code >> 4)]);
                out.push(HEX[usize::from(code & 15)]);
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_comes_back() {
        let all: String =
            (0..0x3000_u32).filter_map(char::from_u32).chain(['😀', '\u{fffd}']).collect();
        let mut out = b"\"".to_vec();
        escape(&mut out, &all);
        out.push(b'"');
        assert!(!out.iter().any(|byte| *byte < 0x20 || *byte == 0x7f));
        assert_eq!(serde_json::from_slice::<String>(&out).ok(), Some(all));
    }
}
