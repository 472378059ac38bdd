//! API keys over HTTP: `Authorization: Bearer KEY` (RFC 6750), and the check of a scope in one line. A key's text is never
//! logged and never repeated; its id and name are what is told of it.

use http::{HeaderMap, header};
use mainstay_base::{Coded, ErrorCode};
use mainstay_identity::key::{Error, Known};
use mainstay_identity::{Keys, Scope};
use mainstay_telemetry::metrics::{CounterFamily, Registry};
use mainstay_telemetry::names;

use crate::problem::Problem;

/// Seconds to wait where keys cannot be looked up.
const RETRY_AFTER_S: u64 = 5;

const REASONS: [&str; 7] =
    ["missing", "malformed", "unknown", "expired", "revoked", "scope", "unavailable"];

/// Asks requests for a key.
#[derive(Clone, Debug)]
pub struct Gate {
    keys: Keys,
    refused: CounterFamily,
}

impl Gate {
    /// Counts in `registry` what it refuses.
    #[must_use]
    pub fn new(keys: Keys, registry: &Registry) -> Self {
        let refused = registry.counter_family(&names::API_KEYS_REFUSED);
        for reason in REASONS {
            // There from the start: a rate needs a first value.
            let _none_yet = refused.with(&[reason]);
        }
        Self { keys, refused }
    }

    /// Who calls, by a key that has this scope: `let caller = gate.require(headers, Scope::Jobs).await?;`.
    pub(crate) async fn require(
        &self,
        headers: &HeaderMap,
        scope: Scope,
    ) -> Result<Known, Problem> {
        let Some(presented) = bearer(headers) else {
            self.count("missing");
            let text =
                "Send an API key: `Authorization: Bearer KEY`. `mainstay key create` makes one.";
            return Err(Problem::new(ErrorCode::Unauthenticated, text));
        };
        self.admit(presented, &[scope]).await
    }

    /// Whose key this is, where it has one of these scopes; the first is the one that is asked for.
    pub(crate) async fn admit(&self, presented: &str, scopes: &[Scope]) -> Result<Known, Problem> {
        let known = self.keys.verify(presented).await.map_err(|error| self.refuse(&error))?;
        if scopes.iter().any(|scope| known.scopes.has(*scope)) {
            return Ok(known);
        }
        self.count("scope");
        let scope = scopes.first().map_or("", |scope| scope.as_str());
        tracing::debug!(key = %known, scope, "an API key lacks a scope");
        let text =
            format!("This needs the scope \"{scope}\"; the key {} has {}.", known.id, known.scopes);
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        Err(Problem::new(ErrorCode::Forbidden, text).challenge(&challenge))
    }

    fn refuse(&self, error: &Error) -> Problem {
        self.count(match error {
            Error::Malformed => "malformed",
            Error::Expired => "expired",
            Error::Revoked => "revoked",
            Error::Unknown => "unknown",
            _ => "unavailable",
        });
        let problem = Problem::new(error.code(), error.public());
        match error.code() {
            ErrorCode::Unauthenticated => problem.challenge("Bearer error=\"invalid_token\""),
            // Not logged: whoever invents keys would write the log, and a store that is away is told by who noticed.
            _ => problem.retry_after(RETRY_AFTER_S),
        }
    }

    fn count(&self, reason: &str) {
        self.refused.with(&[reason]).inc();
    }
}

/// The token of a request; the scheme's name is told in any case (RFC 9110 §11.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_token_is_what_follows_the_scheme() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearerabc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(bearer(&headers), token, "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
