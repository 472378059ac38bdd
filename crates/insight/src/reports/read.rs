//! A body with reports taken apart, whatever its media type said: one object or a list, the old envelope, the new one, or none; judges nothing.
//!
//! What is kept is bounded whatever a stranger writes: so many reports, so many fields of each, nothing that lies deeper.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::types;
use crate::wire::{Field, Key, Object as Scalars};

/// Most fields of a report's envelope that are kept.
const ENTRIES_KEPT_MAX: usize = 64;

/// The scalars of an object, by their names as they came.
type Object<'a> = [(Cow<'a, str>, Field<'a>)];

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent<'a> {
    kept: Vec<Entry<'a>>,
    total: usize,
}

/// An entry of the list as it came; without any field when it is no object.
#[derive(Debug, Default)]
struct Entry<'a> {
    fields: Vec<(Cow<'a, str>, Field<'a>)>,
    body: Scalars<'a>,
    csp_report: Scalars<'a>,
}

/// One report as it came.
#[derive(Debug)]
pub(super) struct Report<'a> {
    /// What kind it says it is; `csp-violation` where only that can be meant.
    pub(super) sent_type: &'a str,
    /// The Reporting API's `url`; empty when there was none.
    pub(super) url: &'a str,
    /// What the kind says; none where the envelope was empty.
    pub(super) body: Option<&'a Object<'a>>,
}

/// The reports of a body.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    pub(super) reports: Vec<Report<'a>>,
    /// Entries of the list that are no reports.
    pub(super) malformed: usize,
    /// Entries beyond those that are read.
    pub(super) beyond: usize,
}

/// Reads the body, of a list the first `entries_max`.
pub(super) fn parse(body: &[u8], entries_max: usize) -> Result<Sent<'_>, &'static str> {
    if !matches!(body.trim_ascii_start().first(), Some(b'[' | b'{')) {
        let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
        return Err(if is_json { "is not a report or a list of reports" } else { "is not JSON" });
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let sent = Entries(entries_max).deserialize(&mut json);
    sent.and_then(|sent| json.end().map(|()| sent)).map_err(|_| "is not JSON")
}

/// The reports in it. A single one that is none counts as malformed too.
pub(super) fn list_reports<'a>(sent: &'a Sent<'a>) -> Found<'a> {
    let mut found = Found { beyond: sent.total - sent.kept.len(), ..Found::default() };
    for entry in &sent.kept {
        match report(entry) {
            Some(report) => found.reports.push(report),
            None => found.malformed += 1,
        }
    }
    found
}

fn report<'a>(entry: &'a Entry<'a>) -> Option<Report<'a>> {
    let csp = |body| Report { sent_type: types::CSP_VIOLATION, url: "", body: Some(body) };
    if let Some(body) = scalars(&entry.csp_report).filter(|body| !body.is_empty()) {
        return Some(csp(body));
    }
    if let Some(sent_type) = text(&entry.fields, &["type"]) {
        let url = text(&entry.fields, &["url"]).unwrap_or("");
        return Some(Report { sent_type, url, body: scalars(&entry.body) });
    }
    text(&entry.fields, &["blockeduri", "blockedurl", "violateddirective", "effectivedirective"])
        .map(|_| csp(&entry.fields))
}

fn scalars<'a>(object: &'a Scalars<'a>) -> Option<&'a Object<'a>> {
    match object {
        Scalars::Entries { kept, .. } => Some(kept),
        Scalars::Missing | Scalars::Wrong => None,
    }
}

/// The first of these names that has a text which is not empty.
pub(super) fn text<'a>(object: &'a Object<'_>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| match find(object, name)? {
        Field::Text(text) if !text.is_empty() => Some(&**text),
        _ => None,
    })
}

/// A whole number, sent as one or as text.
pub(super) fn number(object: &Object<'_>, name: &str) -> Option<i64> {
    match find(object, name)? {
        Field::Number(number) if number.fract() == 0.0 => Some(*number as i64),
        Field::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// `true`, nothing else.
pub(super) fn is_set(object: &Object<'_>, name: &str) -> bool {
    find(object, name) == Some(&Field::Bool(true))
}

/// By a name in small letters without separators: `blocked-uri`, `blockedURI` and `blocked_uri` are one.
fn find<'a, 'b>(object: &'a Object<'b>, name: &str) -> Option<&'a Field<'b>> {
    object.iter().find(|(key, _)| is_named(key, name)).map(|(_, value)| value)
}

fn is_named(key: &str, name: &str) -> bool {
    let letters = key.bytes().filter(|b| !matches!(b, b'-' | b'_'));
    letters.map(|b| b.to_ascii_lowercase()).eq(name.bytes())
}

/// Reads a list, or one entry as a list of it.
struct Entries(usize);

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = Sent<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Sent<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Sent<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report or a list of reports")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Sent<'de>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.0 {
            match list.next_element()? {
                Some(entry) => kept.push(entry),
                None => return Ok(Sent { total: kept.len(), kept }),
            }
        }
        let mut total = kept.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            total += 1;
        }
        Ok(Sent { kept, total })
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Sent<'de>, A::Error> {
        Ok(Sent { kept: vec![EntryVisitor.visit_map(object)?], total: 1 })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Entry<'de>, E> {
        Ok(Entry::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Entry<'de>, E> {
        Ok(Entry::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Entry<'de>, E> {
        Ok(Entry::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Entry<'de>, E> {
        Ok(Entry::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Entry<'de>, E> {
        Ok(Entry::default())
    }

    fn visit_unit<E>(self) -> Result<Entry<'de>, E> {
        Ok(Entry::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entry<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Entry::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Entry<'de>, A::Error> {
        let mut entry = Entry::default();
        while let Some(Key(key)) = object.next_key()? {
            if is_named(&key, "body") {
                entry.body = object.next_value()?;
            } else if is_named(&key, "cspreport") {
                entry.csp_report = object.next_value()?;
            } else if entry.fields.len() < ENTRIES_KEPT_MAX {
                entry.fields.push((key, object.next_value()?));
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types_in(body: &str) -> (Vec<String>, usize) {
        let parsed = parse(body.as_bytes(), 100).expect("JSON");
        let found = list_reports(&parsed);
        (found.reports.iter().map(|r| r.sent_type.to_owned()).collect(), found.malformed)
    }

    #[test]
    fn every_envelope_is_known() {
        for (body, types) in [
            (r#"{"csp-report":{"blocked-uri":"inline"}}"#, vec!["csp-violation"]),
            (r#"[{"csp-report":{"a":1}},{"csp-report":{"a":1}}]"#, vec!["csp-violation"; 2]),
            (r#"{"blocked-uri":"inline"}"#, vec!["csp-violation"]),
            (r#"{"type":"crash","body":{"reason":"oom"}}"#, vec!["crash"]),
            (r#"[{"type":"x","url":"https://h/","body":null},{"type":"coop"}]"#, vec!["x", "coop"]),
            ("[]", vec![]),
        ] {
            assert_eq!(
                types_in(body),
                (types.iter().map(|t| (*t).to_owned()).collect(), 0),
                "{body}"
            );
        }
        assert_eq!(
            types_in(r#"[1,null,"x",[],{},{"type":7},{"csp-report":[]},{"csp-report":{}}]"#).1,
            8
        );
        for body in ["", "{", "1", "null", "\"x\"", "\u{0}"] {
            assert!(parse(body.as_bytes(), 100).is_err(), "{body:?}");
        }
        for deep in ["[", "{\"body\":", "[{\"a\":"] {
            assert!(parse(deep.repeat(60_000).as_bytes(), 100).is_err(), "{deep}");
        }
        assert_eq!(
            parse(b"1", 100).expect_err("no report"),
            "is not a report or a list of reports"
        );
    }

    #[test]
    fn what_is_kept_of_a_body_is_bounded() {
        let list = format!("[{}]", vec!["{\"type\":\"x\"}"; 30].join(","));
        let sent = parse(list.as_bytes(), 10).expect("JSON");
        let found = list_reports(&sent);
        assert_eq!((found.reports.len(), found.malformed, found.beyond), (10, 0, 20));
        // What is beyond must be JSON all the same.
        assert!(parse(list.replace("}]", "}").as_bytes(), 10).is_err());

        let fields: Vec<_> = (0..500).map(|n| format!("\"k{n}\":{{\"a\":[1]}}")).collect();
        let fields = fields.join(",");
        let wide = format!("[{{\"type\":\"x\",\"body\":{{{fields}}},{fields}}}]");
        let sent = parse(wide.as_bytes(), 10).expect("JSON");
        let report = &list_reports(&sent).reports[0];
        let kept = (sent.kept[0].fields.len(), report.body.map(<[_]>::len));
        assert_eq!(kept, (ENTRIES_KEPT_MAX, Some(64)));
    }

    #[test]
    fn one_name_has_many_spellings() {
        for key in ["blocked-uri", "blockedURI", "blocked_uri", "Blocked-URI"] {
            let object = [(key.into(), Field::Text("eval".into()))];
            assert_eq!(text(&object, &["blockedurl", "blockeduri"]), Some("eval"), "{key}");
        }
        let object = [("lineNumber".into(), Field::Text("7".into()))];
        assert_eq!((number(&object, "linenumber"), number(&object, "line")), (Some(7), None));
    }
}
