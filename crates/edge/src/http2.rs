//! HTTP/2 over one connection: its limits, and an owner for each of its streams. Never answers a request.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use mainstay_base::task::Group;

use crate::Settings;
use crate::activity::Order;
use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::followed::Followed;
use crate::gathered::Gathered;
use crate::phases;
use crate::socket::Stream;
use crate::watch::Watch;
use crate::watched::Watched;

/// Receive window of one HTTP/2 stream and of its connection (Envoy's edge guide).
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Largest frame a client may send: the least the protocol allows (RFC 9113 §4.2).
const FRAME_BYTES: u32 = 16 << 10;
/// Memory for header compression, each way.
const HEADER_TABLE_BYTES: u32 = 4 << 10;
/// Bytes of one stream's answer that the library queues.
const SEND_BYTES: usize = 128 << 10;
/// Streams that a client opened and reset again before they were looked at (CVE-2023-44487); more ends the connection.
const RESETS_PENDING: usize = 20;
/// Streams reset because the client broke the protocol; more ends the connection (CVE-2025-8671).
const ERROR_RESETS: usize = 64;

/// Carries a connection to its end.
pub(crate) async fn carry(connection: &Connection, stream: Stream) {
    let Connection { worker, activity, group, .. } = connection;
    activity.multiplexed();
    let begun = Begun::default();
    let service = service_fn(|mut request: Request<Incoming>| {
        let exchange = activity.begin_exchange();
        if !request.body().is_end_stream() {
            exchange.has_body();
            request.extensions_mut().insert(Arc::clone(&exchange));
        }
        let in_hand = Arc::clone(activity).begin_request();
        let watch = Watch::Stream(Arc::clone(&exchange));
        let answering = phases::answer(connection, request, watch);
        begun.put(Next { exchange: Arc::clone(&exchange), is_answered: answering.is_now() });
        async move {
            let response = answering.wait().await;
            drop(in_hand);
            exchange.answered();
            Ok::<_, Infallible>(response.map(|body| Followed::new(body, exchange)))
        }
    });
    let io = Gathered::new(Watched::new(stream, Arc::clone(activity)));
    let streams = OnWorker { group: group.clone(), begun: begun.clone() };
    let builder = builder(&worker.shared.settings, streams);
    let mut http = pin!(builder.serve_connection(io.clone(), service));
    let mut draining = false;
    let ended = loop {
        let order = tokio::select! {
            biased;
            ended = poll_fn(|cx| take_turn(http.as_mut(), &io, cx)) => break ended,
            order = activity.ordered() => order,
        };
        match order {
            Order::Cut => return,
            Order::Drain if !draining => {
                draining = true;
                http.as_mut().graceful_shutdown();
            }
            Order::Drain | Order::Park => {}
        }
    };
    if let Err(error) = ended {
        connection.count_parse_error(&error);
    }
}

/// Lets the protocol do all it can, and sends what came of it.
fn take_turn<F: Future>(http: Pin<&mut F>, io: &Gathered, cx: &mut Context<'_>) -> Poll<F::Output> {
    let polled = http.poll(cx);
    io.send(cx);
    polled
}

fn builder(settings: &Settings, streams: OnWorker) -> Builder<OnWorker> {
    let mut builder = Builder::new(streams);
    let head_bytes = u32::try_from(settings.head_bytes_max.0).unwrap_or(u32::MAX);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.h2_streams_max)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(head_bytes)
        .header_table_size(HEADER_TABLE_BYTES)
        .max_send_buf_size(SEND_BYTES)
        .max_pending_accept_reset_streams(RESETS_PENDING)
        .max_local_error_reset_streams(ERROR_RESETS)
        .keep_alive_interval(settings.idle_timeout.0)
        .keep_alive_timeout(settings.head_timeout.0);
    builder
}

/// The stream that is carried next: the library asks for an answer and hands over what carries it, in this order.
struct Next {
    exchange: Arc<Exchange>,
    is_answered: bool,
}

#[derive(Clone, Default)]
struct Begun(Arc<Mutex<Option<Next>>>);

impl Begun {
    fn put(&self, next: Next) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    }

    fn take(&self) -> Option<Next> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Streams of one HTTP/2 connection, owned like everything else. One that is answered already is carried right here, and
/// becomes a task only when its client has to be waited for: most never do.
#[derive(Clone)]
struct OnWorker {
    group: Group,
    begun: Begun,
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for OnWorker {
    fn execute(&self, stream: F) {
        match self.begun.take() {
            Some(Next { exchange, is_answered: true }) => {
                self.group.start_child("stream", exchange.carry(stream));
            }
            Some(Next { exchange, .. }) => {
                self.group.spawn_child("stream", exchange.carry(stream));
            }
            None => self.group.spawn_child("stream", stream),
        }
    }
}
