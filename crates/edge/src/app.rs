//! A request handed to the app behind a site, and its answer made ours. Connections are [`mainstay_upstream`]'s, documents [`crate::proxied`]'s.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use http::request::Parts as Head;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;
use hyper::body::Incoming;
use mainstay_telemetry::http::{Refusal, Route, SiteMetrics};
use mainstay_upstream::head::{self, Forward, Kind};
use mainstay_upstream::{Error, Exchange, RequestBody, Status, Timing, Upstreams, tunnel};

pub(crate) use mainstay_upstream::OpenError;

use crate::arriving::Arriving;
use crate::body::Body;
use crate::phases::{Answer, Asking, host_of};
use crate::problem::Problem;
use crate::proxied::{self, Asked, Documents, Payload, add_timing};
use crate::site::{Opening, Plan, Site};
use crate::switch::Switch;
use crate::template::template;
use crate::watch::Watch;
use crate::worker::Worker;

/// Failures are logged at most this often; every one is counted.
const LOG_EVERY_MS: u32 = 1_000;

/// The app behind a site.
pub(crate) struct App {
    pub(crate) upstreams: Upstreams,
    documents: Documents,
    http: SiteMetrics,
    tunnel_timeout: Duration,
    /// Told to the app, and refused when it comes back again and again: this process and this site, so that one site's app
    /// may ask another site by passing a request on.
    mark: HeaderValue,
    logged_ms: AtomicU32,
}

/// A request on its way to the app.
struct Handed {
    asked: Asked,
    head: Head,
    switch: Option<Switch>,
}

impl App {
    /// Opens the app of a plan; the one `before` hands its connections' counts and health on.
    pub(crate) fn open(
        plan: &Plan,
        wanted: mainstay_upstream::Plan,
        build_dir: Option<&Path>,
        before: Option<&Self>,
        with: &Opening<'_>,
    ) -> Result<Self, OpenError> {
        let tunnel_timeout = wanted.settings.tunnel_timeout.0;
        let upstreams = match before {
            Some(before) => before.upstreams.replaced(wanted)?,
            None => Upstreams::open(wanted, with.registry, with.clock)?,
        };
        upstreams.spawn_checks(with.group);
        let documents = Documents::new(proxied::Plan {
            headers: plan.headers.clone(),
            environment: plan.environment,
            tag: plan.tag.clone(),
            hosts: plan.known.clone(),
            build_dir: build_dir.map(Path::to_owned),
            prefix: with.settings.prefix.clone(),
            page_bytes_max: with.settings.cache_file_max,
            cache_bytes_max: with.settings.cache_bytes_max,
            revalidate_after: with.settings.revalidate_after,
        });
        let http = with.http.site(&plan.name);
        // Names of sites are tokens: letters, digits, "-" and "_".
        let mark = format!("{}{:016x}-{}", head::MARK, with.process, plan.name);
        let mark = HeaderValue::try_from(mark).unwrap_or_else(|_| HeaderValue::from(with.process));
        let logged_ms = AtomicU32::new(0);
        Ok(Self { upstreams, documents, http, tunnel_timeout, mark, logged_ms })
    }

    /// How its copies stand.
    pub(crate) fn status(&self) -> Vec<Status> {
        self.upstreams.status()
    }

    /// Whether its pages are known well enough for an enforced policy.
    pub(crate) fn is_recognised(&self) -> bool {
        self.documents.is_recognised()
    }

    /// Asks the app.
    pub(crate) async fn answer(
        &self,
        worker: &Arc<Worker>,
        site: &Site,
        asking: &Asking,
        request: Request<Incoming>,
        watch: &Watch,
    ) -> (Head, Answer) {
        // TRACE would show the client what we tell the app (RFC 9110 §9.3.8), CONNECT is for proxies of another kind.
        if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
            let answer = site.page(&site.pages.method_not_allowed, asking);
            return (request.into_parts().0, answer);
        }
        if head::goes_round(request.headers(), &self.mark) {
            worker.shared.http.refused(Refusal::Loop);
            let answer = self.without_answer(worker, site, &Error::Loop, asking);
            return (request.into_parts().0, answer);
        }
        let (handed, outgoing) = self.hand_over(worker, asking, request);
        watch.hand_over();
        let sent = worker.connections_to(self).send(outgoing).await;
        let Handed { asked, head, switch } = handed;
        let answer = match sent {
            // Boxed: every request would carry room for what few need.
            Ok(exchange) if exchange.is_upgrade() => {
                Box::pin(self.leave_http(exchange, switch)).await
            }
            Ok(exchange) => self.make_ours(asked, exchange, asking, worker.coarse.now()).await,
            Err(error) => Err(error),
        };
        let answer = match answer {
            Ok(response) => {
                let route = self.route(site, head.uri.path(), response.status());
                Answer { response, route, ours: false, problem: None }
            }
            Err(error) => self.without_answer(worker, site, &error, asking),
        };
        (head, answer)
    }

    fn without_answer(
        &self,
        worker: &Worker,
        site: &Site,
        error: &Error,
        asking: &Asking,
    ) -> Answer {
        self.log(site, error, worker.coarse.now());
        failed(site, error, asking)
    }

    /// What the app is sent: our word about the client, the nonce, the body as it comes.
    fn hand_over(
        &self,
        worker: &Worker,
        asking: &Asking,
        mut request: Request<Incoming>,
    ) -> (Handed, Request<RequestBody>) {
        let switch = request.extensions_mut().remove::<Switch>();
        let kind = match &switch {
            Some(_) => head::kind(request.method(), request.version(), request.headers()),
            None => Kind::Plain,
        };
        let waits = request.headers().contains_key(header::EXPECT);
        let client = asking.client(asking.host(&request));
        let forward = Forward {
            peer: asking.peer.address,
            client: &client,
            host: host_of(request.headers(), request.uri()),
            request_id: asking.id,
            kind,
            mark: &self.mark,
        };
        let mut headers = head::request_headers(request.headers(), &forward);
        let (method, uri) = (request.method().clone(), origin_form(request.uri()));
        let asked = self.documents.ask(&mut headers, &method, &uri, worker.next_nonce());
        let (head, body) = Arriving::of(request).into_parts();
        let body = if body.is_end_stream() {
            RequestBody::empty()
        } else {
            let body = RequestBody::boxed(Box::pin(body));
            if waits { body.when_asked_for() } else { body }
        };
        let mut outgoing = Request::new(body);
        *outgoing.method_mut() = method;
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = headers;
        (Handed { asked, head, switch }, outgoing)
    }

    async fn make_ours(
        &self,
        asked: Asked,
        exchange: Exchange,
        asking: &Asking,
        now_ms: u32,
    ) -> Result<Response<Body>, Error> {
        let (timing, upstream) = (exchange.timing, exchange.upstream);
        let response = exchange.response.map(|body| Box::pin(body) as proxied::Relayed);
        let made = self.documents.answer(asked, response, asking.https, now_ms).await;
        let (made, waited) = made.map_err(|_| Error::Closed { upstream, source: None })?;
        let mut response = made.map(|payload| match payload {
            Payload::Whole(bytes) => Body::whole(bytes),
            Payload::Relayed(body) => Body::relayed(body),
        });
        // Only now: the name of what it runs on tells how an app's pages are made.
        head::answer_headers(response.headers_mut());
        self.tell_timing(&mut response, (timing, waited), asking);
        Ok(response)
    }

    /// The `101`, and the two connections joined once it is sent.
    async fn leave_http(
        &self,
        exchange: Exchange,
        switch: Option<Switch>,
    ) -> Result<Response<Body>, Error> {
        let upstream = exchange.upstream;
        let what = "the answer switches protocols, which was not asked for";
        let switch = switch.ok_or(Error::BadAnswer { upstream, what })?;
        let (head, theirs) = exchange.upgrade().await?;
        let idle = self.tunnel_timeout;
        switch.leave(Box::new(move |client| {
            Box::pin(async move {
                let passed = tunnel(client, theirs, idle).await;
                tracing::debug!(?passed, "a tunnel ended");
            })
        }));
        let mut response = Response::from_parts(head, Body::empty());
        head::answer_headers(response.headers_mut());
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        Ok(response)
    }

    /// How the time to the answer's head was spent, for the browser and for the console; ours includes what we did before
    /// and after. A body's time is the client's and the network's too, that of the request like the answer's: it is in
    /// neither part.
    fn tell_timing(
        &self,
        response: &mut Response<Body>,
        (timing, waited): (Timing, Duration),
        asking: &Asking,
    ) {
        let apart = waited + timing.upload;
        let (upstream, total) = (timing.first_byte, asking.began.elapsed().saturating_sub(apart));
        add_timing(response.headers_mut(), upstream, total);
        self.http.record_split(upstream, total.saturating_sub(upstream));
    }

    fn route(&self, site: &Site, path: &str, status: StatusCode) -> Arc<Route> {
        match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => {
                Arc::clone(&site.unmatched)
            }
            _ => self.http.resolve(&template(path)),
        }
    }

    fn log(&self, site: &Site, error: &Error, now_ms: u32) {
        let before = self.logged_ms.load(Relaxed);
        if before != 0 && now_ms.wrapping_sub(before) < LOG_EVERY_MS {
            return;
        }
        self.logged_ms.store(now_ms.max(1), Relaxed);
        tracing::warn!(
            site = %site.name(),
            error = %Chain(error),
            outcome = error.outcome(),
            retryable = error.retryable(),
            "the app gave no answer (further ones within a second are only counted)"
        );
    }
}

/// An error with all its causes.
struct Chain<'a>(&'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// The target as an origin server takes it (RFC 9112 §3.2.1).
fn origin_form(uri: &Uri) -> Uri {
    match uri.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    }
}

/// 400, 502, 503, 504 or 508.
fn failed(site: &Site, error: &Error, asking: &Asking) -> Answer {
    let page = match error.status() {
        StatusCode::SERVICE_UNAVAILABLE => &site.pages.unavailable,
        StatusCode::GATEWAY_TIMEOUT => &site.pages.gateway_timeout,
        StatusCode::BAD_REQUEST => &site.pages.bad_request,
        StatusCode::LOOP_DETECTED => &site.pages.loop_detected,
        _ => &site.pages.bad_gateway,
    };
    let problem = Some(Problem::of_app(error));
    let mut answer = Answer { problem, ..site.page(page, asking) };
    if let Some(after) = error.retry_after() {
        let seconds = after.as_secs().max(1);
        answer.response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}
