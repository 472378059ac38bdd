//! What CORS says of a request, put on its answer in place of an app's own word. Decides nothing: [`mainstay_guard::cors`] does.

use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use mainstay_guard::cors::{self, Decision};
use mainstay_guard::settings::Cors;
use mainstay_telemetry::http::OURS_ROUTE;

use crate::body::Body;
use crate::phases::{Answer, Asking};
use crate::site::Site;
use crate::worker::Shared;

/// What becomes of a request to a site with these settings.
pub(crate) fn decide(settings: &Cors, method: &Method, headers: &HeaderMap) -> Decision {
    cors::decide(
        settings,
        find_one(headers, &header::ORIGIN),
        method,
        find_one(headers, &header::ACCESS_CONTROL_REQUEST_METHOD),
    )
}

/// A browser's question whether another origin may ask: answered at once, an app never hears it. What is asked of a path of
/// ours is no traffic of the site.
pub(crate) fn preflight(
    shared: &Shared,
    site: &Site,
    asking: &Asking,
    request: &Request<Incoming>,
) -> Option<Answer> {
    let settings = site.cors().filter(|_| *request.method() == Method::OPTIONS)?;
    let decision = decide(settings, request.method(), request.headers());
    matches!(decision, Decision::Preflight(_)).then(|| {
        let mut answer = site.page(&site.pages.options, asking);
        let asked = find_one(request.headers(), &header::ACCESS_CONTROL_REQUEST_METHOD);
        let asked = asked.and_then(|method| method.parse().ok()).unwrap_or(Method::OPTIONS);
        if shared.is_ours(&asked, request.uri().path()) {
            answer.ours = true;
            answer.route = shared.http.resolve_ours(OURS_ROUTE);
        }
        if answer.ours || site.app().is_some() {
            // What a folder allows is no word about an app, nor about what is ours.
            answer.response.headers_mut().remove(header::ALLOW);
        }
        answer
    })
}

/// Puts the decision on an answer.
pub(crate) fn apply(decision: Decision, response: &mut Response<Body>) {
    let (set, is_preflight) = match decision {
        Decision::Silent => return,
        Decision::Pass(set) => (set, false),
        Decision::Preflight(set) => (set, true),
    };
    let headers = response.headers_mut();
    // Where a list is configured it alone says who may read: an app's `*` beside it would let everybody.
    for name in cors::OWNED {
        headers.remove(name);
    }
    for (name, value) in set {
        if name == header::VARY {
            vary_by(headers, value);
        } else {
            headers.insert(name, value);
        }
    }
    if is_preflight {
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.body_mut() = Body::empty();
    }
}

/// Adds names to `Vary` unless all are there already: what an app says there stays true.
fn vary_by(headers: &mut HeaderMap, names: HeaderValue) {
    let lines = headers.get_all(header::VARY).iter().filter_map(|line| line.to_str().ok());
    let said: Vec<_> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let is_said = |name: &str| said.iter().any(|one| *one == "*" || one.eq_ignore_ascii_case(name));
    if !names.to_str().is_ok_and(|names| names.split(", ").all(is_said)) {
        headers.append(header::VARY, names);
    }
}

/// The value of a header that came once: of two origins nobody can say which one asks.
fn find_one<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    first.to_str().ok().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varied(said: &[&'static str], by: &'static str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in said {
            headers.append(header::VARY, HeaderValue::from_static(line));
        }
        vary_by(&mut headers, HeaderValue::from_static(by));
        let lines = headers.get_all(header::VARY).iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn caches_are_told_once() {
        for (said, by, expected) in [
            (&[][..], "Origin", &["Origin"][..]),
            (&["accept-encoding, origin"], "Origin", &["accept-encoding, origin"]),
            (&["Cookie"], "Origin", &["Cookie", "Origin"]),
            (&["x-origin"], "Origin", &["x-origin", "Origin"]),
            (&["Cookie", "ORIGIN"], "Origin", &["Cookie", "ORIGIN"]),
            (&["*"], "Origin", &["*"]),
            (&["origin"], "Origin, X", &["origin", "Origin, X"]),
        ] {
            assert_eq!(varied(said, by), expected, "{said:?}");
        }
    }

    #[test]
    fn of_two_origins_none_is_believed() {
        let settings = Cors { origins: vec!["https://app.example".into()], ..Cors::default() };
        let mut headers = HeaderMap::new();
        headers.append(header::ORIGIN, HeaderValue::from_static("https://app.example"));
        let is_allowed = |headers: &HeaderMap| match decide(&settings, &Method::GET, headers) {
            Decision::Pass(set) => {
                set.iter().any(|(name, _)| name == header::ACCESS_CONTROL_ALLOW_ORIGIN)
            }
            other => panic!("{other:?}"),
        };
        assert!(is_allowed(&headers));
        headers.append(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert!(!is_allowed(&headers));
    }
}
