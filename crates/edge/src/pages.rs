//! The few pages of our own: short answers for errors the site has no page for. No script, one inline style that the policy names.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use mainstay_guard::csp;

use crate::body::Body;
use crate::content::{Block, OverTls, Policy, set_all};
use crate::fast_path::Written;

const STYLE: &str = "html{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;\
display:grid;place-content:center;text-align:center;padding:1rem}h1{font-size:1.25rem;margin:0}p{margin:.25rem 0 0;opacity:.7}";

/// What a folder of files can be asked.
const METHODS: &str = "GET, HEAD, OPTIONS";

/// A ready answer without anything of the request in it.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) over_tls: OverTls,
    pub(crate) body: Bytes,
    pub(crate) written: Written,
}

/// The pages of one site.
pub(crate) struct Pages {
    pub(crate) bad_request: Page,
    pub(crate) not_found: Page,
    pub(crate) method_not_allowed: Page,
    pub(crate) precondition_failed: Page,
    pub(crate) internal: Page,
    /// A host name that is none of our sites'.
    pub(crate) no_such_site: Page,
    /// A host name of a site that has another certificate than the connection.
    pub(crate) misdirected: Page,
    /// The app behind the site: gave no answer, none we may pass on, or none in time.
    pub(crate) bad_gateway: Page,
    pub(crate) unavailable: Page,
    pub(crate) gateway_timeout: Page,
    /// The app behind the site is the site.
    pub(crate) loop_detected: Page,
    /// A redirect without its `Location`.
    pub(crate) redirect: Page,
    /// The empty answer to `OPTIONS`.
    pub(crate) options: Page,
}

impl Pages {
    pub(crate) fn new(policy: &Policy) -> Self {
        let page =
            |status: StatusCode, title: &str, text: &str| render(policy, status, title, text);
        let mut method_not_allowed = page(
            StatusCode::METHOD_NOT_ALLOWED,
            "Method not allowed",
            "This address can only be read.",
        );
        method_not_allowed.headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
        let mut options = bare(policy, StatusCode::NO_CONTENT);
        options.headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
        let mut redirect = bare(policy, StatusCode::PERMANENT_REDIRECT);
        redirect.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Self {
            bad_request: page(
                StatusCode::BAD_REQUEST,
                "Bad request",
                "The request could not be understood.",
            ),
            not_found: page(
                StatusCode::NOT_FOUND,
                "Page not found",
                "There is nothing at this address.",
            ),
            method_not_allowed,
            precondition_failed: page(
                StatusCode::PRECONDITION_FAILED,
                "Precondition failed",
                "The page is not in the state the request asked for.",
            ),
            internal: page(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong",
                "The fault is ours and was noted.",
            ),
            no_such_site: page(
                StatusCode::MISDIRECTED_REQUEST,
                "No such site",
                "Nothing is served under this name here.",
            ),
            misdirected: page(
                StatusCode::MISDIRECTED_REQUEST,
                "Another connection is needed",
                "This one was made for a site with another certificate.",
            ),
            bad_gateway: page(
                StatusCode::BAD_GATEWAY,
                "No answer",
                "The application behind this site gave no answer. Please try again in a moment.",
            ),
            unavailable: page(
                StatusCode::SERVICE_UNAVAILABLE,
                "Back in a moment",
                "The application behind this site cannot take requests right now. Please try again in a moment.",
            ),
            gateway_timeout: page(
                StatusCode::GATEWAY_TIMEOUT,
                "No answer in time",
                "The application behind this site took too long. Please try again in a moment.",
            ),
            loop_detected: page(
                StatusCode::LOOP_DETECTED,
                "Nobody to answer",
                "The request came back to where it was sent from. The fault is ours and was noted.",
            ),
            redirect,
            options,
        }
    }
}

impl Page {
    pub(crate) fn response(&self, https: bool) -> Response<Body> {
        let mut headers = self.headers.clone();
        if https {
            set_all(&mut headers, &self.over_tls);
        }
        plain(self.status, headers, Body::whole(self.body.clone()))
    }
}

/// An answer of these parts.
pub(crate) fn plain(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn render(policy: &Policy, status: StatusCode, title: &str, text: &str) -> Page {
    let body = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
<title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>{text}</p></html>\n"
    );
    let Block { mut headers, over_tls } =
        policy.document_headers(&|_| csp::error_page_policy(STYLE));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some keep errors all the same: programs are told them as data.
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    Page { status, headers, over_tls, body: Bytes::from(body), written: Written::default() }
}

fn bare(policy: &Policy, status: StatusCode) -> Page {
    let Block { headers, over_tls } = policy.bare_headers();
    Page { status, headers, over_tls, body: Bytes::new(), written: Written::default() }
}
