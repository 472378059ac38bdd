//! Where browsers send what a policy blocked: two directives, and the header one of them needs. Never reads a report.

use http::header::{HeaderName, HeaderValue};

use super::policy::Policy;

/// The name that a policy and `Reporting-Endpoints` share.
const ENDPOINT: &str = "mainstay";

/// Where reports of a site go, as it is said in its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporting {
    path: String,
    endpoints: HeaderValue,
}

impl Reporting {
    /// Reports go to `{prefix}/reports` of the site itself. `None` when the prefix is no path that a header can carry.
    #[must_use]
    pub fn new(prefix: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if !prefix.starts_with('/') || !prefix.bytes().all(plain) {
            return None;
        }
        let path = format!("{prefix}/reports");
        let endpoints = HeaderValue::from_str(&format!("{ENDPOINT}=\"{path}\"")).ok()?;
        Some(Self { path, endpoints })
    }

    /// `policy` with its directives of reporting.
    ///
    /// Browsers that know `report-to` ignore `report-uri` beside it and take endpoints from secure origins only: over
    /// plain http the two together would report to nobody, so `report-uri` stands alone there.
    #[must_use]
    pub fn added_to(&self, policy: &Policy, https: bool) -> Policy {
        let uri = format!("report-uri {}", self.path);
        match https {
            true => policy.followed_by(&format!("{uri}; report-to {ENDPOINT}")),
            false => policy.followed_by(&uri),
        }
    }

    /// `Reporting-Endpoints`, which goes with [`Reporting::added_to`] over https (Reporting API section 3.2).
    #[must_use]
    pub fn endpoints(&self) -> (HeaderName, HeaderValue) {
        (HeaderName::from_static("reporting-endpoints"), self.endpoints.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csp::api_policy;

    #[test]
    fn plain_http_gets_the_old_directive_alone_and_https_both() {
        let reporting = Reporting::new("/_mainstay").expect("a path");
        let text = |https| reporting.added_to(&api_policy(), https).as_str().to_owned();
        let bare = "default-src 'none'; frame-ancestors 'none'";
        assert_eq!(text(false), format!("{bare}; report-uri /_mainstay/reports"));
        assert_eq!(
            text(true),
            format!("{bare}; report-uri /_mainstay/reports; report-to mainstay")
        );
        let (name, value) = reporting.endpoints();
        assert_eq!(name, "reporting-endpoints");
        assert_eq!(value, "mainstay=\"/_mainstay/reports\"");
    }

    #[test]
    fn a_prefix_cannot_end_the_directive() {
        for prefix in ["", "mainstay", "/a b", "/a;script-src *", "/a,b", "/\"", "https://x"] {
            assert_eq!(Reporting::new(prefix), None, "{prefix}");
        }
    }
}
