//! What a request means to the documents of an app, and what the app is told. Decides by the request alone; never sees an answer.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY,
    IF_MODIFIED_SINCE, IF_NONE_MATCH,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use mainstay_base::coding::{self, Coding};
use mainstay_guard::csp::upstream::{Nonce, request_policy};

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Headers by which Next.js asks for the data of a page instead of the page.
const DATA_REQUESTS: [HeaderName; 2] =
    [HeaderName::from_static("rsc"), HeaderName::from_static("next-action")];

/// What the browser will make of an HTML answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A document of its own: a navigation, a frame, or a client that does not say.
    Document,
    /// Data, a file, or a piece of markup for a document that is open already.
    Part,
}

/// One request, as its answer will need it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(super) wanted: Wanted,
    pub(super) nonce: Nonce,
    pub(super) method: Method,
    /// Absolute path as sent, without the query.
    pub(super) path: String,
    pub(super) coding: Option<Coding>,
    /// What the client already has, which the app is not told for documents.
    pub(super) if_none_match: Option<HeaderValue>,
}

/// Reads a request and changes what the app is sent of it.
///
/// For documents the app gets the nonce, is asked for bytes that can be read, and is not asked whether the client's
/// copy is still good: with another nonce it never is.
pub(super) fn ask(headers: &mut HeaderMap, method: &Method, uri: &Uri, nonce: Nonce) -> Asked {
    // From a client these would choose the nonce.
    headers.remove(CONTENT_SECURITY_POLICY);
    headers.remove(CONTENT_SECURITY_POLICY_REPORT_ONLY);
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let coding = coding::best(accepted);
    let wanted = wanted(headers, uri);
    let mut if_none_match = None;
    if wanted == Wanted::Document {
        headers.insert(CONTENT_SECURITY_POLICY, request_policy(&nonce));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.remove(IF_MODIFIED_SINCE);
        if_none_match = headers.remove(IF_NONE_MATCH);
    }
    let (method, path) = (method.clone(), uri.path().to_owned());
    Asked { wanted, nonce, method, path, coding, if_none_match }
}

fn wanted(headers: &HeaderMap, uri: &Uri) -> Wanted {
    let data = DATA_REQUESTS.iter().any(|name| headers.contains_key(name))
        || uri.query().is_some_and(|query| query.split('&').any(|one| one.starts_with("_rsc=")));
    if data {
        return Wanted::Part;
    }
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let document = match text(&SEC_FETCH_DEST) {
        Some(dest) => {
            matches!(dest, "document" | "iframe" | "frame" | "fencedframe" | "object" | "embed")
        }
        None => match text(&ACCEPT) {
            Some(accept) if accept.contains("text/html") => true,
            Some(accept) if !accept.contains("*/*") => false,
            _ => is_page_like(uri.path()),
        },
    };
    if document { Wanted::Document } else { Wanted::Part }
}

/// A client that says nothing is asking for a page unless the path names a file of another kind.
fn is_page_like(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        None => true,
        // Most of what is no page: the table of all types is long.
        Some((
            _,
            "js" | "css" | "png" | "jpg" | "svg" | "webp" | "woff2" | "ico" | "txt" | "json",
        )) => false,
        Some((_, extension)) => {
            mime_guess::from_ext(extension).first().is_none_or(|kind| kind.subtype() == "html")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn asked(uri: &'static str, pairs: &[(&'static str, &'static str)]) -> (Asked, HeaderMap) {
        let mut headers = headers(pairs);
        let asked = ask(&mut headers, &Method::GET, &Uri::from_static(uri), Nonce::of([1; 18]));
        (asked, headers)
    }

    #[test]
    fn documents_are_told_from_everything_else() {
        use Wanted::{Document, Part};
        for (uri, pairs, expected) in [
            ("/", &[("sec-fetch-dest", "document")][..], Document),
            ("/a.png", &[("sec-fetch-dest", "iframe")], Document),
            ("/", &[("sec-fetch-dest", "empty"), ("accept", "text/html")], Part),
            ("/", &[("sec-fetch-dest", "script")], Part),
            ("/", &[("sec-fetch-dest", "websocket")], Part),
            ("/a", &[("accept", "text/html,*/*;q=0.8")], Document),
            ("/a", &[("accept", "application/json")], Part),
            ("/a", &[("accept", "*/*")], Document),
            ("/a", &[], Document),
            ("/a.html", &[], Document),
            ("/v1.0", &[], Document),
            ("/_next/static/a.js", &[("accept", "*/*")], Part),
            ("/photo.jpg", &[], Part),
            ("/a?_rsc=1x", &[("sec-fetch-dest", "document")], Part),
            ("/a?x=1&_rsc=1x", &[], Part),
            ("/a?my_rsc=1", &[], Document),
            ("/a", &[("rsc", "1"), ("accept", "text/html")], Part),
            ("/a", &[("next-action", "7f"), ("accept", "text/x-component")], Part),
        ] {
            assert_eq!(asked(uri, pairs).0.wanted, expected, "{uri} {pairs:?}");
        }
    }

    #[test]
    fn the_app_gets_our_nonce_and_never_the_clients() {
        let planted = ("content-security-policy", "script-src 'nonce-mine'");
        let (asked_one, sent) = asked("/", &[planted, ("accept", "text/html")]);
        let policy = sent.get(CONTENT_SECURITY_POLICY).expect("sent").to_str().expect("text");
        assert!(policy.contains(&format!("'nonce-{}'", asked_one.nonce.as_str())), "{policy}");
        assert_eq!(sent.get_all(CONTENT_SECURITY_POLICY).iter().count(), 1);
        for pairs in [
            &[planted, ("sec-fetch-dest", "image")][..],
            &[("content-security-policy-report-only", "x"), ("sec-fetch-dest", "image")],
        ] {
            let (_, sent) = asked("/", pairs);
            assert!(sent.keys().all(|name| !name.as_str().starts_with("content-security")));
        }
    }

    #[test]
    fn documents_are_asked_for_whole_and_readable() {
        let pairs = [
            ("accept-encoding", "gzip, br"),
            ("if-none-match", "\"a\""),
            ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ];
        let (page, sent) = asked("/", &pairs);
        assert_eq!(sent.get(ACCEPT_ENCODING).expect("sent"), "identity");
        assert!(!sent.contains_key(IF_NONE_MATCH) && !sent.contains_key(IF_MODIFIED_SINCE));
        assert_eq!(page.if_none_match.expect("kept"), "\"a\"");
        assert_eq!(page.coding, Some(Coding::Brotli));

        let (_, sent) = asked("/a.css", &pairs);
        for (name, value) in pairs {
            assert_eq!(sent.get(name).expect("untouched"), value);
        }
    }
}
