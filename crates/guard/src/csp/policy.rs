//! The text of a policy, and the header it travels in.

use std::fmt;

use http::header::{self, HeaderName, HeaderValue};

use crate::settings::{Csp, Headers};

/// What browsers shall do with a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Block what it does not name.
    Enforce,
    /// Only report what it does not name.
    Report,
    /// It is not sent.
    Off,
}

impl Mode {
    /// The mode of pages under resolved settings ([`Headers::resolved`]); an unresolved `auto` enforces.
    #[must_use]
    pub fn of(settings: &Headers) -> Self {
        match settings.csp {
            Csp::Auto | Csp::Enforce => Self::Enforce,
            Csp::Report => Self::Report,
            Csp::Off => Self::Off,
        }
    }

    /// The header a policy travels in; `None` when it is not sent.
    #[must_use]
    pub fn header_name(self) -> Option<HeaderName> {
        match self {
            Self::Enforce => Some(header::CONTENT_SECURITY_POLICY),
            Self::Report => Some(header::CONTENT_SECURITY_POLICY_REPORT_ONLY),
            Self::Off => None,
        }
    }
}

/// A serialised policy: `directive value…; directive value…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    text: String,
    value: HeaderValue,
}

impl Policy {
    /// The policy's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The policy as a header value.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        self.value.clone()
    }

    /// This policy with further directives, `name value…; name value…`; as it is when they are no header text.
    pub(super) fn followed_by(&self, directives: &str) -> Self {
        let text = format!("{}; {directives}", self.text);
        match HeaderValue::from_str(&text) {
            Ok(value) => Self { text, value },
            Err(_) => self.clone(),
        }
    }

    /// The policy as a header; `None` when `mode` is off.
    #[must_use]
    pub fn header(&self, mode: Mode) -> Option<(HeaderName, HeaderValue)> {
        mode.header_name().map(|name| (name, self.value()))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Collects directives in the order in which they are said.
#[derive(Debug, Default)]
pub(super) struct Builder {
    text: String,
}

impl Builder {
    /// Adds a directive; without sources it is written without a value.
    pub(super) fn add(mut self, name: &str, sources: &[String]) -> Self {
        if !self.text.is_empty() {
            self.text.push_str("; ");
        }
        self.text.push_str(name);
        for source in sources {
            self.text.push(' ');
            self.text.push_str(source);
        }
        self
    }

    /// Adds a directive with sources that are known when the program is written.
    pub(super) fn fixed(self, name: &str, sources: &str) -> Self {
        self.add(name, &[sources.to_owned()])
    }

    /// The finished policy.
    ///
    /// Hashes and origins have closed alphabets, so the text is always a header value; were it not, the strictest
    /// policy there is takes its place.
    pub(super) fn build(self) -> Policy {
        match HeaderValue::from_str(&self.text) {
            Ok(value) => Policy { text: self.text, value },
            Err(_) => {
                let strictest = "default-src 'none'";
                Policy { text: strictest.to_owned(), value: HeaderValue::from_static(strictest) }
            }
        }
    }
}
