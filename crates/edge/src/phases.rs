//! The request, from its head to its answer, in one function that reads top to bottom.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;
use mainstay_base::Timestamp;
use mainstay_base::agent::AgentClass;
use mainstay_guard::cors::Decision;
use mainstay_guard::{Facts, Origin};
use mainstay_telemetry::http::{Refusal, Route};
use mainstay_upstream::{Client, Scheme};

use crate::body::Body;
use crate::connection::Connection;
use crate::cors;
use crate::files::Files;
use crate::folder;
use crate::origin;
use crate::problem::Problem;
use crate::settle::settle;
use crate::site::{Answers, Site};
use crate::sites::is_host;
pub(crate) use crate::to_https::ToHttps;
use crate::watch::Watch;
use crate::worker::Worker;

/// The header that names a request in answers and logs.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// The connection itself is TLS.
    pub(crate) https: bool,
    /// It came where https is wanted, without it.
    pub(crate) to_https: Option<ToHttps>,
}

/// What is known of a request once its head is read, kept until it is settled.
pub(crate) struct Asking {
    pub(crate) peer: Peer,
    /// The client behind trusted proxies; else the peer.
    pub(crate) client: IpAddr,
    /// The client's own connection is TLS, to us or to a trusted proxy.
    pub(crate) https: bool,
    /// What a trusted proxy says the client asked for.
    told: Option<Box<Client>>,
    pub(crate) agent: AgentClass,
    pub(crate) id: u128,
    pub(crate) began: Instant,
    pub(crate) received: Timestamp,
}

/// An answer and the route it counts for.
pub(crate) struct Answer {
    pub(crate) response: Response<Body>,
    pub(crate) route: Arc<Route>,
    /// Endpoints of ours are no traffic of the site.
    pub(crate) ours: bool,
    /// What it tells a program in the page's stead, where it is an error page of ours.
    pub(crate) problem: Option<Problem>,
}

/// What becomes of a request.
pub(crate) enum Answering {
    /// It is answered: all of it was in memory.
    Now(Response<Body>),
    /// A disk, an app or a handler of ours is asked. Boxed: the library moves this about for every request.
    Later(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Answering {
    fn later(answer: impl Future<Output = Response<Body>> + Send + 'static) -> Self {
        Self::Later(Box::pin(answer))
    }

    /// Whether nobody needs to be asked any more.
    pub(crate) fn is_now(&self) -> bool {
        matches!(self, Self::Now(_))
    }

    /// The answer.
    pub(crate) async fn wait(self) -> Response<Body> {
        match self {
            Self::Now(response) => response,
            Self::Later(answer) => answer.await,
        }
    }
}

/// Answers one request: who · id · which site · our own paths · the site's answer · headers · settle.
///
/// [`crate::fast_path`] does the same for plain requests whose answer is in memory. A step that is added between the site
/// and its answer is added to [`find_files`] too, or a plain request passes it by.
pub(crate) fn answer(
    connection: &Connection,
    request: Request<Incoming>,
    watch: Watch,
) -> Answering {
    // 1 who, 2 request id
    let Connection { worker, peer, .. } = connection;
    let asking = Asking::of(worker, *peer, &request);
    let shared = &worker.shared;
    let host = asking.host(&request);
    // 3 may it pass: understood, and meant for one of our sites. A trusted proxy answers for what it was shown.
    let sites = shared.sites.load();
    let site = if is_malformed(&request) {
        Err(Refusal::BadRequest)
    } else if asking.told.is_none() && connection.is_misdirected(host) {
        Err(Refusal::Misdirected)
    } else {
        sites.find(host)
    };
    let site = match site {
        Ok(site) => site,
        Err(refusal) => {
            shared.http.refused(refusal);
            let mut answer = sites.refuse(refusal, &asking);
            // What follows may be a part of what was not understood (RFC 9112 §6.3, RFC 9110 §9.3.6).
            if refusal == Refusal::BadRequest && request.version() < Version::HTTP_2 {
                let close = HeaderValue::from_static("close");
                answer.response.headers_mut().insert(header::CONNECTION, close);
            }
            return finish(worker, asking, None, request.into_parts().0, answer);
        }
    };
    if let Some(to_https) = asking.peer.to_https.filter(|_| !asking.https) {
        let answer = match host.and_then(|host| to_https.location(host, request.uri())) {
            Some(location) => {
                shared.count_redirect();
                site.redirect(location, &asking)
            }
            None => sites.refuse(Refusal::BadRequest, &asking),
        };
        return finish(worker, asking, Some(site), request.into_parts().0, answer);
    }
    if let Some(answer) = cors::preflight(shared, site, &asking, &request) {
        return finish(worker, asking, Some(site), request.into_parts().0, answer);
    }
    let path = request.uri().path();
    // 4 what is ours
    if shared.is_ours(request.method(), path) {
        let origin = origin::find(&sites, site, request.headers(), host);
        let (worker, site) = (Arc::clone(worker), Arc::clone(site));
        return Answering::later(async move {
            let response = from_ours(&worker, asking, &site, origin, request).await;
            drop(watch);
            response
        });
    }
    if let Some(answer) =
        host.and_then(|host| site.canonical_redirect(&asking, host, request.uri()))
    {
        return finish(worker, asking, Some(site), request.into_parts().0, answer);
    }
    // 7 the site's answer
    let now = worker.coarse.now();
    if let Answers::Files(files) = &site.answers
        && let Some(answer) = folder::remembered(site, files, &asking, &request, now)
    {
        return finish(worker, asking, Some(site), request.into_parts().0, answer);
    }
    let (worker, site) = (Arc::clone(worker), Arc::clone(site));
    Answering::later(async move {
        let (head, answer) = match &site.answers {
            Answers::Files(files) => {
                // Boxed: an app's requests would carry room for it.
                let answer = Box::pin(folder::answer(&site, files, &asking, &request, now)).await;
                (request.into_parts().0, answer)
            }
            Answers::App(app) => app.answer(&worker, &site, &asking, request, &watch).await,
        };
        let response = dressed(&worker, asking, Some(&site), head, answer);
        drop(watch);
        response
    })
}

/// The files of a site, where no other step of [`answer`] has a say in a `GET` without a word that [`crate::fast_path`]
/// does not know, of a client that no proxy tells us about.
pub(crate) fn find_files<'s>(
    connection: &Connection,
    site: &'s Site,
    (host, path): (&str, &str),
) -> Option<&'s Arc<Files>> {
    let Answers::Files(files) = &site.answers else { return None };
    let Connection { worker, peer, .. } = connection;
    let is_elsewhere = peer.to_https.is_some()
        || connection.is_misdirected(Some(host))
        || worker.shared.trust.contains(peer.address)
        || worker.shared.is_ours(&Method::GET, path)
        || site.cors().is_some()
        || site.better_host(host, peer.https).is_some();
    (!is_elsewhere).then_some(files)
}

fn finish(
    worker: &Arc<Worker>,
    asking: Asking,
    site: Option<&Arc<Site>>,
    head: Head,
    answer: Answer,
) -> Answering {
    Answering::Now(dressed(worker, asking, site, head, answer))
}

/// 8 headers that depend on the request, 9 settle.
fn dressed(
    worker: &Arc<Worker>,
    asking: Asking,
    site: Option<&Arc<Site>>,
    head: Head,
    mut answer: Answer,
) -> Response<Body> {
    let decision = site.map_or(Decision::Silent, |site| decide_cors(site, &head));
    if let Some(problem) = answer.problem.filter(|problem| problem.is_wanted(&head.headers)) {
        problem.write(&mut answer.response);
    }
    dress(&mut answer.response, &asking, decision);
    settle(worker, asking, head, answer)
}

fn decide_cors(site: &Site, head: &Head) -> Decision {
    let decide = |settings| cors::decide(settings, &head.method, &head.headers);
    site.cors().map_or(Decision::Silent, decide)
}

impl Asking {
    fn of(worker: &Worker, peer: Peer, request: &Request<Incoming>) -> Self {
        let trust = &worker.shared.trust;
        let told = trust.contains(peer.address).then(|| {
            let scheme = if peer.https { Scheme::Https } else { Scheme::Http };
            let host = host_of(request.headers(), request.uri());
            let end = mainstay_upstream::client::Peer { address: peer.address, scheme, host };
            Box::new(Client::find(end, request.headers(), trust))
        });
        let user_agent = request.headers().get(header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| value.to_str().ok());
        let asking = Self::untold(worker, peer, user_agent, Instant::now());
        match told {
            Some(client) => {
                let (address, https) = (client.address, client.https);
                Self { client: address, https, told: Some(client), ..asking }
            }
            None => asking,
        }
    }

    /// Of a client about whom nobody tells us anything but its connection; `began`: when its head was there.
    pub(crate) fn untold(
        worker: &Worker,
        peer: Peer,
        user_agent: Option<&str>,
        began: Instant,
    ) -> Self {
        Self {
            peer,
            client: peer.address,
            https: peer.https,
            told: None,
            agent: worker.class_of(user_agent),
            id: worker.next_id(),
            began,
            received: worker.shared.clock.now(),
        }
    }

    /// The host the client asked for.
    pub(crate) fn host<'a>(&'a self, request: &'a Request<Incoming>) -> Option<&'a str> {
        let told = self.told.as_ref().and_then(|client| client.host.as_deref());
        told.or_else(|| host_of(request.headers(), request.uri()))
    }

    /// The id that a trusted proxy gave the request; it takes the place of ours wherever people read it.
    pub(crate) fn told_id(&self) -> Option<&HeaderValue> {
        self.told.as_ref()?.request_id.as_ref()
    }

    /// Who is asking, as the app behind us is told.
    pub(crate) fn client(&self, host: Option<&str>) -> Client {
        match &self.told {
            Some(client) => Client::clone(client),
            None => Client {
                address: self.client,
                https: self.https,
                host: host.map(Into::into),
                told: None,
                request_id: None,
            },
        }
    }
}

/// HTTP/1.1 demands exactly one `Host` that is one (RFC 9112 §3.2), HTTP/2 an `:authority` that it does not contradict
/// (RFC 9113 §8.3.1); every version a path we can read and a body whose end has one
/// reading.
fn is_malformed(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let first = hosts.next();
    let (uri, version) = (request.uri(), request.version());
    let is_star = uri.path() == "*" && *request.method() == Method::OPTIONS;
    let bad_path = !uri.path().starts_with('/') && !is_star;
    let needs_host = version == Version::HTTP_11 && first.is_none();
    let contradicts = version == Version::HTTP_2
        && first.is_some_and(|host| uri.authority().is_some_and(|a| a.as_str() != host));
    let bad_host = match (uri.authority(), first) {
        (Some(authority), _) => !is_host(authority.as_str()),
        (None, Some(host)) => host.to_str().map_or(true, |host| !host.is_empty() && !is_host(host)),
        (None, None) => false,
    };
    let bad_coding = is_another_coding(request.headers());
    needs_host || hosts.next().is_some() || bad_path || contradicts || bad_host || bad_coding
}

/// A transfer coding that is not `chunked` once and alone: the library reads the last word of the last line, which is
/// where readers differ, and would hand on a body that is still coded (RFC 9112 §6.1).
fn is_another_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next();
    let chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    first.is_some_and(|coding| !chunked(coding) || codings.next().is_some())
}

async fn from_ours(
    worker: &Arc<Worker>,
    asking: Asking,
    site: &Site,
    origin: Origin,
    request: Request<Incoming>,
) -> Response<Body> {
    let facts = Facts {
        origin,
        client: asking.client,
        https: asking.https,
        host: asking.host(&request).map(|host| host.to_ascii_lowercase().into()),
        site: Arc::clone(site.name()),
        agent: asking.agent,
        request_id: asking.id,
        received: asking.received,
    };
    let (mut head, body) = request.into_parts();
    let decision = decide_cors(site, &head);
    head.extensions.insert(facts);
    let head = Arc::new(head);
    let (route, response) = (worker.shared.ours)(Arc::clone(&head), body).await;
    let mut response = response.map(Body::whole);
    if asking.https {
        site.set_hsts(response.headers_mut());
    }
    dress(&mut response, &asking, decision);
    let answer = Answer {
        response,
        route: worker.shared.http.resolve_ours(route),
        ours: true,
        problem: None,
    };
    settle(worker, asking, Arc::unwrap_or_clone(head), answer)
}

/// Headers that depend on the request: its id, and what CORS says.
fn dress(response: &mut Response<Body>, asking: &Asking, decision: Decision) {
    cors::apply(decision, response);
    let ours = || HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&hex_id(asking.id))).ok();
    if let Some(mut value) = asking.told_id().cloned().or_else(ours) {
        // Each is another: kept in HTTP/2's table it would push out what all answers share (RFC 7541 §6.2.3).
        value.set_sensitive(true);
        match response.headers_mut().get_mut(REQUEST_ID) {
            Some(place) => *place = value,
            None => drop(response.headers_mut().insert(REQUEST_ID, value)),
        }
    }
}

/// The host a request names: in its target where that is absolute, in `Host` otherwise (RFC 9112 §3.2.2).
pub(crate) fn host_of<'h>(headers: &'h HeaderMap, uri: &'h http::Uri) -> Option<&'h str> {
    let named = || headers.get(header::HOST).and_then(|value| value.to_str().ok());
    uri.authority().map(http::uri::Authority::as_str).or_else(named)
}

/// An id as people read it.
pub(crate) fn hex_id(id: u128) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [0; 32];
    for (at, byte) in id.to_be_bytes().into_iter().enumerate() {
        out[at * 2] = DIGITS[usize::from(byte >> 4)];
        out[at * 2 + 1] = DIGITS[usize::from(byte & 15)];
    }
    out
}
