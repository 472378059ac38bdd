//! HTTP/1.1's short way: a plain request for what memory holds ready is read and answered here. Everything else is left to the library.
//!
//! The library makes a map of a request's lines and another of the answer's, to write it out a moment later. For a small
//! file that is two thirds of the work.
//!
//! # Invariants
//! - What is answered here gets the status, the headers and the body that [`crate::phases::answer`] would give it, the
//!   same counts and the same line in the access log. A step of that function that looks at more than [`Plain`] holds
//!   keeps a site from being answered here.
//! - A request with a line that is not known here by its name is left to the library: no body, no upgrade, no second
//!   opinion about where a request ends.
//! - Bytes that were read and not answered are put back.

use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::{Method, StatusCode};
use mainstay_base::coding;
use mainstay_telemetry::http::Route;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::activity::Order;
use crate::conditional::{self, Conditions, Outcome, Validators};
use crate::connection::Connection;
use crate::content::{Content, Source};
use crate::files::Entry;
use crate::pages::Page;
use crate::phases::{Asking, hex_id};
use crate::settle::{Told, note};
use crate::site::{Answers, Site};
use crate::socket::Stream;

mod plain;
mod written;

use plain::Plain;
use written::Lines;
pub(crate) use written::Written;

/// A head that is longer is left to the library.
const HEAD_BYTES: usize = 4 << 10;

/// How it ended.
pub(crate) enum Left {
    /// Something else than a plain request comes next.
    Other,
    /// Nobody asks for anything.
    Idle,
    /// The client or we closed it.
    Over,
    /// To end now, whatever is in hand.
    Cut,
}

/// Answers plain requests for as long as they come.
pub(crate) async fn carry(connection: &Connection, stream: &mut Stream) -> Left {
    if !is_possible(connection) {
        return Left::Other;
    }
    let activity = &*connection.activity;
    let (mut read, mut head) = (Vec::with_capacity(HEAD_BYTES), Vec::with_capacity(HEAD_BYTES / 2));
    let ordered = || activity.ordered();
    let mut order = pin!(ordered());
    loop {
        let received = tokio::select! {
            biased;
            told = &mut order => match told {
                Order::Cut => return Left::Cut,
                Order::Drain => return Left::Over,
                Order::Park if activity.is_idle() => return Left::Idle,
                Order::Park => {
                    order.set(ordered());
                    continue;
                }
            },
            received = stream.read_buf(&mut read) => received,
        };
        if !received.is_ok_and(|bytes| bytes > 0) {
            return Left::Over;
        }
        activity.read_some();
        let mut left = &*read;
        while !left.is_empty() {
            let answered = Plain::read(left)
                .and_then(|plain| Some((plain.length, answer(connection, &plain, &mut head)?)));
            let Some((length, body)) = answered else {
                stream.unread(Bytes::copy_from_slice(left));
                return Left::Other;
            };
            left = left.get(length..).unwrap_or_default();
            match send(stream, order.as_mut(), &ordered, Buf::chain(&*head, body)).await {
                Sent::All => {}
                Sent::Last => return Left::Over,
                Sent::Cut => return Left::Cut,
            }
        }
        read.clear();
    }
}

/// Whether any request of this connection could be answered here: nobody else tells who is asking, nobody is sent
/// elsewhere, and there is a folder.
fn is_possible(connection: &Connection) -> bool {
    let (shared, peer) = (&connection.worker.shared, &connection.peer);
    let has_files = |site: &Arc<Site>| matches!(site.answers, Answers::Files(_));
    peer.to_https.is_none()
        && !shared.trust.contains(peer.address)
        && shared.sites.load().iter().any(has_files)
}

/// How sending ended.
enum Sent {
    All,
    /// Nothing more shall be sent.
    Last,
    Cut,
}

/// Sends an answer; an order to leave is followed after it.
async fn send<O: Future<Output = Order>>(
    stream: &mut Stream,
    mut order: Pin<&mut O>,
    ordered: &impl Fn() -> O,
    mut answer: impl Buf,
) -> Sent {
    let mut writing = pin!(async {
        stream.write_all_buf(&mut answer).await?;
        stream.flush().await
    });
    let mut sent = Sent::All;
    loop {
        tokio::select! {
            biased;
            done = &mut writing => return if done.is_ok() { sent } else { Sent::Last },
            told = &mut order => match told {
                Order::Cut => return Sent::Cut,
                Order::Drain => sent = Sent::Last,
                Order::Park => {}
            },
        }
        order.set(ordered());
    }
}

/// An answer that memory holds ready.
struct Ready<'a> {
    lines: Lines<'a>,
    written: &'a Written,
    body: Bytes,
    route: &'a Route,
}

/// Writes the head of the answer and returns its body; `None` where a look at the disk, a redirect or anything else is due.
fn answer(connection: &Connection, plain: &Plain<'_>, head: &mut Vec<u8>) -> Option<Bytes> {
    let Connection { worker, peer, activity, .. } = connection;
    let shared = &worker.shared;
    let asking = Asking::untold(worker, *peer, plain.user_agent);
    let sites = shared.sites.load();
    let site = sites.find(Some(plain.host)).ok()?;
    let Answers::Files(files) = &site.answers else { return None };
    if shared.is_ours(&Method::GET, plain.path)
        || site.cors().is_some()
        || site.better_host(plain.host, asking.https).is_some()
    {
        return None;
    }
    let now = worker.coarse.now();
    let content;
    let ready = match files.remembered(plain.path, now)? {
        Entry::Content(found) => {
            content = found;
            choose(&content, &content.route, plain)?
        }
        Entry::Missing => match files.remembered_not_found_page(now)? {
            Some(found) => {
                content = found;
                choose(&content, &site.unmatched, plain)?
            }
            None => Ready::page(&site.pages.not_found, &site.unmatched),
        },
        Entry::Redirect(_) | Entry::Unreadable => return None,
    };
    let Ready { lines, written, body, route } = ready;
    // Nothing is waited for: it is in hand for no longer than this function runs.
    let _in_hand = Arc::clone(activity).begin_request();
    head.clear();
    head.extend_from_slice(written.get(asking.https, &lines));
    head.extend_from_slice(&hex_id(asking.id));
    head.extend_from_slice(b"\r\ndate: ");
    worker.write_date(asking.received, head);
    head.extend_from_slice(b"\r\n\r\n");
    let body = if plain.is_head { Bytes::new() } else { body };
    note(worker, &asking, &plain.told(), route, false, (lines.status, body.len() as u64));
    Some(body)
}

/// The representation: conditional first, then the best coding.
fn choose<'a>(content: &'a Content, route: &'a Route, plain: &Plain<'_>) -> Option<Ready<'a>> {
    if matches!(content.source, Source::Disk { .. }) {
        return None;
    }
    let coded = match coding::best(plain.accept_encoding) {
        Some(coding) => content.ready(coding)?,
        None => None,
    };
    let variant = coded.map_or(&content.identity, Arc::as_ref);
    let status = StatusCode::from_u16(content.status).ok()?;
    if status == StatusCode::OK {
        let validators = Validators { etag: &variant.etag, modified: content.modified };
        match conditional::evaluate(&plain.conditions(), &validators) {
            Outcome::Send => {}
            Outcome::NotModified => {
                let status = StatusCode::NOT_MODIFIED;
                let (headers, over_tls) = (&variant.headers_not_modified, &content.over_tls);
                let lines = Lines { status, headers, over_tls, length: None };
                let written = &variant.written_not_modified;
                return Some(Ready { lines, written, body: Bytes::new(), route });
            }
            Outcome::Failed => return None,
        }
    }
    let (headers, over_tls, body) = (&variant.headers, &content.over_tls, variant.body.clone());
    let lines = Lines { status, headers, over_tls, length: Some(body.len()) };
    Some(Ready { lines, written: &variant.written, body, route })
}

impl<'a> Ready<'a> {
    fn page(page: &'a Page, route: &'a Route) -> Self {
        let Page { status, headers, over_tls, body, written } = page;
        let lines = Lines { status: *status, headers, over_tls, length: Some(body.len()) };
        Self { lines, written, body: body.clone(), route }
    }
}

impl<'a> Plain<'a> {
    fn conditions(&self) -> Conditions<'a> {
        Conditions {
            if_none_match: self.if_none_match,
            if_modified_since: self.if_modified_since,
            ..Conditions::default()
        }
    }

    fn told(&self) -> Told<'a> {
        Told {
            method: if self.is_head { "HEAD" } else { "GET" },
            host: self.host,
            path: self.path,
            protocol: "http/1.1",
            referrer: self.referrer,
        }
    }
}
