//! The Observatory's outcomes that cost points, as findings.

use http::header::{self, HeaderName};

use crate::finding::{Finding, Rule, Severity, plain};
use crate::look::Looked;
use crate::observatory::{Outcome, Test, Verdict, joined};

const SERVE: &str =
    "Mainstay sends it with every answer; what stands in front of it must not take it away";

/// Findings of the tests; cookies and scripts are told one by one elsewhere.
pub(crate) fn list(looked: &Looked, verdict: &Verdict) -> Vec<Finding> {
    let told = verdict.outcomes.iter().filter_map(|(test, outcome)| {
        let rule = rule(*test, *outcome)?;
        Some(rule.at(looked.url.as_str(), evidence(looked, *test)))
    });
    told.collect()
}

/// Points that were lost and that no finding explains: cookies and scripts are judged by rules of their own, which need not
/// see what the Observatory does.
pub(crate) fn rest(looked: &Looked, verdict: &Verdict, found: &[Finding]) -> Vec<Finding> {
    let lost = verdict.outcomes.iter().filter(|(test, outcome)| {
        let is_told = found.iter().any(|finding| explains(*test, *outcome, finding.id));
        outcome.points() < 0 && !is_told
    });
    let told = lost.map(|(test, outcome)| {
        let (title, fix) = match test {
            Test::Cookies => (
                "The Observatory takes points for a cookie",
                "Let the app set every cookie with Secure and SameSite, those of sessions with HttpOnly",
            ),
            Test::Integrity => (
                "The Observatory takes points for a script that is loaded from elsewhere, or in a way that may be",
                "Name the site's own scripts by their path alone, others by https:// and with integrity=\"sha384-…\"",
            ),
            _ => ("The Observatory takes points for it", "See what its documentation says of this test"),
        };
        let rule = Rule { id: outcome.as_str(), severity: severity(*outcome), title, fix };
        rule.at(looked.url.as_str(), test.as_str())
    });
    told.collect()
}

/// Whether a finding is about what a test takes points for.
fn explains(test: Test, outcome: Outcome, id: &str) -> bool {
    id == outcome.as_str()
        || match test {
            Test::Cookies => id.starts_with("cookie-") || id.starts_with("session-cookie-"),
            Test::Integrity => matches!(id, "script-without-integrity" | "mixed-content-active"),
            Test::Cors => id.starts_with("cors-"),
            _ => false,
        }
}

fn severity(outcome: Outcome) -> Severity {
    match outcome.points() {
        ..-20 => Severity::High,
        -20..-5 => Severity::Medium,
        _ => Severity::Low,
    }
}

fn rule(test: Test, outcome: Outcome) -> Option<Rule> {
    let (title, fix) = match test {
        Test::Csp => csp(outcome)?,
        Test::Hsts => hsts(outcome)?,
        Test::Redirection => redirection(outcome)?,
        Test::Referrer if outcome.points() < 0 => (
            "Other sites are told the full address of pages",
            "[headers] referrer = \"strict-origin-when-cross-origin\"",
        ),
        Test::ContentType if outcome.points() < 0 => {
            ("Browsers may guess what a file is (no X-Content-Type-Options: nosniff)", SERVE)
        }
        Test::Frame if outcome.points() < 0 => {
            ("Any site may show this one in a frame", "[headers] frame = \"deny\"")
        }
        Test::Resource if outcome.points() < 0 => (
            "Cross-Origin-Resource-Policy says nothing that a browser knows",
            "[headers] resource = \"same-origin\"",
        ),
        _ => return None,
    };
    Some(Rule { id: outcome.as_str(), severity: severity(outcome), title, fix })
}

fn csp(outcome: Outcome) -> Option<(&'static str, &'static str)> {
    const ENFORCE: &str = "[headers] csp = \"enforce\"";
    Some(match outcome {
        Outcome::CspMissing => ("No Content-Security-Policy is sent", ENFORCE),
        Outcome::CspReportOnly => {
            ("The Content-Security-Policy is reported and not enforced", ENFORCE)
        }
        Outcome::CspInvalid => ("The Content-Security-Policy cannot be read", ENFORCE),
        Outcome::CspUnsafeInline => (
            "The Content-Security-Policy lets scripts of anywhere run, or those that are injected",
            "Leave the policy to Mainstay (nonces and hashes): [headers] csp = \"enforce\", and take the app's own policy away",
        ),
        Outcome::CspUnsafeEval => (
            "The Content-Security-Policy lets text become code ('unsafe-eval')",
            "Take 'unsafe-eval' out of the app's own policy",
        ),
        Outcome::CspInsecureScheme | Outcome::CspInsecurePassive => (
            "The Content-Security-Policy lets a page by https load by http",
            "Take http: sources out of the policy: [headers.allow] takes https://host",
        ),
        _ => return None,
    })
}

fn hsts(outcome: Outcome) -> Option<(&'static str, &'static str)> {
    Some(match outcome {
        Outcome::HstsNoHttps => {
            ("The site is not reached by https", "[tls] cert = \"…\" and key = \"…\"")
        }
        Outcome::HstsMissing => (
            "Browsers are not told to use https only (no Strict-Transport-Security)",
            "[headers] hsts = \"year\"",
        ),
        Outcome::HstsShort => (
            "Browsers are told to use https only for less than six months",
            "[headers] hsts = \"year\"",
        ),
        Outcome::HstsInvalid => {
            ("Strict-Transport-Security cannot be read", "[headers] hsts = \"year\"")
        }
        _ => return None,
    })
}

fn redirection(outcome: Outcome) -> Option<(&'static str, &'static str)> {
    const FIX: &str = "Serve both from one Mainstay with a certificate ([tls] cert, key): it sends plain http on to https at once";
    Some(match outcome {
        Outcome::RedirectionMissing | Outcome::RedirectionNotToHttps => {
            ("Who asks by http is not brought to https", FIX)
        }
        Outcome::RedirectionLate => ("Who asks by http is sent on by http first", FIX),
        Outcome::RedirectionOffHost => {
            ("Who asks by http is sent to another name before https of this one is known", FIX)
        }
        _ => return None,
    })
}

fn evidence(looked: &Looked, test: Test) -> String {
    let name = match test {
        Test::Csp => header::CONTENT_SECURITY_POLICY,
        Test::Hsts => header::STRICT_TRANSPORT_SECURITY,
        Test::Referrer => header::REFERRER_POLICY,
        Test::ContentType => header::X_CONTENT_TYPE_OPTIONS,
        Test::Frame => header::X_FRAME_OPTIONS,
        Test::Resource => HeaderName::from_static("cross-origin-resource-policy"),
        _ => {
            let route: Vec<_> = looked.seen.route.iter().map(plain).collect();
            return route.join(" → ");
        }
    };
    match joined(&looked.seen.page.headers, &name) {
        Some(value) => format!("{name}: {value}"),
        None => format!("no {name}"),
    }
}
