//! Which other origins may read answers of this site from a browser (Fetch standard, section 3.2): an exact allow list, and the answer to pre-flights.

use http::Method;
use http::header::{self, HeaderName, HeaderValue};

use crate::settings::Cors;

/// Settings of CORS; see [`Cors`].
pub type Settings = Cors;

/// Methods named in a pre-flight answer.
pub const METHODS: &str = "GET, POST, PUT, DELETE, OPTIONS";

/// Request headers named in a pre-flight answer.
pub const REQUEST_HEADERS: &str =
    "Content-Type, Authorization, X-Requested-With, X-API-Key, traceparent, sentry-trace, baggage";

/// Answer headers that only the list may speak through: an app's own copies are taken away. What an app exposes of its
/// headers (`Access-Control-Expose-Headers`) stays its own affair, and nobody is let into a private network.
pub const OWNED: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("access-control-allow-private-network"),
];

/// What becomes of a request, as far as CORS is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No list is configured: CORS says nothing, and `Vary` stays as it is.
    Silent,
    /// The answer is made as ever, plus these headers. Without `Access-Control-Allow-Origin` among them a browser
    /// keeps the answer from the other origin; `Vary: Origin` is always there.
    Pass(Vec<(HeaderName, HeaderValue)>),
    /// A pre-flight of an allowed origin: answered at once with 204, an empty body and these headers.
    Preflight(Vec<(HeaderName, HeaderValue)>),
}

/// Decides from the request's `Origin`, its method and its `Access-Control-Request-Method`.
///
/// An origin is allowed when it is, byte for byte, one of the list: browsers send it lower case, without a default
/// port and without a slash, so every other spelling is somebody's trick. `null` is never allowed.
#[must_use]
pub fn decide(
    settings: &Settings,
    origin: Option<&str>,
    method: &Method,
    request_method: Option<&str>,
) -> Decision {
    if settings.origins.is_empty() {
        return Decision::Silent;
    }
    let mut headers = vec![(header::VARY, HeaderValue::from_static("Origin"))];
    let preflight = *method == Method::OPTIONS && origin.is_some() && request_method.is_some();
    if preflight {
        // The answer is chosen by these too, so a shared cache must not mix them up.
        headers[0].1 = HeaderValue::from_static(
            "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        );
    }
    let allowed = origin.filter(|origin| is_listed(settings, origin));
    let Some(origin) = allowed.and_then(|origin| HeaderValue::from_str(origin).ok()) else {
        return Decision::Pass(headers);
    };
    headers.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
    if settings.credentials {
        headers.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
    }
    if !preflight {
        return Decision::Pass(headers);
    }
    headers.push((header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS)));
    headers.push((header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS)));
    headers.push((header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(settings.max_age_seconds)));
    Decision::Preflight(headers)
}

/// Whether an origin is on the list.
#[must_use]
pub fn is_listed(settings: &Settings, origin: &str) -> bool {
    origin != "null"
        && !origin.contains('*')
        && settings.origins.iter().any(|listed| listed == origin)
}

#[cfg(test)]
mod tests;
