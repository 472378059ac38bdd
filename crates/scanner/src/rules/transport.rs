//! TLS and its certificate, seen over our own connection.

use std::error::Error as _;

use mainstay_base::Timestamp;
use mainstay_telemetry::outbound::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::finding::{Finding, Rule, Severity};
use crate::look::Looked;

/// Certificates are renewed a month before they end; what is not by now, will not be by itself.
const SOON_DAYS: i64 = 14;
const DAY_SECONDS: i64 = 86_400;
const REFUSED: Rule = Rule {
    id: "certificate-refused",
    severity: Severity::Critical,
    title: "Browsers refuse the site's certificate",
    fix: "[tls] cert = \"…\" and key = \"…\" of a certificate for this name, its chain included",
};
const EXPIRED: Rule = Rule {
    id: "certificate-expired",
    severity: Severity::Critical,
    title: "The site's certificate is over",
    fix: "Renew it: Mainstay takes new files of [tls] cert and key into use by itself",
};
const SOON: Rule = Rule {
    id: "certificate-ends-soon",
    severity: Severity::Medium,
    title: "The site's certificate ends within two weeks",
    fix: "Renew it: Mainstay takes new files of [tls] cert and key into use by itself",
};
const OLD: Rule = Rule {
    id: "tls-old",
    severity: Severity::Medium,
    title: "The newest TLS the server speaks is older than 1.3",
    fix: "Let Mainstay end TLS itself ([tls] cert and key), or renew what does it in front",
};

const GIVEN_UP: Rule = Rule {
    id: "tls-given-up",
    severity: Severity::Medium,
    title: "The server takes a version of TLS that was given up (RFC 8996)",
    fix: "Let Mainstay end TLS itself ([tls] cert and key: 1.2 and 1.3 only), or switch it off in what does it in front",
};

/// A finding of a version that was given up.
pub(crate) fn tell_given_up(url: &str, version: &str) -> Finding {
    GIVEN_UP.at(url, version)
}

pub(crate) fn list(looked: &Looked, now: Timestamp) -> Vec<Finding> {
    let url = looked.url.as_str();
    if let Some(Error::Tls { source, chain }) = &looked.https_error {
        let end = chain.first().and_then(|der| read_end(der));
        if end.is_some_and(|end| end < seconds(now)) {
            return vec![EXPIRED.at(url, told(end))];
        }
        // It came to no certificate: nobody speaks TLS there, which is another finding.
        if chain.is_empty() {
            return Vec::new();
        }
        let why = source.source().map_or_else(|| source.to_string(), ToString::to_string);
        return vec![REFUSED.at(url, why)];
    }
    let Some(secured) = &looked.secured else { return Vec::new() };
    let mut findings = Vec::new();
    let end = secured.chain.first().and_then(|der| read_end(der));
    if end.is_some_and(|end| end < seconds(now) + SOON_DAYS * DAY_SECONDS) {
        findings.push(SOON.at(url, told(end)));
    }
    if secured.version != "TLSv1_3" {
        findings.push(OLD.at(url, &*secured.version));
    }
    findings
}

fn read_end(der: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

fn seconds(now: Timestamp) -> i64 {
    i64::try_from(now.since(Timestamp::EPOCH).as_secs()).unwrap_or(i64::MAX)
}

fn told(end: Option<i64>) -> String {
    end.map_or_else(String::new, |end| {
        format!("it ends {}", Timestamp::from_seconds(end).to_rfc3339())
    })
}
