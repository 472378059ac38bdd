//! Tests of `country`.

use super::*;

/// A database of one record, built by hand after the MaxMind DB format specification 2.0: one node whose left side
/// (addresses 0.0.0.0–127.255.255.255) is the record and whose right side is empty.
fn database(record: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 17, 0, 0, 1];
    bytes.extend([0; 16]);
    bytes.extend(record);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    bytes.push(0xe0 | 9);
    let text = |bytes: &mut Vec<u8>, t: &str| {
        bytes.push(0x40 | t.len() as u8);
        bytes.extend(t.as_bytes());
    };
    for (key, number) in [
        ("binary_format_major_version", &[0xa1, 2][..]),
        ("binary_format_minor_version", &[0xa1, 0]),
        ("ip_version", &[0xa1, 4]),
        ("node_count", &[0xc1, 1]),
        ("record_size", &[0xa1, 24]),
        ("build_epoch", &[0x01, 0x02, 1]),
        ("database_type", b"\x41x"),
        ("languages", &[0x00, 0x04]),
        ("description", &[0xe0]),
    ] {
        text(&mut bytes, key);
        bytes.extend(number);
    }
    bytes
}

fn find(record: &[u8], address: &str) -> Option<String> {
    let reader = Reader::from_source(database(record)).expect("valid database");
    Countries(Some(reader)).find(address.parse().expect("address"))
}

#[test]
fn both_layouts_are_read_and_anything_else_is_no_country() {
    let nested = b"\xe1\x47country\xe1\x48iso_code\x42DE";
    let flat = b"\xe1\x4ccountry_code\x42fr";
    assert_eq!(find(nested, "9.9.9.9").as_deref(), Some("DE"));
    assert_eq!(find(nested, "::ffff:9.9.9.9").as_deref(), Some("DE"));
    assert_eq!(find(flat, "9.9.9.9").as_deref(), Some("FR"));
    assert_eq!(find(flat, "200.9.9.9"), None);
    assert_eq!(find(b"\xe1\x4ccountry_code\x44a<b>", "9.9.9.9"), None);
    assert_eq!(Countries::default().find("9.9.9.9".parse().expect("address")), None);
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let error = Countries::open(Some(Path::new("/nonexistent.mmdb"))).expect_err("no such file");
    assert_eq!(error.to_string(), "country database /nonexistent.mmdb");
}
