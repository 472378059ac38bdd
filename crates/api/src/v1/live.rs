//! `GET /api/v1/live`: the snapshot of every second, shared by all who look at the same site, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_base::ErrorCode;

use super::scope::Scope;
use crate::access::{Caller, is_still_signed_in};
use crate::admin::Admin;
use crate::live::Stream;
use crate::problem::Problem;

/// How often a silent stream says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(2);
/// Frames between two looks at the session: a revoked one ends its stream within this many seconds.
const FRAMES_PER_CHECK: u64 = 10;

struct Following {
    admin: Arc<Admin>,
    headers: HeaderMap,
    stream: Stream,
    sent: u64,
    history: Option<String>,
}

/// Streams until the client leaves, the session ends or the server stops.
pub(crate) async fn stream(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    scope: Scope,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(stream) = admin.live.open(&scope) else {
        return Err(
            Problem::new(ErrorCode::Unavailable, "Too many live streams are open.").retry_after(10)
        );
    };
    let history = Some(admin.live.history(&scope));
    let following = Following { admin, headers, stream, sent: 0, history };
    let events = stream::unfold(following, next);
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // Proxies that buffer would turn a live view into a slide show.
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

async fn next(mut following: Following) -> Option<(Result<Event, Infallible>, Following)> {
    if let Some(history) = following.history.take() {
        return Some((Ok(Event::default().event("history").retry(RETRY).data(history)), following));
    }
    tokio::select! {
        changed = following.stream.frames.changed() => changed.ok()?,
        () = following.admin.stop.soft() => return None,
    }
    following.sent += 1;
    if following.sent.is_multiple_of(FRAMES_PER_CHECK)
        && !is_still_signed_in(&following.admin, &following.headers).await
    {
        return None;
    }
    let frame = following.stream.frames.borrow_and_update().clone();
    let id = frame.sequence.to_string();
    Some((Ok(Event::default().event("snapshot").id(id).data(&*frame.json)), following))
}
