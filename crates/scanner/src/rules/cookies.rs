//! Flags that cookies lack, a finding for each. Never tells a value.

use crate::finding::{Finding, Rule, Severity};
use crate::look::Looked;

const SECURE: Rule = Rule {
    id: "cookie-without-secure",
    severity: Severity::Medium,
    title: "A cookie goes along by plain http, where anybody reads it",
    fix: "Let the app set it with Secure",
};
const SESSION_SECURE: Rule = Rule {
    id: "session-cookie-without-secure",
    severity: Severity::High,
    title: "A session's cookie goes along by plain http, where anybody reads it",
    fix: "Let the app set it with Secure",
};
const SESSION_READABLE: Rule = Rule {
    id: "session-cookie-without-httponly",
    severity: Severity::High,
    title: "Scripts can read a session's cookie",
    fix: "Let the app set it with HttpOnly",
};
const SAME_SITE: Rule = Rule {
    id: "cookie-without-samesite",
    severity: Severity::Low,
    title: "A cookie goes along with requests that other sites make, or says SameSite in no way that a browser knows",
    fix: "Let the app set it with SameSite=Lax",
};

pub(crate) fn list(looked: &Looked) -> Vec<Finding> {
    let mut findings = Vec::new();
    for cookie in looked.seen.jar.cookies() {
        let mut add = |rule: Rule| findings.push(rule.at(looked.url.as_str(), &*cookie.name));
        match (cookie.is_secure, cookie.is_session()) {
            (false, true) => add(SESSION_SECURE),
            (false, false) => add(SECURE),
            (true, _) => {}
        }
        if cookie.is_session() && !cookie.is_http_only {
            add(SESSION_READABLE);
        }
        if cookie.same_site.is_none() {
            add(SAME_SITE);
        }
    }
    findings
}
