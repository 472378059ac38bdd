//! A body with reports taken apart, whatever its media type said: one object or a list, the old envelope, the new one, or none; judges nothing.

use serde_json::{Map, Value};

use super::types;

type Object = Map<String, Value>;

/// One report as it came.
#[derive(Debug)]
pub(super) struct Report<'a> {
    /// What kind it says it is; `csp-violation` where only that can be meant.
    pub(super) sent_type: &'a str,
    /// The Reporting API's `url`; empty when there was none.
    pub(super) url: &'a str,
    /// What the kind says; none where the envelope was empty.
    pub(super) body: Option<&'a Object>,
}

/// The reports of a body.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    pub(super) reports: Vec<Report<'a>>,
    /// Entries of the list that are no reports.
    pub(super) malformed: usize,
}

/// Reads the body.
pub(super) fn parse(body: &[u8]) -> Result<Value, &'static str> {
    match serde_json::from_slice(body) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        Ok(_) => Err("is not a report or a list of reports"),
        Err(_) => Err("is not JSON"),
    }
}

/// The reports in it. A single one that is none counts as malformed too.
pub(super) fn list_reports(parsed: &Value) -> Found<'_> {
    let entries = match parsed {
        Value::Array(entries) => entries.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut found = Found::default();
    for entry in entries {
        match entry.as_object().and_then(report) {
            Some(report) => found.reports.push(report),
            None => found.malformed += 1,
        }
    }
    found
}

fn report(entry: &Object) -> Option<Report<'_>> {
    let csp = |body| Report { sent_type: types::CSP_VIOLATION, url: "", body: Some(body) };
    if let Some(body) = find(entry, "cspreport").and_then(Value::as_object) {
        return Some(csp(body));
    }
    if let Some(sent_type) = text(entry, &["type"]) {
        let body = find(entry, "body").and_then(Value::as_object);
        return Some(Report { sent_type, url: text(entry, &["url"]).unwrap_or(""), body });
    }
    text(entry, &["blockeduri", "blockedurl", "violateddirective", "effectivedirective"])
        .map(|_| csp(entry))
}

/// The first of these names that has a text which is not empty.
pub(super) fn text<'a>(object: &'a Object, names: &[&str]) -> Option<&'a str> {
    names
        .iter()
        .find_map(|name| find(object, name).and_then(Value::as_str).filter(|text| !text.is_empty()))
}

/// A whole number, sent as one or as text.
pub(super) fn number(object: &Object, name: &str) -> Option<i64> {
    match find(object, name)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// `true`, nothing else.
pub(super) fn is_set(object: &Object, name: &str) -> bool {
    find(object, name) == Some(&Value::Bool(true))
}

/// By a name in small letters without separators: `blocked-uri`, `blockedURI` and `blocked_uri` are one.
fn find<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| is_named(key, name)).map(|(_, value)| value)
}

fn is_named(key: &str, name: &str) -> bool {
    let letters = key.bytes().filter(|b| !matches!(b, b'-' | b'_'));
    letters.map(|b| b.to_ascii_lowercase()).eq(name.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types_in(body: &str) -> (Vec<String>, usize) {
        let parsed = parse(body.as_bytes()).expect("JSON");
        let found = list_reports(&parsed);
        (found.reports.iter().map(|r| r.sent_type.to_owned()).collect(), found.malformed)
    }

    #[test]
    fn every_envelope_is_known() {
        for (body, types) in [
            (r#"{"csp-report":{"blocked-uri":"inline"}}"#, vec!["csp-violation"]),
            (r#"[{"csp-report":{}},{"csp-report":{}}]"#, vec!["csp-violation"; 2]),
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
        assert_eq!(types_in(r#"[1,null,"x",[],{},{"type":7},{"csp-report":[]}]"#).1, 7);
        for body in ["", "{", "1", "null", "\"x\"", "\u{0}"] {
            assert!(parse(body.as_bytes()).is_err(), "{body:?}");
        }
        assert!(parse("[".repeat(60_000).as_bytes()).is_err());
    }

    #[test]
    fn one_name_has_many_spellings() {
        for key in ["blocked-uri", "blockedURI", "blocked_uri", "Blocked-URI"] {
            let object = Object::from_iter([(key.to_owned(), Value::from("eval"))]);
            assert_eq!(text(&object, &["blockedurl", "blockeduri"]), Some("eval"), "{key}");
        }
        let object = Object::from_iter([("lineNumber".to_owned(), Value::from("7"))]);
        assert_eq!((number(&object, "linenumber"), number(&object, "line")), (Some(7), None));
    }
}
