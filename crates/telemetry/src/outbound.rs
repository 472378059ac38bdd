//! The one outbound HTTP client: who may be asked, what it may cost, how it ended. Decides nothing about the answer.
//!
//! # Invariants
//! - A connection is opened to an address that was checked, never to a name: what a resolver says next does not matter.
//! - Each redirect is checked as if it were the first address.
//! - Certificates are verified, always; proxies that the environment names are not asked.
//! - Time, bytes, redirects, addresses tried and names looked up at once have a bound.

mod body;
mod check;
mod dial;
mod error;
mod limits;
mod meters;
mod policy;
mod probe;
mod redirect;
mod resolve;
mod tls;
mod trace;

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
use url::Url;

pub use error::{Error, Phase, Rule};
pub use limits::{Excess, Limits};
pub use meters::Purpose;
pub use policy::{Origin, Policy};
pub use resolve::Resolver;
pub use tls::{Secured, SetupError, Trust};

use crate::metrics::Registry;
use check::Target;
use meters::Meters;

/// Most that a head may hold.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How we say who asks.
const USER_AGENT: &str = concat!("Mainstay/", env!("CARGO_PKG_VERSION"));

/// Sends requests to others. Clones share what they count.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    names: resolve::Names,
    tls: tls::Connector,
    meters: Meters,
}

/// A request to somebody else.
#[derive(Clone, Debug)]
pub struct Request {
    /// What for, as it is counted.
    pub purpose: Purpose,
    /// Who may be asked.
    pub policy: Policy,
    /// What it may cost.
    pub limits: Limits,
    /// `GET`, or what else.
    pub method: Method,
    /// Whom, and what.
    pub url: String,
    /// Headers beside `Host`, `User-Agent` and `Accept-Encoding`, which are the client's.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
}

/// What was answered, its body complete and decoded.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status of the last answer.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, or the beginning of it.
    pub body: Bytes,
    /// Whether the body goes on: [`Excess::Cut`].
    pub is_cut: bool,
    /// Who answered, after redirects.
    pub url: Url,
    /// Where it was.
    pub address: SocketAddr,
    /// What TLS agreed on; none by plain http.
    pub secured: Option<Secured>,
    /// Every answer before the last: who gave it, with which status.
    pub hops: Vec<(Url, StatusCode)>,
}

impl Request {
    /// A `GET`.
    #[must_use]
    pub fn get(purpose: Purpose, policy: Policy, url: &str) -> Self {
        Self {
            purpose,
            policy,
            limits: Limits::default(),
            method: Method::GET,
            url: url.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A `POST` of a body of this type.
    #[must_use]
    pub fn post(
        purpose: Purpose,
        policy: Policy,
        url: &str,
        content_type: HeaderValue,
        body: Bytes,
    ) -> Self {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
        Self { method: Method::POST, headers, body, ..Self::get(purpose, policy, url) }
    }
}

/// Makes what is counted of requests to others be there from the start, at zero: a rate needs a number before the first.
pub fn register(registry: &Registry) {
    drop(Meters::new(registry));
}

impl Client {
    /// A client that believes whom `trust` names.
    ///
    /// # Errors
    /// When there is nobody to believe.
    pub fn new(registry: &Registry, resolver: Resolver, trust: &Trust) -> Result<Self, SetupError> {
        let tls = tls::Connector::new(trust)?;
        Ok(Self(Arc::new(Inner {
            names: resolve::Names::new(resolver),
            tls,
            meters: Meters::new(registry),
        })))
    }

    /// Sends a request and reads its answer whole.
    ///
    /// # Errors
    /// [`Error`]; an answer of any status is none.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let began = Instant::now();
        let (purpose, first) = (request.purpose, request.url.clone());
        let deadline = began + request.limits.total;
        let sent = timeout_at(deadline, self.follow(request)).await;
        let answer = sent.unwrap_or(Err(Error::Timeout(Phase::Answer)));
        let took = began.elapsed();
        self.0.meters.count(purpose, answer.as_ref().err(), took);
        trace::tell(purpose, &first, answer.as_ref(), took);
        answer
    }

    /// Asks, and asks on where the answer points.
    async fn follow(&self, mut request: Request) -> Result<Answer, Error> {
        let mut target = Target::of(&request.policy, check::parse(&request.url)?)?;
        let mut hops = Vec::new();
        loop {
            let (mut answer, next) = self.ask(&request, &target, hops.len()).await?;
            let Some(next) = next else {
                answer.hops = hops;
                return Ok(answer);
            };
            redirect::prepare(&mut request, &answer, &next)?;
            target = Target::of(&request.policy, next)?;
            hops.push((answer.url, answer.status));
        }
    }

    /// One request, one answer, and where it sends on to.
    async fn ask(
        &self,
        request: &Request,
        target: &Target,
        hops: usize,
    ) -> Result<(Answer, Option<Url>), Error> {
        let addresses = self.0.names.resolve(target).await?;
        let addresses = check::addresses(&request.policy, target, addresses)?;
        let deadline = Instant::now() + request.limits.connect;
        let dialled = dial::connect(&addresses, deadline).await?;
        let (stream, secured) = self.0.tls.secure(dialled.stream, target, deadline).await?;
        let (mut sender, connection) = Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(Error::Answer)?;
        let message = message(request, target);
        let exchange = async {
            let response = sender.send_request(message).await.map_err(Error::Answer)?;
            let (parts, body) = response.into_parts();
            let next = redirect::next(&request.limits, target, &parts, hops)?;
            // Of an answer that only sends on, nobody reads the body.
            let read = match next.is_some() || request.method == Method::HEAD {
                true => body::Read::default(),
                false => body::read(&parts.headers, body, &request.limits).await?,
            };
            let answer = Answer {
                status: parts.status,
                headers: parts.headers,
                body: read.bytes,
                is_cut: read.is_cut,
                url: target.url.clone(),
                address: dialled.address,
                secured,
                hops: Vec::new(),
            };
            Ok((answer, next))
        };
        let mut exchange = pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            // It may have ended with the answer still to be taken.
            _ = connection => exchange.await,
        }
    }
}

/// The request as it is written.
fn message(request: &Request, target: &Target) -> http::Request<Full<Bytes>> {
    let mut message = http::Request::new(Full::new(request.body.clone()));
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = target.path.clone().into();
    let headers = message.headers_mut();
    headers.clone_from(&request.headers);
    headers.insert(header::HOST, target.host.clone());
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    message
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.names.resolver).finish()
    }
}
