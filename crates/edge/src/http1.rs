//! HTTP/1.1 over one connection: taken apart while nobody asks, handed over when it leaves HTTP.
//!
//! A connection that the library holds costs 20 KB however idle it is. Once it has been quiet for `edge.park_after` the
//! library gives the socket back, and with it goes every buffer; the next byte builds it up again.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, header};
use http_body::{Frame, SizeHint};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;

use crate::Settings;
use crate::activity::{InAnswer, Order};
use crate::body::Body;
use crate::connection::Connection;
use crate::fast_path::{self, Next};
use crate::phases;
use crate::socket::Stream;
use crate::switch::{Carry, Switch};
use crate::watch::Watch;
use crate::watched::Watched;
use crate::worker::Worker;

/// How the library's part of a connection ended.
enum Left {
    /// The client or we closed it.
    Over,
    /// Broken off, or left by the client, which is told so.
    Closing(Stream),
    /// To end now, whatever is in hand.
    Cut,
    /// Nobody asks for anything.
    Idle(Stream),
    /// Nothing is in hand, and the next request may be a plain one.
    Answered(Stream),
    /// It left HTTP with a `101`.
    Switched(Carry, Stream),
}

/// Carries a connection to its end.
pub(crate) async fn carry(connection: &Connection, mut stream: Stream) {
    loop {
        // Boxed, so that all of it is freed while the connection is parked.
        let left = match Box::pin(fast_path::carry(connection, &mut stream)).await {
            Next::Library { met_plain } => Box::pin(serve(connection, stream, met_plain)).await,
            Next::Rest => Left::Idle(stream),
            Next::Close => Left::Closing(stream),
            Next::Cut => Left::Cut,
        };
        match left {
            Left::Answered(answered) => {
                stream = answered;
                continue;
            }
            Left::Idle(idle) => stream = idle,
            Left::Closing(closing) => return closing.close().await,
            Left::Over | Left::Cut => return,
            Left::Switched(carry, stream) => {
                connection.activity.switched();
                tokio::select! {
                    () = carry(Box::new(stream)) => return,
                    () = connection.activity.cut_off() => return,
                }
            }
        }
        if !wait(connection, &stream).await {
            return stream.close().await;
        }
    }
}

/// Waits for the next request's first byte. False when there shall be none.
async fn wait(connection: &Connection, stream: &Stream) -> bool {
    if stream.has_unread() {
        connection.activity.sniffed();
        return true;
    }
    let _parked = connection.park();
    tokio::select! {
        biased;
        readable = stream.readable() => readable.is_ok(),
        () = connection.activity.told_to_leave() => false,
    }
}

/// The library's part. `returns_plain`: the next plain request is waited for elsewhere. A connection without any stays
/// here, for building this up costs more than a small answer.
async fn serve(connection: &Connection, stream: Stream, returns_plain: bool) -> Left {
    let Connection { worker, activity, .. } = connection;
    let switch = Switch::default();
    // The last request was one after which the next may be plain.
    let returns = AtomicBool::new(false);
    let service = service_fn(|mut request: Request<Incoming>| {
        let (upgrades, is_bare) =
            (request.headers().contains_key(header::UPGRADE), request.body().is_end_stream());
        if upgrades {
            request.extensions_mut().insert(switch.clone());
        }
        if !is_bare {
            request.extensions_mut().insert(activity.begin_exchange());
        }
        let may_return = returns_plain && is_bare && !upgrades && is_of_files(worker, &request);
        returns.store(may_return, Relaxed);
        let watch = Watch::Connection(Arc::clone(activity).begin_request());
        let answering = phases::answer(connection, request, watch);
        let activity = Arc::clone(activity);
        async move {
            let response = answering.wait().await;
            Ok::<_, Infallible>(response.map(|body| Lasting::new(body, &activity)))
        }
    });
    let io = Watched::new(stream, Arc::clone(activity));
    let mut http = builder(&worker.shared.settings).serve_connection(io, service);
    let mut draining = false;
    let ended = loop {
        let carried = poll_fn(|cx| match Pin::new(&mut http).poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            // Told to leave, it is the library that ends a connection, however fast requests come.
            Poll::Pending
                if returns.load(Relaxed) && !activity.is_drained() && activity.is_idle() =>
            {
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        });
        let order = tokio::select! {
            biased;
            carried = carried => match carried {
                Some(ended) => break ended,
                None => return Left::Answered(give_back(http.into_parts())),
            },
            order = activity.ordered() => order,
        };
        match order {
            Order::Cut => return Left::Cut,
            Order::Drain if !draining => {
                draining = true;
                Pin::new(&mut http).graceful_shutdown();
            }
            Order::Park if activity.is_idle() => return Left::Idle(give_back(http.into_parts())),
            Order::Drain | Order::Park => {}
        }
    };
    match (ended, switch.take()) {
        (Ok(()), None) => Left::Over,
        // After a `101` the library leaves the socket as it is.
        (Ok(()), Some(carry)) => Left::Switched(carry, give_back(http.into_parts())),
        (Err(error), _) => {
            connection.count_parse_error(&error);
            Left::Closing(give_back(http.into_parts()))
        }
    }
}

/// Whether the request's site is a folder.
fn is_of_files(worker: &Worker, request: &Request<Incoming>) -> bool {
    let sites = worker.shared.sites.load();
    let site = sites.find(phases::host_of(request.headers(), request.uri()));
    site.is_ok_and(|site| site.app().is_none())
}

fn give_back<S>(parts: hyper::server::conn::http1::Parts<Watched, S>) -> Stream {
    let mut stream = parts.io.into_inner();
    stream.unread(parts.read_buf);
    stream
}

fn builder(settings: &Settings) -> Builder {
    let mut builder = Builder::new();
    builder
        .header_read_timeout(None)
        .half_close(false)
        .keep_alive(true)
        .max_buf_size(settings.head_bytes_max.bytes().max(8 << 10));
    builder
}

/// A response body whose connection is not idle before its end. One in memory needs no watch: the library takes it
/// whole, and what the socket does not take is known there.
struct Lasting {
    body: Body,
    _in_answer: Option<InAnswer>,
}

impl Lasting {
    fn new(body: Body, activity: &Arc<crate::activity::Activity>) -> Self {
        let in_answer = body.is_streamed().then(|| Arc::clone(activity).begin_answer());
        Self { body, _in_answer: in_answer }
    }
}

impl http_body::Body for Lasting {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
