//! From when until when a certificate is valid (RFC 5280 §4.1.2.5). Reads these two dates and nothing else of it.

use mainstay_base::Timestamp;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`: the version.
const VERSION: u8 = 0xa0;

/// The time in which a certificate may be used, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Validity {
    /// From a certificate in DER; `None` when it is none.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let mut outer = Der(certificate).enter(SEQUENCE)?;
        let mut tbs = outer.enter(SEQUENCE)?;
        if tbs.0.first() == Some(&VERSION) {
            tbs.enter(VERSION)?;
        }
        tbs.enter(INTEGER)?; // serial number
        tbs.enter(SEQUENCE)?; // signature
        tbs.enter(SEQUENCE)?; // issuer
        let mut dates = tbs.enter(SEQUENCE)?;
        Some(Self { from: dates.time()?, until: dates.time()? })
    }

    /// What is wrong with it at this time.
    pub(super) fn fault(self, now: Timestamp) -> Option<String> {
        if self.until < now {
            Some(format!("it ended at {}: browsers refuse it; renew it", self.until.to_rfc3339()))
        } else if self.from > now {
            let from = self.from.to_rfc3339();
            Some(format!("it is valid from {from} on only: is this machine's clock right?"))
        } else {
            None
        }
    }
}

/// What is left to read of a value in DER (X.690 §8.1).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Takes the next value, which must have this tag, and gives its content.
    fn enter(&mut self, tag: u8) -> Option<Der<'a>> {
        let (found, content) = self.next()?;
        (found == tag).then_some(Der(content))
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.is_empty() || digits.len() > 4 {
                return None;
            }
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn time(&mut self) -> Option<Timestamp> {
        let (tag, content) = self.next()?;
        let digits = std::str::from_utf8(content.strip_suffix(b"Z")?).ok()?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (year, rest) = match tag {
            UTC_TIME if digits.len() == 12 => {
                // RFC 5280 §4.1.2.5.1: 50 and above are of the last century.
                let century = if &digits[..2] < "50" { "20" } else { "19" };
                (format!("{century}{}", &digits[..2]), &digits[2..])
            }
            GENERALIZED_TIME if digits.len() == 14 => (digits[..4].to_owned(), &digits[4..]),
            _ => return None,
        };
        let part = |at: usize| &rest[at..at + 2];
        let (month, day) = (part(0), part(2));
        let (hour, minute, second) = (part(4), part(6), part(8));
        Timestamp::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).expect("params");
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = rcgen::KeyPair::generate().expect("key");
        params.self_signed(&key).expect("signed").der().to_vec()
    }

    #[test]
    fn both_forms_of_dates_are_read() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).expect("a time");
        let found = Validity::of(&certificate((1999, 12, 31), (2049, 1, 2)));
        let (from, until) = (at("1999-12-31T00:00:00Z"), at("2049-01-02T00:00:00Z"));
        assert_eq!(found, Some(Validity { from, until }));
        let found = Validity::of(&certificate((2026, 2, 28), (4096, 1, 1)));
        let (from, until) = (at("2026-02-28T00:00:00Z"), at("4096-01-01T00:00:00Z"));
        assert_eq!(found, Some(Validity { from, until }));
    }

    #[test]
    fn what_is_no_certificate_has_no_dates() {
        let whole = certificate((2026, 1, 1), (2027, 1, 1));
        assert!(Validity::of(&whole).is_some());
        // The dates lie within the first 150 bytes; whatever is cut off or put in place must not be read past its end.
        for cut in 0..whole.len() {
            let _dates = Validity::of(&whole[..cut]);
        }
        for at in 0..whole.len().min(200) {
            let mut broken = whole.clone();
            broken[at] ^= 0xff;
            let _dates = Validity::of(&broken);
        }
        assert_eq!(Validity::of(b""), None);
        assert_eq!(Validity::of(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
