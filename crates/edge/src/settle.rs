//! The end of every answer: its framing, its metrics, its line in the access log. Changes nothing a visitor sees.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts as Head;
use http::{HeaderValue, Method, Response, StatusCode, Version, header};
use mainstay_telemetry::access::Line;
use mainstay_telemetry::http::{self as metric, Route};

use crate::body::Body;
use crate::phases::{Answer, Asking, host_of};
use crate::worker::Worker;

/// What is told of a request and its answer.
pub(crate) struct Told<'a> {
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) protocol: &'static str,
    pub(crate) referrer: Option<&'a str>,
    pub(crate) status: StatusCode,
    /// Of the body that was sent.
    pub(crate) bytes: u64,
    /// Endpoints of ours are no traffic of the site.
    pub(crate) ours: bool,
}

impl<'a> Told<'a> {
    fn of(head: &'a Head, https: bool, ours: bool, (status, bytes): (StatusCode, u64)) -> Self {
        let referrer = head.headers.get(header::REFERER);
        Self {
            method: head.method.as_str(),
            host: host_of(&head.headers, &head.uri).unwrap_or(""),
            path: head.uri.path(),
            protocol: protocol(head.version, https),
            referrer: referrer.and_then(|value| value.to_str().ok()),
            status,
            bytes,
            ours,
        }
    }
}

/// Metrics and the access log, once the whole answer is known: at once for one in memory, at its end for a stream.
pub(crate) fn settle(
    worker: &Arc<Worker>,
    asking: Asking,
    head: Head,
    answer: Answer,
) -> Response<Body> {
    let Answer { mut response, route, ours, .. } = answer;
    frame(&mut response, &head);
    if !response.body().is_streamed() {
        let bytes = response.body().length().unwrap_or(0);
        let told = Told::of(&head, asking.peer.https, ours, (response.status(), bytes));
        note(worker, &asking, &told, &route);
        return response;
    }
    let (worker, status) = (Arc::clone(worker), response.status());
    response.body_mut().on_end(Box::new(move |bytes| {
        let told = Told::of(&head, asking.peer.https, ours, (status, bytes));
        note(&worker, &asking, &told, &route);
    }));
    response
}

/// HEAD is answered like GET, without its body.
fn frame(response: &mut Response<Body>, head: &Head) {
    let bodiless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if head.method == Method::HEAD && !bodiless {
        // The library drops the body itself on HTTP/1 alone, and leaves out a length of zero. An app's answer to HEAD
        // has no body whose length could be told: what it says itself stays (RFC 9110 §8.6).
        if let Some(length) = response.body().length() {
            let length = HeaderValue::from(length);
            response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length);
        }
        *response.body_mut() = Body::empty();
    }
}

/// Counts an answer and writes its line.
pub(crate) fn note(worker: &Worker, asking: &Asking, told: &Told<'_>, route: &Route) {
    let (elapsed, status) = (asking.began.elapsed(), told.status.as_u16());
    let method = metric::Method::of(told.method);
    if told.ours {
        route.record_ours(method, status, asking.agent, elapsed, told.bytes, asking.id);
    } else {
        route.record(method, status, asking.agent, elapsed, told.bytes, asking.id);
    }
    worker.log(&Line {
        at: asking.received,
        request_id: asking.id,
        told_id: asking.told_id().and_then(|id| id.to_str().ok()),
        client: asking.client,
        method: told.method,
        host: told.host,
        path: told.path,
        status,
        bytes: told.bytes,
        micros: micros(elapsed),
        agent: asking.agent,
        route: route.template(),
        protocol: told.protocol,
        referrer_host: told.referrer.and_then(host_of_url),
    });
}

/// The host of an absolute http(s) URL, without user information.
fn host_of_url(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit('@').next()
}

fn protocol(version: Version, tls: bool) -> &'static str {
    match version {
        Version::HTTP_2 if tls => "h2",
        Version::HTTP_2 => "h2c",
        Version::HTTP_10 => "http/1.0",
        _ => "http/1.1",
    }
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}
