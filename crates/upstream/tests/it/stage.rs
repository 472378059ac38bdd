//! What every test stands on: upstreams opened on real addresses, requests, bodies by hand. Asserts nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use mainstay_base::Clock;
use mainstay_base::task::Group;
use mainstay_base::units::Span;
use mainstay_telemetry::metrics::Registry;
use mainstay_upstream::{
    AnswerBody, Connections, Error, Exchange, Plan, RequestBody, Settings, Target, Upstreams,
};
use tokio::sync::mpsc;

/// Longer than anything here takes, shorter than a test may.
pub(crate) const LONG: Duration = Duration::from_secs(15);

pub(crate) struct Stage {
    pub(crate) group: Group,
    pub(crate) registry: Registry,
    pub(crate) upstreams: Upstreams,
    pub(crate) connections: Connections,
}

pub(crate) const fn ms(n: u64) -> Span {
    Span(Duration::from_millis(n))
}

pub(crate) fn plan(addresses: &[SocketAddr], change: impl FnOnce(&mut Settings)) -> Plan {
    let mut settings = Settings { slow_start: ms(0), ..Settings::default() };
    change(&mut settings);
    let target = |address| Target::parse(&format!("http://{address}")).unwrap();
    let targets = addresses.iter().map(target).collect();
    Plan { site: "default".into(), host: None, targets, settings }
}

impl Stage {
    pub(crate) fn new(addresses: &[SocketAddr]) -> Self {
        Self::with(addresses, |_| {})
    }

    pub(crate) fn with(addresses: &[SocketAddr], change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(plan(addresses, change))
    }

    pub(crate) fn of(plan: Plan) -> Self {
        let group = Group::new();
        let registry =
            Registry::new(&mainstay_telemetry::settings::Metrics::default(), Clock::System);
        let upstreams = Upstreams::open(plan, &registry, &Clock::System).unwrap();
        let connections = upstreams.connections(&group);
        Self { group, registry, upstreams, connections }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Exchange, Error> {
        self.connections.send(request(Method::GET, path, RequestBody::empty())).await
    }

    pub(crate) async fn text_of(&self, path: &str) -> String {
        text(self.get(path).await.unwrap()).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: RequestBody) -> Result<Exchange, Error> {
        self.connections.send(request(Method::POST, path, body)).await
    }

    pub(crate) fn total(&self, metric: &str) -> f64 {
        self.registry.list_totals().get(metric).copied().unwrap_or(0.0)
    }
}

pub(crate) fn request(method: Method, path: &str, body: RequestBody) -> Request<RequestBody> {
    let request = Request::builder().method(method).uri(path).header("host", "shop.example");
    request.body(body).unwrap()
}

pub(crate) async fn text(exchange: Exchange) -> io::Result<String> {
    read(exchange.response.into_body()).await.map(|(text, _)| text)
}

/// The body's text and its trailers.
pub(crate) async fn read(body: AnswerBody) -> io::Result<(String, HeaderMap)> {
    let collected = tokio::time::timeout(LONG, body.collect()).await.expect("an end in time")?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Ok((String::from_utf8_lossy(&collected.to_bytes()).into_owned(), trailers))
}

/// A body whose pieces come from a channel; dropping the sender ends it.
pub(crate) struct Piecewise(mpsc::UnboundedReceiver<io::Result<Frame<Bytes>>>);

pub(crate) type Pieces = mpsc::UnboundedSender<io::Result<Frame<Bytes>>>;

pub(crate) fn piecewise() -> (Pieces, RequestBody) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, RequestBody::boxed(Box::pin(Piecewise(receiver))))
}

pub(crate) fn piece(text: &str) -> io::Result<Frame<Bytes>> {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

impl Body for Piecewise {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx)
    }
}

/// Looks until it is so, giving the runtime its turns.
pub(crate) async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !look() {
        assert!(began.elapsed() < LONG, "{what}: not in time");
        tokio::task::yield_now().await;
    }
}
