//! What a rule found: where, how bad, what was seen, what to do. Finds nothing itself.

use serde::Serialize;
use url::Url;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It helps an attacker to find more.
    Low,
    /// It makes another fault worse.
    Medium,
    /// It can be used as it is.
    High,
    /// It gives the site or its visitors away.
    Critical,
}

impl Severity {
    /// As a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name: stable.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where, without a query.
    pub url: String,
    /// One sentence for people.
    pub title: String,
    /// What was seen. Never holds a secret: names, lengths and beginnings.
    pub evidence: String,
    /// What to do; a line of our settings where there is one.
    pub fix: String,
}

/// A rule: what is the same in all of its findings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    pub(crate) title: &'static str,
    pub(crate) fix: &'static str,
}

impl Rule {
    pub(crate) fn at(&self, url: impl Into<String>, evidence: impl Into<String>) -> Finding {
        Finding {
            id: self.id,
            severity: self.severity,
            url: cut_query(&url.into()),
            title: self.title.to_owned(),
            evidence: shorten(&evidence.into()),
            fix: self.fix.to_owned(),
        }
    }
}

/// A URL for a report: who asks and what for may be a secret.
pub(crate) fn plain(url: &Url) -> String {
    let mut url = url.clone();
    // A URL without a host has none of both.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    cut_query(url.as_str())
}

fn cut_query(url: &str) -> String {
    match url.find(['?', '#']) {
        Some(at) => format!("{}?…", url.get(..at).unwrap_or_default()),
        None => url.to_owned(),
    }
}

/// Characters of what was seen.
const EVIDENCE_MAX: usize = 200;

/// What a person reads: one line, without what moves a terminal's cursor.
fn shorten(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(EVIDENCE_MAX).collect();
    if text.chars().count() > EVIDENCE_MAX {
        short.push('…');
    }
    short.trim().to_owned()
}
