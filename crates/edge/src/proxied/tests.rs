//! Requests and answers of an app, as a client and the app see them.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_SECURITY_POLICY_REPORT_ONLY, CONTENT_TYPE, VARY,
};
use http_body_util::{BodyExt, Full};
use mainstay_base::coding::Coding;
use mainstay_guard::csp::Hash;

use super::encode::tests::decode;
use super::*;

const PAGE: &str =
    "<!doctype html><html><head><title>x</title></head><body><p>words</p></body></html>";

fn tag() -> Tag {
    Tag {
        src: "/_mainstay/m.js?v=1".to_owned(),
        integrity: Hash::of_file(b"beacon"),
        attributes: Vec::new(),
        known: Vec::new(),
        inserted: true,
    }
}

fn plan(csp: Csp) -> Plan {
    Plan {
        headers: Headers { csp, ..Headers::default() },
        environment: Environment::Production,
        tag: Some(tag()),
        hosts: Vec::new(),
        build_dir: None,
        prefix: "/_mainstay".to_owned(),
        page_bytes_max: Size::mib(1),
        cache_bytes_max: Size::mib(4),
        revalidate_after: Span::seconds(1),
    }
}

/// A conversation: what the client asks, what the app answers.
struct Talk {
    documents: Documents,
    method: Method,
    request: Vec<(&'static str, &'static str)>,
    path: &'static str,
    status: u16,
    answer: Vec<(&'static str, &'static str)>,
    body: &'static str,
    https: bool,
}

fn talk(csp: Csp) -> Talk {
    Talk {
        documents: Documents::new(plan(csp)),
        method: Method::GET,
        request: vec![("accept", "text/html,*/*;q=0.8")],
        path: "/page",
        status: 200,
        answer: vec![("content-type", "text/html; charset=utf-8"), ("x-powered-by", "Next.js")],
        body: PAGE,
        https: false,
    }
}

/// What the client gets.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    nonce: String,
}

impl Got {
    fn all(&self, name: impl http::header::AsHeaderName) -> Vec<&str> {
        let values = self.headers.get_all(name).into_iter();
        values.map(|value| value.to_str().expect("text")).collect()
    }

    fn one(&self, name: impl http::header::AsHeaderName) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{all:?}");
        all[0]
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

fn relayed(text: &'static str) -> Relayed {
    Box::pin(Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}))
}

impl Talk {
    async fn run(&self) -> Got {
        let nonce = Nonce::of([9; 18]);
        let named = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut request: HeaderMap = self.request.iter().map(named).collect();
        let uri = Uri::from_static(self.path);
        let asked = self.documents.ask(&mut request, &self.method, &uri, nonce.clone());
        let mut response = Response::new(relayed(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).expect("status");
        for pair in &self.answer {
            let (name, value) = named(pair);
            response.headers_mut().append(name, value);
        }
        let answered = self.documents.answer(asked, response, self.https, 0).await;
        let (head, body) = answered.expect("answered").0.into_parts();
        let body = match body {
            Payload::Whole(bytes) => bytes,
            Payload::Relayed(body) => body.collect().await.expect("body").to_bytes(),
        };
        let (status, headers) = (head.status, head.headers);
        Got { status, headers, body: body.to_vec(), nonce: nonce.as_str().to_owned() }
    }
}

#[tokio::test]
async fn a_page_of_a_recognised_app_is_guarded_and_gets_our_tag() {
    let mut talk = talk(Csp::Auto);
    talk.answer.extend([
        ("etag", "\"a\""),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("cache-control", "max-age=600"),
        ("x-frame-options", "ALLOWALL"),
        ("x-frame-options", "SAMEORIGIN"),
    ]);
    let got = talk.run().await;
    let policy = got.one(CONTENT_SECURITY_POLICY);
    assert!(policy.contains(&format!("'nonce-{}'", got.nonce)), "{policy}");
    assert!(policy.ends_with("report-uri /_mainstay/reports"), "{policy}");
    let inserted = format!("<head><script src=\"/_mainstay/m.js?v=1\" nonce=\"{}\"", got.nonce);
    assert!(got.text().contains(&inserted), "{}", got.text());
    assert_eq!(got.one(CACHE_CONTROL), "private, no-store");
    assert_eq!(got.one("x-frame-options"), "DENY");
    assert_eq!(got.one("x-content-type-options"), "nosniff");
    for name in ["etag", "last-modified", "content-length", "x-powered-by", "reporting-endpoints"] {
        assert!(!got.headers.contains_key(name), "{name}");
    }
    assert!(talk.documents.is_recognised());
}

#[tokio::test]
async fn an_unknown_app_is_only_reported_and_stays_cacheable() {
    let mut talk = talk(Csp::Auto);
    talk.answer = vec![("content-type", "text/html"), ("cache-control", "max-age=600")];
    talk.https = true;
    let got = talk.run().await;
    assert!(!got.headers.contains_key(CONTENT_SECURITY_POLICY));
    let policy = got.one(CONTENT_SECURITY_POLICY_REPORT_ONLY);
    assert!(policy.ends_with("report-uri /_mainstay/reports; report-to mainstay"), "{policy}");
    assert_eq!(got.one("reporting-endpoints"), "mainstay=\"/_mainstay/reports\"");
    assert_eq!(got.one(CACHE_CONTROL), "max-age=600");
    assert!(!talk.documents.is_recognised());

    talk.documents = Documents::new(plan(Csp::Enforce));
    let got = talk.run().await;
    assert!(got.one(CONTENT_SECURITY_POLICY).contains("'strict-dynamic'"), "promoted");
    talk.documents = Documents::new(plan(Csp::Off));
    let got = talk.run().await;
    assert!(got.headers.keys().all(|name| !name.as_str().starts_with("content-security")));
}

#[tokio::test]
async fn the_apps_own_policy_stays_beside_ours() {
    let mut talk = talk(Csp::Auto);
    talk.answer.push(("content-security-policy", "img-src 'self'"));
    let got = talk.run().await;
    let policies = got.all(CONTENT_SECURITY_POLICY);
    assert_eq!((policies.len(), policies[0]), (2, "img-src 'self'"));
    assert!(got.text().contains("/_mainstay/m.js"));

    talk.answer.push(("content-security-policy", "script-src 'nonce-own' 'strict-dynamic'"));
    let got = talk.run().await;
    assert_eq!(got.all(CONTENT_SECURITY_POLICY).len(), 2, "theirs, both of them");
    assert!(got.one(CONTENT_SECURITY_POLICY_REPORT_ONLY).contains(&got.nonce));
    assert_eq!(got.text(), PAGE, "a tag that theirs would block is not put in");
}

#[tokio::test]
async fn prerendered_pages_of_an_unknown_build_are_only_reported() {
    let mut talk = talk(Csp::Auto);
    talk.answer.push(("x-nextjs-cache", "HIT"));
    let got = talk.run().await;
    assert!(!got.headers.contains_key(CONTENT_SECURITY_POLICY));
    assert!(got.headers.contains_key(CONTENT_SECURITY_POLICY_REPORT_ONLY));
    talk.answer.pop();
    talk.answer.push(("x-nextjs-cache", "MISS"));
    assert!(talk.run().await.headers.contains_key(CONTENT_SECURITY_POLICY), "made with our nonce");
}

#[tokio::test]
async fn what_is_no_page_gets_its_own_policy_and_no_tag() {
    let bare = "default-src 'none'; frame-ancestors 'none'";
    for (status, kind, expected) in [
        (200, "application/json; charset=utf-8", bare),
        (500, "application/problem+json", bare),
        (200, "text/x-component", bare),
        (302, "", bare),
        (200, "text/event-stream", "default-src 'none'; style-src"),
        (200, "image/svg+xml", "default-src 'none'; style-src 'self'"),
    ] {
        let mut talk = talk(Csp::Auto);
        talk.status = status;
        talk.answer = vec![("x-powered-by", "Next.js"), ("etag", "\"a\"")];
        talk.answer.extend((!kind.is_empty()).then_some(("content-type", kind)));
        let got = talk.run().await;
        let policy = got.all(CONTENT_SECURITY_POLICY);
        if kind != "text/event-stream" {
            assert!(policy.len() == 1 && policy[0].starts_with(expected), "{kind}: {policy:?}");
        }
        assert_eq!(got.text(), PAGE);
        assert_eq!(got.one("etag"), "\"a\"");
        assert_eq!(got.one("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn text_is_compressed_once_and_only_if_it_may() {
    let long: &'static str =
        Box::leak("{\"words\":\"again and again\"}\n".repeat(100).into_boxed_str());
    let json = ("content-type", "application/json");
    for (answer, packed) in [
        (vec![json], true),
        (vec![json, ("content-length", "2700")], true),
        (vec![json, ("content-length", "100")], false),
        (vec![json, ("content-encoding", "gzip")], false),
        (vec![json, ("cache-control", "no-transform")], false),
        (vec![json, ("content-range", "bytes 0-1/2")], false),
        (vec![("content-type", "text/event-stream")], false),
        (vec![("content-type", "image/png")], false),
    ] {
        let mut talk = talk(Csp::Auto);
        (talk.answer, talk.body) = (answer, long);
        talk.request = vec![("accept-encoding", "gzip"), ("sec-fetch-dest", "empty")];
        let got = talk.run().await;
        if packed {
            assert_eq!(got.one(CONTENT_ENCODING), "gzip");
            assert_eq!(got.one(VARY), "accept-encoding");
            assert!(!got.headers.contains_key(CONTENT_LENGTH));
            assert_eq!(decode(Coding::Gzip, &got.body), long.as_bytes());
        } else {
            assert_eq!(got.body, long.as_bytes(), "{:?}", talk.answer);
        }
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_read_passes_as_it_is() {
    for more in [
        ("content-encoding", "gzip"),
        ("cache-control", "no-transform"),
        ("content-range", "bytes 0-1/2"),
    ] {
        let mut talk = talk(Csp::Auto);
        talk.answer.push(more);
        talk.request.push(("accept-encoding", "gzip"));
        let got = talk.run().await;
        assert_eq!(got.text(), PAGE, "{more:?}");
        assert!(got.headers.contains_key(CONTENT_SECURITY_POLICY), "it is guarded all the same");
    }
    let mut talk = talk(Csp::Auto);
    talk.answer = vec![("content-type", "text/html; charset=utf-16le")];
    assert_eq!(talk.run().await.text(), PAGE);
}

#[tokio::test]
async fn pieces_of_pages_are_left_alone() {
    let mut talk = talk(Csp::Auto);
    talk.request = vec![("sec-fetch-dest", "empty")];
    assert_eq!(talk.run().await.text(), PAGE);
    let mut insert_off = plan(Csp::Auto);
    insert_off.tag = Some(Tag { inserted: false, ..tag() });
    let mut talk = self::talk(Csp::Auto);
    talk.documents = Documents::new(insert_off);
    assert_eq!(talk.run().await.text(), PAGE);
}

#[tokio::test]
async fn head_is_answered_like_get_without_its_body() {
    let mut talk = talk(Csp::Auto);
    (talk.method, talk.body) = (Method::HEAD, "");
    talk.request.push(("accept-encoding", "br"));
    let got = talk.run().await;
    assert_eq!(got.one(CONTENT_ENCODING), "br");
    assert!(got.one(CONTENT_SECURITY_POLICY).contains("nonce"));
    assert!(got.body.is_empty());
}

#[tokio::test]
async fn a_304_replaces_no_policy_by_a_guess() {
    for (path, has_policy) in
        [("/a.css", true), ("/a.svg", true), ("/data", false), ("/a.html", false)]
    {
        let mut talk = talk(Csp::Auto);
        (talk.status, talk.path, talk.body) = (304, path, "");
        talk.answer = vec![("etag", "\"a\""), ("x-powered-by", "Next.js")];
        talk.request = vec![("sec-fetch-dest", "style"), ("if-none-match", "\"a\"")];
        let got = talk.run().await;
        assert_eq!(got.status, StatusCode::NOT_MODIFIED);
        assert_eq!(got.headers.contains_key(CONTENT_SECURITY_POLICY), has_policy, "{path}");
        assert_eq!(got.one("x-content-type-options"), "nosniff");
        assert_eq!(got.one("etag"), "\"a\"");
    }
}

/// A build with one page, `/page`.
fn built() -> (tempfile::TempDir, Plan) {
    let dir = tempfile::tempdir().expect("tempdir");
    let pages = dir.path().join("server/app");
    std::fs::create_dir_all(&pages).expect("folder");
    std::fs::write(pages.join("page.html"), PAGE.replace("words", &"words ".repeat(200)))
        .expect("page");
    std::fs::write(dir.path().join("BUILD_ID"), "one").expect("id");
    let plan = Plan { build_dir: Some(dir.path().to_owned()), ..plan(Csp::Auto) };
    (dir, plan)
}

#[tokio::test]
async fn a_prerendered_page_keeps_its_policy_in_every_form() {
    let (_dir, plan) = built();
    let body: &'static str =
        Box::leak(PAGE.replace("words", &"words ".repeat(200)).into_boxed_str());
    let length: &'static str = Box::leak(body.len().to_string().into_boxed_str());
    let mut talk = talk(Csp::Auto);
    talk.documents = Documents::new(plan);
    talk.body = body;
    talk.answer.extend([
        ("content-length", length),
        ("x-nextjs-cache", "HIT"),
        ("cache-control", "s-maxage=60"),
        ("etag", "\"theirs\""),
    ]);
    let whole = talk.run().await;
    let policy = whole.one(CONTENT_SECURITY_POLICY).to_owned();
    assert!(
        policy.contains(&tag().integrity.to_string()) && !policy.contains("nonce-"),
        "{policy}"
    );
    assert!(whole.text().contains("<head><script src=\"/_mainstay/m.js"), "{}", whole.text());
    assert_eq!(whole.one(CACHE_CONTROL), "s-maxage=60");
    let etag: &'static str = Box::leak(whole.one("etag").to_owned().into_boxed_str());
    assert_ne!(etag, "\"theirs\"");

    talk.request.push(("if-none-match", etag));
    let unchanged = talk.run().await;
    assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED);
    assert_eq!(
        unchanged.one(CONTENT_SECURITY_POLICY),
        policy,
        "a 304 carries the policy of its 200"
    );
    assert_eq!(unchanged.one("etag"), etag);
    assert!(unchanged.body.is_empty());
    talk.request.pop();

    talk.request.push(("accept-encoding", "br"));
    let packed = talk.run().await;
    assert_eq!(decode(Coding::Brotli, &packed.body), whole.body);
    assert_eq!(packed.one("etag"), format!("{}-br\"", etag.trim_end_matches('"')));
    talk.request.pop();

    (talk.method, talk.body) = (Method::HEAD, "");
    let head = talk.run().await;
    assert_eq!(head.one(CONTENT_SECURITY_POLICY), policy);
    assert_eq!(head.one(CONTENT_LENGTH), whole.body.len().to_string());
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn a_page_that_is_not_the_builds_is_guarded_by_nonce_and_what_is_known() {
    let (_dir, plan) = built();
    let mut talk = talk(Csp::Auto);
    talk.documents = Documents::new(plan);
    talk.body = "<html><head></head><script>evil()</script></html>";
    talk.answer.push(("content-length", "49"));
    let got = talk.run().await;
    let policy = got.one(CONTENT_SECURITY_POLICY);
    assert!(policy.contains(&format!("'nonce-{}'", got.nonce)), "{policy}");
    assert!(!policy.contains(&Hash::of_text("evil()").to_string()), "{policy}");
    assert!(got.text().contains("evil()") && got.text().contains("/_mainstay/m.js"));
    assert_eq!(got.one(CACHE_CONTROL), "private, no-store");
    assert_eq!(got.one(CONTENT_LENGTH), got.body.len().to_string());
}

/// What a talk is about that asks for the build's page.
fn built_talk(plan: Plan, more: &[(&'static str, &'static str)]) -> Talk {
    let body: &'static str =
        Box::leak(PAGE.replace("words", &"words ".repeat(200)).into_boxed_str());
    let length: &'static str = Box::leak(body.len().to_string().into_boxed_str());
    let mut talk = talk(Csp::Auto);
    (talk.documents, talk.body) = (Documents::new(plan), body);
    talk.answer.extend([
        ("content-length", length),
        ("x-nextjs-cache", "HIT"),
        ("etag", "\"theirs\""),
    ]);
    talk.answer.extend(more);
    talk.request.push(("accept-encoding", "br"));
    talk
}

#[tokio::test]
async fn a_page_of_the_build_that_nobody_may_transform_arrives_as_it_is() {
    let (_dir, plan) = built();
    let mut talk = built_talk(plan, &[("cache-control", "s-maxage=60, no-transform")]);
    let got = talk.run().await;
    assert_eq!(got.text(), talk.body);
    assert!(!got.headers.contains_key(CONTENT_ENCODING));
    assert_eq!(got.one("etag"), "\"theirs\"");
    assert_eq!(got.one(CONTENT_LENGTH), talk.body.len().to_string());
    assert_eq!(got.one(CACHE_CONTROL), "s-maxage=60, no-transform");
    assert!(!got.headers.contains_key(CONTENT_SECURITY_POLICY), "its scripts lack integrity");
    assert!(!got.one(CONTENT_SECURITY_POLICY_REPORT_ONLY).contains("nonce-"));
    talk.request.push(("if-none-match", "\"theirs\""));
    let unchanged = talk.run().await;
    assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED);
    assert!(unchanged.body.is_empty() && !unchanged.headers.contains_key(CONTENT_LENGTH));
}

#[tokio::test]
async fn no_tag_is_put_into_a_whole_page_whose_own_policy_forbids_it() {
    let own = ("content-security-policy", "script-src 'nonce-own' 'strict-dynamic'");
    let (_dir, plan) = built();
    let mut talk = built_talk(plan.clone(), &[own]);
    let got = talk.run().await;
    assert_eq!(decode(Coding::Brotli, &got.body), talk.body.as_bytes(), "the build's page");
    assert_eq!(got.one("etag"), "W/\"theirs\"");
    (talk.method, talk.body) = (Method::HEAD, "");
    let head = talk.run().await;
    assert_eq!(head.one(CONTENT_ENCODING), "br");
    assert!(head.body.is_empty() && !head.headers.contains_key(CONTENT_LENGTH));

    let mut talk = self::talk(Csp::Auto);
    talk.documents = Documents::new(plan);
    talk.body = "<html><head></head><script nonce=\"own\">one()</script></html>";
    talk.answer.extend([("content-length", "60"), own]);
    let got = talk.run().await;
    assert_eq!(got.text(), talk.body, "a page of its own making");
    assert_eq!(got.one(CONTENT_SECURITY_POLICY), own.1);
}

#[tokio::test]
async fn a_304_of_what_may_have_been_compressed_names_a_weak_tag() {
    for (path, coding, tag) in [
        ("/a.css", "br", "W/\"a\""),
        ("/data", "br", "W/\"a\""),
        ("/a.css", "identity", "\"a\""),
        ("/a.png", "br", "\"a\""),
    ] {
        let mut talk = talk(Csp::Auto);
        (talk.status, talk.path, talk.body) = (304, path, "");
        talk.answer = vec![("etag", "\"a\"")];
        talk.request = vec![("sec-fetch-dest", "empty"), ("accept-encoding", coding)];
        assert_eq!(talk.run().await.one("etag"), tag, "{path} {coding}");
    }
}

#[tokio::test]
async fn a_page_with_a_nonce_is_kept_by_no_cache_whoever_it_is_told() {
    let mut talk = talk(Csp::Auto);
    let told = [
        "cdn-cache-control",
        "cloudflare-cdn-cache-control",
        "surrogate-control",
        "x-accel-expires",
        "expires",
    ];
    talk.answer.extend(told.map(|name| (name, "max-age=600")));
    let got = talk.run().await;
    assert_eq!(got.one(CACHE_CONTROL), "private, no-store");
    for name in told {
        assert!(!got.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn the_wait_for_a_whole_page_is_told_apart() {
    let (_dir, plan) = built();
    let documents = Documents::new(plan);
    let mut request = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/html"))]);
    let uri = Uri::from_static("/page");
    let asked = documents.ask(&mut request, &Method::GET, &uri, Nonce::of([1; 18]));
    let late = futures_util::stream::once(async {
        // No wait for an event: this time itself is what must be told.
        tokio::time::sleep(Duration::from_millis(60)).await;
        Ok(http_body::Frame::data(Bytes::from_static(b"late")))
    });
    let mut response: Response<Relayed> =
        Response::new(Box::pin(http_body_util::StreamBody::new(late)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("4"));
    let (_, waited) = documents.answer(asked, response, false, 0).await.expect("answered");
    assert!(waited >= Duration::from_millis(60), "{waited:?}");
}

/// An app that sends an event and then waits.
struct Events(bool);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
        match std::mem::replace(&mut self.0, true) {
            true => Poll::Pending,
            false => {
                Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b"data: 1\n\n")))))
            }
        }
    }
}

#[tokio::test]
async fn events_pass_at_once() {
    let documents = Documents::new(plan(Csp::Auto));
    let mut request =
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"))]);
    let uri = Uri::from_static("/events");
    let asked = documents.ask(&mut request, &Method::GET, &uri, Nonce::of([1; 18]));
    let mut response: Response<Relayed> = Response::new(Box::pin(Events(false)));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    let (answered, _) = documents.answer(asked, response, false, 0).await.expect("answered");
    assert!(!answered.headers().contains_key(CONTENT_ENCODING));
    let Payload::Relayed(mut body) = answered.into_body() else { panic!("streamed") };
    let first = body.frame().await.expect("frame").expect("data").into_data().expect("data");
    assert_eq!(first, "data: 1\n\n");
}
