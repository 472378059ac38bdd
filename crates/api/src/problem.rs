//! The only renderer of this room's errors: `application/problem+json` (RFC 9457). Details of a 5xx go to the log, never to the client. A site's error pages are `edge/problem`'s.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use mainstay_base::{Coded, ErrorCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

/// An error on its way to a client.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: ErrorCode,
    detail: Option<String>,
    field: Option<String>,
    retry_after_s: Option<u64>,
    challenge: Option<HeaderValue>,
}

/// RFC 9457.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
struct Wire<'a> {
    /// `urn:mainstay:problem:` and what programs may branch on.
    r#type: String,
    title: &'a str,
    status: u16,
    /// A sentence for people; none for a fault of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// The parameter or field that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Problem {
    /// A problem of this code with a sentence for the client.
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let detail = Some(detail.into());
        Self { status, code, detail, field: None, retry_after_s: None, challenge: None }
    }

    /// A problem from an error of a room; logged here, once, with its whole chain when it is our fault.
    pub(crate) fn of(error: &impl Coded) -> Self {
        if error.code().status() >= 500 {
            let mut chain = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                chain = format!("{chain}: {cause}");
                source = cause.source();
            }
            tracing::error!(error = %chain, "a request failed");
        }
        Self::new(error.code(), error.public())
    }

    /// Another status than the code's own (405, 408, 415 have no code of their own).
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The status it is answered with.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The field that is wrong.
    pub(crate) fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// `Retry-After` in seconds.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// `WWW-Authenticate` in these words; a 401 has one in any case.
    pub(crate) fn challenge(mut self, words: &str) -> Self {
        self.challenge = HeaderValue::from_str(words).ok();
        self
    }

    /// The schema of the body.
    pub(crate) fn describe(schemas: &mut SchemaGenerator) -> Schema {
        schemas.subschema_for::<Wire<'_>>()
    }

    /// Its status and its words, for a command.
    pub(crate) fn into_words(self) -> (u16, String) {
        let words = self.status.canonical_reason().unwrap_or("Error").to_owned();
        (self.status.as_u16(), self.detail.unwrap_or(words))
    }

    /// As a response with a body in memory.
    pub(crate) fn into_bytes(self) -> http::Response<Bytes> {
        let wire = Wire {
            r#type: self.code.problem_type(),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail.as_deref().filter(|_| !self.status.is_server_error()),
            field: self.field.as_deref(),
        };
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Demanded of every 401 (RFC 9110 §15.5.2).
        let plain =
            (self.status == StatusCode::UNAUTHORIZED).then_some(HeaderValue::from_static("Bearer"));
        if let Some(challenge) = self.challenge.or(plain) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_bytes().map(axum::body::Body::from)
    }
}
