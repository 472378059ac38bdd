//! Who may speak to the admin listener: known `Host` names only, same-origin browsers only, and the owner only.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use mainstay_base::ErrorCode;
use mainstay_base::Timestamp;
use mainstay_identity::Scope;
use mainstay_identity::key::PREFIX;

use crate::admin::Admin;
use crate::console;
use crate::key::bearer;
use crate::problem::Problem;

/// The console's cookie. `__Host-`: this host only, whole path, secure (loopback counts as secure for browsers).
pub(crate) const COOKIE: &str = "__Host-mainstay_admin";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Refuses foreign `Host` names (DNS rebinding, and pages of other sites steering a browser at us), then dresses the answer.
pub(crate) async fn gate(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match judge(&admin, &request) {
        Verdict::Refused(problem) => problem.into_response(),
        Verdict::Linked => console::index(Ok(Caller::owner(None))).await,
        Verdict::Passed => next.run(request).await,
    };
    for (name, value) in &admin.headers {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response
}

enum Verdict {
    Passed,
    Refused(Problem),
    /// A link of another site leads to the console. `SameSite=Strict` keeps our cookie out of such a request, so asking
    /// for it would show a signed-in owner the way in. The console's document holds no data: it asks for them itself,
    /// from this origin, with the cookie.
    Linked,
}

fn judge(admin: &Admin, request: &Request) -> Verdict {
    let headers = request.headers();
    // A request without a host names none of ours.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    if !is_known_host(admin, host) {
        return Verdict::Refused(Problem::new(
            ErrorCode::Forbidden,
            "This host name is not served here; see admin.hosts.",
        ));
    }
    match (is_foreign(headers, host), request.uri().path()) {
        (false, _) => Verdict::Passed,
        (true, "/") if is_link(request.method(), headers) => Verdict::Linked,
        // The page with the button spends nothing; pressing it is a request of its own.
        (true, "/enter") if is_link(request.method(), headers) => Verdict::Passed,
        (true, _) => Verdict::Refused(Problem::new(
            ErrorCode::Forbidden,
            "Requests from other origins are not answered here.",
        )),
    }
}

/// Whether somebody followed a link in a window of their own: no frame, no fetch, no form that changes anything
/// (Fetch Metadata sections 2.1 and 2.2). Browsers that do not say so are not believed.
fn is_link(method: &Method, headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName, value: &str| {
        headers.get(name).is_some_and(|found| found.as_bytes() == value.as_bytes())
    };
    *method == Method::GET
        && says(&SEC_FETCH_MODE, "navigate")
        && says(&SEC_FETCH_DEST, "document")
        && (says(&SEC_FETCH_SITE, "cross-site") || says(&SEC_FETCH_SITE, "same-site"))
}

/// Whether a page of another origin made the request. `Sec-Fetch-Site` decides where browsers send it: no page can
/// forge it, while `Origin` is `null` for forms of pages that hide their referrer. Older browsers go by `Origin`.
fn is_foreign(headers: &HeaderMap, host: &str) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    headers.get(header::ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().unwrap_or("");
        origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) != Some(host)
    })
}

fn is_known_host(admin: &Admin, host: &str) -> bool {
    let (name, port) = split_port(host);
    if admin.hosts.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return true;
    }
    let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let ours = matches!(name, "127.0.0.1" | "localhost" | "[::1]")
        || literal.is_ok_and(|ip| ip == admin.address.ip());
    ours && port.is_none_or(|port| port == admin.address.port())
}

fn split_port(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, None),
    }
}

/// The owner, by session cookie or bearer token, or a program, by an API key; extracting it is the access check of an
/// endpoint.
pub(crate) struct Caller {
    /// `owner`, or `key` of a program.
    pub(crate) role: &'static str,
    /// When the session or the key ends; none for the admin token.
    pub(crate) expires: Option<Timestamp>,
}

impl FromRequestParts<Arc<Admin>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        Self::find(admin, &parts.method, &parts.headers).await
    }
}

/// Whether the reader of a long answer would still be let in.
pub(crate) async fn is_still_signed_in(admin: &Admin, headers: &HeaderMap) -> bool {
    Caller::find(admin, &Method::GET, headers).await.is_ok()
}

impl Caller {
    fn owner(expires: Option<Timestamp>) -> Self {
        Self { role: "owner", expires }
    }

    async fn find(admin: &Admin, method: &Method, headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(token) = bearer(headers) {
            return Self::by_token(admin, method, token).await;
        }
        let cookie = cookie(headers).ok_or_else(unauthenticated)?;
        match admin.owner.find_session(cookie).await {
            Ok(Some(session)) => Ok(Self::owner(Some(session.expires))),
            Ok(None) => Err(unauthenticated()),
            Err(error) => Err(Problem::of(&error)),
        }
    }

    async fn by_token(admin: &Admin, method: &Method, token: &str) -> Result<Self, Problem> {
        if admin.token.as_ref().is_some_and(|expected| expected.matches(token)) {
            return Ok(Self::owner(None));
        }
        if !token.starts_with(PREFIX) {
            return Err(unauthenticated());
        }
        let scopes: &[_] = match *method {
            Method::GET | Method::HEAD => &[Scope::Read, Scope::Admin],
            _ => &[Scope::Admin],
        };
        let known = admin.gate.admit(token, scopes).await?;
        Ok(Self { role: "key", expires: known.expires })
    }
}

fn unauthenticated() -> Problem {
    Problem::new(
        ErrorCode::Unauthenticated,
        "Sign in with a link from `mainstay admin link`, or send the admin token or an API key of scope \"read\".",
    )
}

/// The session token of a request's cookies.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    find_cookie(headers, COOKIE)
}

/// What a request's cookie of this name says.
pub(crate) fn find_cookie<'h>(headers: &'h HeaderMap, named: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == named).then_some(value))
}

/// `Set-Cookie` that begins (`max_age_s` > 0) or ends (0) a session.
pub(crate) fn set_cookie(token: &str, max_age_s: u64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!(
        "{COOKIE}={token}; Path=/; Max-Age={max_age_s}; Secure; HttpOnly; SameSite=Strict"
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_split_off_names_and_v6_literals() {
        for (host, name, port) in [
            ("127.0.0.1:8081", "127.0.0.1", Some(8081)),
            ("localhost", "localhost", None),
            ("[::1]:8081", "[::1]", Some(8081)),
            ("[::1]", "[::1]", None),
        ] {
            assert_eq!(split_port(host), (name, port), "{host}");
        }
    }

    #[test]
    fn only_pages_of_this_origin_may_ask() {
        const HOST: &str = "127.0.0.1:8081";
        for (site, origin, foreign) in [
            (None, None, false),
            (Some("none"), None, false),
            (Some("same-origin"), Some("http://127.0.0.1:8081"), false),
            (Some("same-origin"), Some("null"), false),
            (Some("cross-site"), Some("http://127.0.0.1:8081"), true),
            (Some("cross-site"), None, true),
            (Some("same-site"), None, true),
            (None, Some("http://127.0.0.1:8081"), false),
            (None, Some("http://127.0.0.1:9090"), true),
            (None, Some("null"), true),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(site) = site {
                headers.insert(SEC_FETCH_SITE, HeaderValue::from_static(site));
            }
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_foreign(&headers, HOST), foreign, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn a_followed_link_is_told_from_everything_else() {
        let get = Method::GET;
        for (method, site, mode, dest, link) in [
            (&get, "cross-site", "navigate", "document", true),
            (&get, "same-site", "navigate", "document", true),
            (&get, "invented", "navigate", "document", false),
            (&get, "cross-site", "navigate", "iframe", false),
            (&get, "cross-site", "navigate", "", false),
            (&get, "cross-site", "no-cors", "document", false),
            (&get, "cross-site", "cors", "empty", false),
            (&get, "cross-site", "", "document", false),
            (&Method::POST, "cross-site", "navigate", "document", false),
            (&Method::HEAD, "cross-site", "navigate", "document", false),
        ] {
            let mut headers = HeaderMap::new();
            let said = [(SEC_FETCH_SITE, site), (SEC_FETCH_MODE, mode), (SEC_FETCH_DEST, dest)];
            for (name, value) in said.into_iter().filter(|(_, value)| !value.is_empty()) {
                headers.insert(name, HeaderValue::from_static(value));
            }
            assert_eq!(is_link(method, &headers), link, "{method} {site} {mode} {dest}");
        }
    }

    #[test]
    fn the_cookie_is_found_by_its_exact_name() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            HeaderValue::from_static("a=1; __Host-mainstay_admin=tok; x__Host-mainstay_admin=no"),
        );
        assert_eq!(cookie(&headers), Some("tok"));
        headers.insert(header::COOKIE, HeaderValue::from_static("mainstay_admin=tok"));
        assert_eq!(cookie(&headers), None);
    }
}
