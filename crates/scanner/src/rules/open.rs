//! What a site tells about itself to whoever asks: versions, other origins, whom to write to.

use http::header::{self, HeaderMap, HeaderName};
use mainstay_base::Timestamp;

use crate::finding::{Finding, Rule, Severity};
use crate::look::{Looked, STRANGER};
use crate::observatory::joined;

const VERSION: Rule = Rule {
    id: "version-told",
    severity: Severity::Low,
    title: "A header tells which version of which software runs",
    fix: "Switch it off in the app or in what stands in front; Mainstay tells none of its own",
};
const GENERATOR: Rule = Rule {
    id: "generator-told",
    severity: Severity::Low,
    title: "The page tells which version of which software made it",
    fix: "Take <meta name=generator> out of the template",
};
const REFLECTED: Rule = Rule {
    id: "cors-any-origin-with-credentials",
    severity: Severity::Critical,
    title: "Any site may read what visitors are shown while they are signed in",
    fix: "[cors] origins = [\"https://app.example\"]: name the origins that may, and take the app's own headers away",
};
const NULL: Rule = Rule {
    id: "cors-null-origin",
    severity: Severity::High,
    title: "Whoever hides its origin may read answers: any page can, in a frame",
    fix: "[cors] origins = [\"https://app.example\"]: never \"null\"",
};
const CONTACT_MISSING: Rule = Rule {
    id: "security-txt-missing",
    severity: Severity::Low,
    title: "Nobody who finds a fault is told whom to write to",
    fix: "Put .well-known/security.txt (RFC 9116) into the site, with Contact and Expires",
};
const CONTACT_OVER: Rule = Rule {
    id: "security-txt-expired",
    severity: Severity::Low,
    title: "security.txt is over, so nobody goes by it",
    fix: "Give .well-known/security.txt an Expires within a year",
};
const CONTACT_BROKEN: Rule = Rule {
    id: "security-txt-incomplete",
    severity: Severity::Low,
    title: "security.txt lacks Contact or Expires",
    fix: "RFC 9116 asks for both: Contact: mailto:security@…, Expires: a date within a year",
};

/// Headers that say which software it is.
const TELLING: [&str; 6] = [
    "server",
    "x-powered-by",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-generator",
    "x-drupal-cache",
];

pub(crate) fn list(looked: &Looked) -> Vec<Finding> {
    let url = looked.url.as_str();
    let mut findings = Vec::new();
    for name in TELLING.map(HeaderName::from_static) {
        let told = joined(&looked.seen.page.headers, &name).filter(|text| has_version(text));
        findings.extend(told.map(|text| VERSION.at(url, format!("{name}: {text}"))));
    }
    let generator = looked.seen.markup.generator.as_ref().filter(|text| has_version(text));
    findings.extend(generator.map(|text| GENERATOR.at(url, text)));
    findings.extend(looked.seen.cors.as_ref().and_then(|cors| read_cors(url, cors)));
    findings
}

fn read_cors(url: &str, headers: &HeaderMap) -> Option<Finding> {
    let allowed = joined(headers, &header::ACCESS_CONTROL_ALLOW_ORIGIN)?;
    let credentials = joined(headers, &header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
    let with_credentials = credentials.is_some_and(|text| text.trim() == "true");
    let evidence =
        || format!("Origin: {STRANGER} was answered Access-Control-Allow-Origin: {allowed}");
    match allowed.trim() {
        STRANGER if with_credentials => Some(REFLECTED.at(url, evidence())),
        "null" => Some(NULL.at(url, evidence())),
        _ => None,
    }
}

/// A name with a number of its own: `nginx/1.22.1`, `WordPress 6.5`; not `h2o`, not `K8s`. What is nothing but a number is one, too.
fn has_version(text: &str) -> bool {
    let mut before = ' ';
    text.chars().any(|c| {
        let begins = c.is_ascii_digit() && matches!(before, '/' | ' ');
        before = c;
        begins
    })
}

/// What `/.well-known/security.txt` says; none when it is not there.
pub(crate) fn read_contact(url: &str, text: Option<&str>, now: Timestamp) -> Option<Finding> {
    let field = |name: &str| {
        let lines = text.unwrap_or_default().lines();
        lines.filter_map(|line| line.split_once(':')).find_map(|(found, value)| {
            found.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let (contact, expires) = (field("contact"), field("expires"));
    match (contact, expires) {
        (None, None) => Some(CONTACT_MISSING.at(url, "no Contact and no Expires")),
        (Some(_), Some(expires)) => match Timestamp::parse_rfc3339(&expires) {
            Some(end) if end > now => None,
            _ => Some(CONTACT_OVER.at(url, format!("Expires: {expires}"))),
        },
        (contact, _) => {
            let lacks = if contact.is_some() { "no Expires" } else { "no Contact" };
            Some(CONTACT_BROKEN.at(url, lacks))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_of_its_own() {
        for text in ["nginx/1.22.1", "Apache (Debian/12)", "WordPress 6.5", "4.0.30319"] {
            assert!(has_version(text), "{text}");
        }
        for text in ["h2o", "K8s", "nginx", "shop", "web-2a", ""] {
            assert!(!has_version(text), "{text}");
        }
    }
}
