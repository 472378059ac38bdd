//! What pages load, where they send what is typed, and what they say by mistake.

use url::Url;

use crate::finding::{Finding, Rule, Severity, plain};
use crate::page::Page;

const MIXED_ACTIVE: Rule = Rule {
    id: "mixed-content-active",
    severity: Severity::High,
    title: "A page by https loads a script, style or frame by http: browsers block it, or somebody changes it",
    fix: "Load it by https",
};
const MIXED_PASSIVE: Rule = Rule {
    id: "mixed-content-passive",
    severity: Severity::Low,
    title: "A page by https loads an image or media by http",
    fix: "Load it by https",
};
const UNSEALED: Rule = Rule {
    id: "script-without-integrity",
    severity: Severity::Medium,
    title: "Another site's script runs in the page, whatever it becomes",
    fix: "Serve it from the site itself, or give it integrity=\"sha384-…\" and crossorigin",
};
const FORM: Rule = Rule {
    id: "form-to-http",
    severity: Severity::High,
    title: "A form sends what is typed by plain http",
    fix: "Send it to https",
};
const PASSWORD: Rule = Rule {
    id: "password-by-http",
    severity: Severity::Critical,
    title: "A password is asked for on a page that came by plain http",
    fix: "[tls] cert = \"…\" and key = \"…\": http is then sent on to https",
};
const TOKEN: Rule = Rule {
    id: "token-in-url",
    severity: Severity::High,
    title: "A link carries a signed token (JWT): it ends up in logs and in what other sites are told",
    fix: "Carry it in a cookie with HttpOnly, or in a header",
};
const LISTING: Rule = Rule {
    id: "directory-listing",
    severity: Severity::Medium,
    title: "A folder shows what is in it",
    fix: "Put an index.html there; Mainstay itself lists no folder",
};
const TRACE: Rule = Rule {
    id: "error-told",
    severity: Severity::Medium,
    title: "A page shows an error with its trace: paths, libraries, code",
    fix: "Run the app in production mode, with error pages of its own",
};
const MAP: Rule = Rule {
    id: "source-map",
    severity: Severity::Medium,
    title: "The source code of the site's scripts can be read",
    fix: "Do not publish .map files with the site",
};

/// How the traces of common languages begin.
const TRACES: [&str; 8] = [
    "Traceback (most recent call last)",
    "<b>Fatal error</b>:",
    "<b>Warning</b>:  ",
    "Exception in thread \"",
    "\tat java.base/",
    "Unhandled exception at ",
    "at Object.<anonymous> (",
    "ActionController::RoutingError",
];
const LISTINGS: [&str; 4] = [
    "<title>Index of /",
    "<title>Directory listing for /",
    "<h1>Index of /",
    "[To Parent Directory]",
];

/// What a page says and loads.
pub(crate) fn list(url: &Url, page: &Page, body: &[u8]) -> Vec<Finding> {
    let at = url.as_str();
    let is_https = url.scheme() == "https";
    let mut findings = Vec::new();
    for loaded in &page.loaded {
        let Ok(target) = url.join(&loaded.url) else { continue };
        if is_https && target.scheme() == "http" {
            let rule = if loaded.is_active { MIXED_ACTIVE } else { MIXED_PASSIVE };
            findings.push(rule.at(at, format!("{}: {}", loaded.by, plain(&target))));
        }
        let is_sealed = loaded.integrity.as_deref().is_some_and(|text| !text.trim().is_empty());
        let is_web = matches!(target.scheme(), "http" | "https");
        if loaded.by == "script" && is_web && target.host() != url.host() && !is_sealed {
            findings.push(UNSEALED.at(at, plain(&target)));
        }
    }
    for action in &page.forms {
        let target = url.join(action).ok().filter(|target| target.scheme() == "http" && is_https);
        findings.extend(target.map(|target| FORM.at(at, plain(&target))));
    }
    if page.has_password && !is_https {
        findings.push(PASSWORD.at(at, "<input type=password>"));
    }
    let tokens = page.links.iter().filter(|link| has_token(link));
    findings.extend(tokens.take(1).map(|link| {
        let name = link.split(['?', '#']).next().unwrap_or_default();
        TOKEN.at(at, format!("{name}?…eyJ…"))
    }));
    let text = String::from_utf8_lossy(body);
    let listing = LISTINGS.iter().find(|mark| text.contains(**mark));
    findings.extend(listing.map(|mark| LISTING.at(at, *mark)));
    let trace = TRACES.iter().find(|mark| text.contains(**mark));
    findings.extend(trace.map(|mark| TRACE.at(at, *mark)));
    findings
}

/// Three parts of base64url, of which the first two are JSON.
fn has_token(link: &str) -> bool {
    let Some((_, query)) = link.split_once(['?', '#']) else { return false };
    query.split(['&', '=', '#']).any(|value| {
        let mut parts = value.split('.');
        let begins = |part: Option<&str>| part.is_some_and(|part| part.starts_with("eyJ"));
        begins(parts.next())
            && begins(parts.next())
            && parts.next().is_some_and(|part| !part.is_empty())
    })
}

/// Where a script says its source is.
pub(crate) fn find_map(url: &Url, script: &[u8]) -> Option<Url> {
    let text = String::from_utf8_lossy(script);
    let (_, rest) = text.rsplit_once("//# sourceMappingURL=")?;
    let name = rest.split_whitespace().next()?;
    url.join(name).ok().filter(|map| map.scheme() != "data")
}

/// A finding, when it is a source map. A long one may begin with either of its parts.
pub(crate) fn judge_map(url: &Url, body: &[u8], is_cut: bool) -> Option<Finding> {
    let text = String::from_utf8_lossy(body);
    let [mappings, sources] = ["\"mappings\"", "\"sources\""].map(|name| text.contains(name));
    let has_parts = if is_cut { mappings || sources } else { mappings && sources };
    let is_map = text.trim_start().starts_with('{') && has_parts;
    is_map.then(|| MAP.at(url.as_str(), length(body, is_cut)))
}

/// How long it is, as far as it was read.
pub(crate) fn length(body: &[u8], is_cut: bool) -> String {
    format!("{}{} bytes", if is_cut { "more than " } else { "" }, body.len())
}
