//! An error of our own, told as the client likes to read it: the page, or problem+json (RFC 9457) in its stead. Decides no status.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use mainstay_base::{Coded as _, ErrorCode};
use mainstay_upstream::{Error, Fault};
use serde_json::json;

use crate::accept::{Wish, wish};
use crate::body::Body;

/// What is told of an error besides its status.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    code: ErrorCode,
    /// Where the app behind the site gave no answer: whose fault it is, and whether asking again may help.
    of_app: Option<(Fault, bool)>,
}

impl Problem {
    /// What one of our pages says, where it says that something is wrong.
    pub(crate) fn of_page(status: StatusCode) -> Option<Self> {
        let code = match status {
            StatusCode::NOT_FOUND | StatusCode::MISDIRECTED_REQUEST => ErrorCode::NotFound,
            _ if status.is_client_error() => ErrorCode::Invalid,
            _ if status.is_server_error() => ErrorCode::Internal,
            _ => return None,
        };
        Some(Self { code, of_app: None })
    }

    /// The app gave no answer.
    pub(crate) fn of_app(error: &Error) -> Self {
        Self { code: error.code(), of_app: Some((error.fault(), error.retryable())) }
    }

    /// Whether these headers ask for it in the page's stead. A client that does not say is taken for a person, but where
    /// an app is asked for a program.
    pub(crate) fn is_wanted(&self, headers: &HeaderMap) -> bool {
        match wish(headers) {
            Wish::Page => false,
            Wish::Data => true,
            Wish::Neither => self.of_app.is_some(),
        }
    }

    /// Makes a page this, for a program: no detail of a 5xx but whether asking again may help.
    pub(crate) fn write(&self, page: &mut Response<Body>) {
        let status = page.status();
        let mut body = json!({
            "type": self.code.problem_type(),
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
        });
        if let Some((fault, retryable)) = self.of_app {
            let source = match fault {
                Fault::Client => "client",
                Fault::Upstream => "upstream",
                Fault::Us => "mainstay",
            };
            body["source"] = source.into();
            body["retryable"] = retryable.into();
        }
        let kind = HeaderValue::from_static("application/problem+json");
        page.headers_mut().insert(header::CONTENT_TYPE, kind);
        *page.body_mut() = Body::whole(Bytes::from(body.to_string()));
    }
}
