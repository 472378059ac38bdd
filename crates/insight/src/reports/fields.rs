//! What each kind of report says in which of its fields, brought to the few that are kept; still as the browser wrote them.

use super::read::{Report, is_set, number, text};
use super::types;

/// A report's words. Nothing is scrubbed yet.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) report_type: &'static str,
    /// The directive, feature or kind of fault.
    pub(super) name: &'a str,
    /// Page it happened on.
    pub(super) document: &'a str,
    /// What was blocked or failed.
    pub(super) blocked: &'a str,
    /// Script it came from.
    pub(super) source: &'a str,
    pub(super) line: Option<i32>,
    pub(super) column: Option<i32>,
    pub(super) disposition: &'static str,
    pub(super) message: String,
}

/// Reads a report.
pub(super) fn read<'a>(report: &Report<'a>) -> Fields<'a> {
    let report_type = types::known(report.sent_type);
    let words = |names: &[&str]| report.body.and_then(|body| text(body, names)).unwrap_or("");
    let place = |name: &str| {
        let found = report.body.and_then(|body| number(body, name));
        found.and_then(|n| i32::try_from(n).ok()).filter(|n| *n > 0)
    };
    let mut fields = Fields {
        report_type,
        name: name(report, report_type, &words),
        document: words(&["documenturl", "documenturi"]),
        blocked: words(&["blockedurl", "blockeduri", "subresourceurl"]),
        source: words(&["sourcefile"]),
        line: place("linenumber"),
        column: place("columnnumber"),
        disposition: disposition(report, report_type, &words),
        message: message(report, report_type, &words),
    };
    if report_type == types::NETWORK_ERROR {
        // Its `url` is the request that failed; the page is the one that made it (W3C Network Error Logging §6).
        fields.blocked = report.url;
        fields.document = words(&["referrer"]);
    } else if fields.document.is_empty() {
        fields.document = report.url;
    }
    fields
}

fn name<'a>(
    report: &Report<'a>,
    report_type: &str,
    words: &impl Fn(&[&str]) -> &'a str,
) -> &'a str {
    match report_type {
        types::CSP_VIOLATION => {
            // CSP 2 sent the whole directive with its sources, and a nonce may be among them.
            let directive = words(&["effectivedirective", "violateddirective"]);
            directive.split_ascii_whitespace().next().unwrap_or("")
        }
        types::CRASH => words(&["reason"]),
        types::COOP | types::COEP | types::NETWORK_ERROR => words(&["type"]),
        types::CSP_HASH | types::INTEGRITY => words(&["destination", "type"]),
        types::OTHER => report.sent_type,
        _ => words(&["featureid", "policyid", "id"]),
    }
}

fn disposition<'a>(
    report: &Report<'_>,
    report_type: &str,
    words: &impl Fn(&[&str]) -> &'a str,
) -> &'static str {
    match words(&["disposition"]) {
        "enforce" => "enforce",
        "report" | "reporting" => "report",
        _ if report_type == types::INTEGRITY => {
            let reporting = report.body.is_some_and(|body| is_set(body, "reportonly"));
            if reporting { "report" } else { "enforce" }
        }
        _ => "",
    }
}

fn message<'a>(
    report: &Report<'_>,
    report_type: &str,
    words: &impl Fn(&[&str]) -> &'a str,
) -> String {
    match report_type {
        types::CSP_VIOLATION => words(&["sample", "scriptsample"]).to_owned(),
        types::CSP_HASH => words(&["hash"]).to_owned(),
        types::COOP => join([words(&["property"]), words(&["effectivepolicy"])]),
        types::COEP => words(&["destination"]).to_owned(),
        types::NETWORK_ERROR => {
            let status = report.body.and_then(|body| number(body, "statuscode"));
            let status = status.filter(|code| *code > 0).map(|code| code.to_string());
            let status = status.as_deref().unwrap_or("");
            join([words(&["phase"]), words(&["protocol"]), words(&["method"]), status])
        }
        _ => words(&["message", "reason"]).to_owned(),
    }
}

fn join<const N: usize>(parts: [&str; N]) -> String {
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::read::{list_reports, parse};
    use super::*;

    /// Type, name, document, blocked, source, disposition, message.
    fn check(body: &str, expected: [&str; 7]) {
        let sent = parse(body.as_bytes(), 100).expect("JSON");
        let f = read(&list_reports(&sent).reports[0]);
        let seen =
            [f.report_type, f.name, f.document, f.blocked, f.source, f.disposition, &f.message];
        assert_eq!(seen, expected, "{body}");
    }

    #[test]
    fn each_type_says_it_elsewhere() {
        check(
            r#"{"csp-report":{"violated-directive":"script-src 'nonce-abc' x","script-sample":"a()","document-uri":"d"}}"#,
            ["csp-violation", "script-src", "d", "", "", "", "a()"],
        );
        check(
            r#"{"type":"csp-hash","url":"u","body":{"document_url":"d","subresource_url":"s","hash":"sha256-x","destination":"script","type":"subresource"}}"#,
            ["csp-hash", "script", "d", "s", "", "", "sha256-x"],
        );
        check(
            r#"{"type":"csp-hash","body":{"documentURL":"d","subresourceURL":"s","hash":"sha256-x","type":"subresource"}}"#,
            ["csp-hash", "subresource", "d", "s", "", "", "sha256-x"],
        );
        check(
            r#"{"type":"deprecation","url":"u","body":{"id":"WebSQL","message":"m","sourceFile":"s","anticipatedRemoval":null}}"#,
            ["deprecation", "WebSQL", "u", "", "s", "", "m"],
        );
        check(
            r#"{"type":"crash","url":"u","body":{"reason":"oom"}}"#,
            ["crash", "oom", "u", "", "", "", "oom"],
        );
        check(
            r#"{"type":"coop","url":"u","body":{"disposition":"reporting","effectivePolicy":"same-origin","type":"access-from-coop-page-to-other","property":"postMessage"}}"#,
            [
                "coop",
                "access-from-coop-page-to-other",
                "u",
                "",
                "",
                "report",
                "postMessage same-origin",
            ],
        );
        check(
            r#"{"type":"coep","url":"u","body":{"type":"corp","blockedURL":"b","destination":"image","disposition":"enforce"}}"#,
            ["coep", "corp", "u", "b", "", "enforce", "image"],
        );
        check(
            r#"{"type":"permissions-policy-violation","url":"u","body":{"featureId":"camera","message":"m","disposition":"enforce"}}"#,
            ["permissions-policy-violation", "camera", "u", "", "", "enforce", "m"],
        );
        check(
            r#"{"type":"integrity-violation","url":"u","body":{"documentURL":"d","blockedURL":"b","destination":"script","reportOnly":true}}"#,
            ["integrity-violation", "script", "d", "b", "", "report", ""],
        );
        check(
            r#"{"type":"network-error","url":"u","body":{"type":"tcp.reset","phase":"connection","protocol":"h2","method":"GET","status_code":0,"referrer":"r"}}"#,
            ["network-error", "tcp.reset", "r", "u", "", "", "connection h2 GET"],
        );
        check(
            r#"{"type":"of-the-future","url":"u","body":{"message":"m","disposition":"maybe"}}"#,
            ["other", "of-the-future", "u", "", "", "", "m"],
        );
    }

    #[test]
    fn lines_are_small_positive_numbers() {
        for (sent, line) in
            [("7", Some(7)), ("0", None), ("-1", None), ("9e99", None), ("null", None)]
        {
            let body = format!(r#"{{"csp-report":{{"line-number":{sent},"blocked-uri":"x"}}}}"#);
            let parsed = parse(body.as_bytes(), 100).expect("JSON");
            assert_eq!(read(&list_reports(&parsed).reports[0]).line, line, "{sent}");
        }
    }
}
