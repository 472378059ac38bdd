//! A report's words as a row: scrubbed, shortened, with what makes it like others; knows nothing of limits.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_base::Timestamp;
use mainstay_store::report::Row;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::address::{clean, likeness};
use super::fields::Fields;
use crate::errors::normalise;
use crate::scrub::{scrub_error_text, scrub_text};

/// Goes into every fingerprint: rows made by another version never mix with these.
const VERSION: u8 = 1;
const NAME_BYTES_MAX: usize = 100;
const MESSAGE_BYTES_MAX: usize = 512;
/// What the row says that stands for all further kinds of its type.
const FURTHER: &str = "Further reports, of more kinds than are told apart.";

/// What is known of a request, for each of its rows.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) site: &'a Arc<str>,
    pub(super) host: Option<&'a str>,
    pub(super) received: Timestamp,
    /// Truncated already.
    pub(super) ip_address: String,
    pub(super) user_agent: Option<Box<str>>,
}

/// The row of one report.
pub(super) fn row(fields: &Fields<'_>, origin: &Origin<'_>) -> Row {
    let mut row = Row {
        site: Arc::clone(origin.site),
        fingerprint: Uuid::nil(),
        report_type: fields.report_type.into(),
        name: scrub_text(fields.name, NAME_BYTES_MAX),
        document: clean(fields.document, origin.host),
        blocked: clean(fields.blocked, origin.host),
        source: clean(fields.source, origin.host),
        line_number: fields.line,
        column_number: fields.column,
        disposition: fields.disposition.into(),
        message: scrub_error_text(&fields.message, MESSAGE_BYTES_MAX),
        user_agent: origin.user_agent.clone(),
        ip_address: origin.ip_address.clone(),
        count: 1,
        first_seen: origin.received,
        last_seen: origin.received,
    };
    row.fingerprint = fingerprint(&row);
    row
}

/// Lines and columns are left out: they move with every build, and with every visitor where a page is made on demand.
fn fingerprint(row: &Row) -> Uuid {
    let mut hash = Sha256::new();
    hash.update([VERSION]);
    let places = [&row.document, &row.blocked, &row.source].map(|place| likeness(place));
    let message = normalise(&row.message);
    let words = [&*row.report_type, &*row.disposition, &row.name, &message];
    for part in words.into_iter().chain(places.iter().map(String::as_str)) {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut print = [0; 16];
    print.copy_from_slice(&hash.finalize()[..16]);
    Builder::from_custom_bytes(print).into_uuid()
}

/// The row in which all kinds of a type are counted that are too many to be told apart.
pub(super) fn fold(row: &mut Row) {
    for text in [&mut row.name, &mut row.document, &mut row.blocked, &mut row.source] {
        text.clear();
    }
    (row.line_number, row.column_number) = (None, None);
    FURTHER.clone_into(&mut row.message);
    row.fingerprint = fingerprint(row);
}

/// Alike rows of one site and hour as one, with the words of the last.
pub(super) fn merge(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    let mut places = HashMap::new();
    let mut merged: Vec<Row> = Vec::new();
    for row in rows {
        let key = (Arc::clone(&row.site), row.hour(), row.fingerprint);
        let place = *places.entry(key).or_insert(merged.len());
        match merged.get_mut(place) {
            Some(first) => {
                let count = first.count + row.count;
                let first_seen = first.first_seen.min(row.first_seen);
                let last_seen = first.last_seen.max(row.last_seen);
                *first = Row { count, first_seen, last_seen, ..row };
            }
            None => merged.push(row),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(site: &Arc<str>, second: i64) -> Origin<'_> {
        Origin {
            site,
            host: Some("own.example"),
            received: Timestamp::from_seconds(second),
            ip_address: "203.0.113.0".into(),
            user_agent: None,
        }
    }

    fn fields<'a>(document: &'a str, message: &str) -> Fields<'a> {
        Fields {
            report_type: "csp-violation",
            name: "script-src-elem",
            document,
            blocked: "inline",
            message: message.into(),
            ..Fields::default()
        }
    }

    #[test]
    fn alike_rows_become_one_with_the_words_of_the_last() {
        let site: Arc<str> = "default".into();
        let at = |second, document| row(&fields(document, "go(1)"), &origin(&site, second));
        let rows = [
            at(10, "https://own.example/orders/1?secret"),
            at(5, "https://own.example/orders/2"),
            at(20, "https://own.example/else"),
            at(3_700, "https://own.example/orders/3"),
        ];
        let merged = merge(rows);
        let seen: Vec<_> = merged
            .iter()
            .map(|r| (&*r.document, r.count, r.first_seen.as_seconds(), r.last_seen.as_seconds()))
            .collect();
        // The last one is of the next hour.
        assert_eq!(
            seen,
            [("/orders/2", 2, 5, 10), ("/else", 1, 20, 20), ("/orders/3", 1, 3_700, 3_700)]
        );
        assert_eq!(merged[0].fingerprint, merged[2].fingerprint);
    }

    #[test]
    fn words_tell_reports_apart_and_their_secrets_are_gone() {
        let site: Arc<str> = "default".into();
        let of = |message| row(&fields("https://own.example/", message), &origin(&site, 1));
        assert_ne!(of("alert()").fingerprint, of("track()").fingerprint);
        assert_eq!(of("n = 17").fingerprint, of("n = 42").fingerprint);
        let kept = of("mail jane@example.org at https://h/x?token=sesame");
        assert!(!kept.message.contains("jane") && !kept.message.contains("sesame"), "{kept:?}");
        assert!(of(&"x".repeat(9_000)).message.len() <= MESSAGE_BYTES_MAX);
    }

    #[test]
    fn folded_rows_of_a_type_are_alike() {
        let site: Arc<str> = "default".into();
        let mut rows = [1, 2]
            .map(|n| row(&fields("https://own.example/", &"ab".repeat(n)), &origin(&site, 1)));
        rows.iter_mut().for_each(fold);
        assert_eq!(rows[0], rows[1]);
        assert_eq!((&*rows[0].report_type, &*rows[0].blocked), ("csp-violation", ""));
    }
}
