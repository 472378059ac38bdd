//! What a Content-Security-Policy lets through. Reads policies by `policy`.

use http::header;

use super::Seen;
use super::headers::joined;
use super::outcome::Outcome;
use super::policy::Policy;

const BROAD: [&str; 8] =
    ["ftp:", "http:", "https:", "*", "http://*", "http://*.*", "https://*", "https://*.*"];
const UNSAFE: [&str; 2] = ["'unsafe-inline'", "data:"];
const PASSIVE: [&str; 2] = ["img-src", "media-src"];
const PROOFS: [&str; 4] = ["'sha256-", "'sha384-", "'sha512-", "'nonce-"];

/// What came of it.
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    /// A policy that can be read says who may frame the page.
    pub(super) names_ancestors: bool,
}

pub(super) fn judge(seen: &Seen) -> Judged {
    let header = joined(&seen.page.headers, &header::CONTENT_SECURITY_POLICY);
    let header: Vec<_> = header.into_iter().collect();
    let markup = &seen.markup.policies;
    let all: Vec<_> = header.iter().chain(markup).cloned().collect();
    let without = |outcome| Judged { outcome, names_ancestors: false };
    let Ok(policy) = Policy::parse(&all) else { return without(Outcome::CspInvalid) };
    let of_header = Policy::parse(&header).unwrap_or_default();
    let of_markup = Policy::parse_markup(markup).unwrap_or_default();
    if of_header.is_empty() && of_markup.is_empty() {
        let reported = joined(&seen.page.headers, &header::CONTENT_SECURITY_POLICY_REPORT_ONLY);
        return without(match reported.filter(|text| !text.is_empty()) {
            Some(_) => Outcome::CspReportOnly,
            None => Outcome::CspMissing,
        });
    }
    let outcome = weigh(&policy, seen.is_https);
    let names_ancestors = policy.get("frame-ancestors").is_some();
    Judged { outcome: mark_repeated(&policy, outcome), names_ancestors }
}

fn mark_repeated(policy: &Policy, outcome: Outcome) -> Outcome {
    let passes = matches!(
        outcome,
        Outcome::CspNoUnsafe
            | Outcome::CspNoneByDefault
            | Outcome::CspUnsafeStyle
            | Outcome::CspInsecurePassive
    );
    if passes && policy.has_repeated { Outcome::CspRepeated } else { outcome }
}

/// The first weakness, in the order of the Observatory's own checks.
fn weigh(policy: &Policy, is_https: bool) -> Outcome {
    let mut policy = policy.clone();
    // Where a directive falls back to `default-src`, what is taken from it is taken from that.
    for name in ["script-src", "style-src"] {
        if let Some(sources) = policy.effective_mut(name)
            && has_proof(sources)
        {
            sources.retain(|source| source != "'unsafe-inline'");
        }
    }
    let is_dynamic = |sources: &Vec<String>| sources.iter().any(|s| s == "'strict-dynamic'");
    if let Some(sources) = policy.effective_mut("script-src")
        && is_dynamic(sources)
    {
        if !has_proof(sources) {
            return Outcome::CspInvalid;
        }
        sources.retain(|source| !is_ignored_when_dynamic(source));
    }
    let [script, style, object] =
        ["script-src", "style-src", "object-src"].map(|name| effective(&policy, name));
    if is_open(&script) || is_inline(&script) || is_open(&object) {
        return Outcome::CspUnsafeInline;
    }
    let active = policy
        .directives()
        .filter(|(name, _)| !PASSIVE.contains(name) && *name != "script-src")
        .flat_map(|(_, sources)| sources);
    if is_https && active.chain(&script).any(|source| is_insecure(source)) {
        return Outcome::CspInsecureScheme;
    }
    if script.iter().chain(&style).any(|source| source == "'unsafe-eval'") {
        return Outcome::CspUnsafeEval;
    }
    let passive = |name: &&str| {
        let sources = policy.get(name).or(policy.get("default-src"));
        sources.is_some_and(|sources| sources.iter().any(|source| is_insecure(source)))
    };
    if is_https && PASSIVE.iter().any(passive) {
        return Outcome::CspInsecurePassive;
    }
    if is_open(&style) || is_inline(&style) {
        return Outcome::CspUnsafeStyle;
    }
    match policy.get("default-src") {
        Some([only]) if only == "'none'" => Outcome::CspNoneByDefault,
        _ => Outcome::CspNoUnsafe,
    }
}

/// A directive's sources, or those of `default-src`, or everything.
fn effective(policy: &Policy, name: &str) -> Vec<String> {
    let sources = policy.get(name).or(policy.get("default-src"));
    sources.map_or_else(|| vec!["*".to_owned()], <[String]>::to_vec)
}

fn is_ignored_when_dynamic(source: &str) -> bool {
    BROAD.iter().any(|broad| source.starts_with(broad))
        || matches!(source, "'self'" | "'unsafe-inline'")
}

fn is_open(sources: &[String]) -> bool {
    sources.iter().any(|source| BROAD.contains(&source.as_str()))
}

fn is_insecure(source: &str) -> bool {
    source.starts_with("http:") || source.starts_with("ftp:")
}

fn has_proof(sources: &[String]) -> bool {
    sources.iter().any(|source| PROOFS.iter().any(|proof| source.starts_with(proof)))
}

fn is_inline(sources: &[String]) -> bool {
    sources.iter().any(|source| UNSAFE.contains(&source.as_str()))
}
