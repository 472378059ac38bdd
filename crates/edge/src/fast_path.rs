//! HTTP/1.1's short way: a plain request for what memory holds ready is read and answered here. Everything else is left to the library.
//!
//! The library makes a map of a request's lines and another of the answer's, to write it out a moment later. For a small
//! file that is two thirds of our own work, and a third with the system's.
//!
//! # Invariants
//! - What is answered here gets the status, the headers and the body that [`crate::phases::answer`] would give it, the
//!   same counts and the same line in the access log. Which steps of that function have a say is told beside it
//!   ([`find_files`]); what a folder answers is decided in [`folder`] for both.
//! - A request with a line that is not known here by its name is left to the library: no body, no upgrade, no second
//!   opinion about where a request ends.
//! - Bytes that were read and not answered are put back.
//!
//! A client that has closed its sending half is answered here; the library takes it for one that is gone.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes};
use http::StatusCode;
use mainstay_base::coding;
use mainstay_telemetry::http::Route;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::accept::{self, Wish};
use crate::activity::Order;
use crate::conditional::{Conditions, Outcome};
use crate::connection::{Connection, READ_BYTES};
use crate::content::{Content, Source};
use crate::folder::{self, Ready};
use crate::pages::Page;
use crate::phases::{Asking, find_files, hex_id};
use crate::settle::{Told, note};
use crate::site::{Answers, Site};
use crate::socket::Stream;

mod plain;
mod written;

use plain::Plain;
use written::Lines;
pub(crate) use written::Written;

/// What comes next.
pub(crate) enum Next {
    /// Something else than a plain request, or the end: the library's.
    Library {
        /// A request here was plain, answered or not, or may yet turn out to be: others may be plain too.
        met_plain: bool,
    },
    /// Nobody asks for anything.
    Rest,
    /// The client closed it.
    Close,
    /// To end now, whatever is in hand.
    Cut,
}

/// Answers plain requests for as long as they come.
pub(crate) async fn carry(connection: &Connection, stream: &mut Stream) -> Next {
    if !is_possible(connection) {
        return Next::Library { met_plain: false };
    }
    let mut met_plain = false;
    let activity = &*connection.activity;
    let (mut read, mut head) = (Vec::with_capacity(READ_BYTES), Vec::with_capacity(READ_BYTES / 2));
    let ordered = || activity.ordered();
    let mut order = pin!(ordered());
    loop {
        let received = tokio::select! {
            biased;
            told = &mut order => match told {
                Order::Cut => return Next::Cut,
                Order::Drain => {
                    // What has come already is still answered: the library looks for it first.
                    activity.repeat_order();
                    return Next::Library { met_plain };
                }
                Order::Park if activity.is_idle() => return Next::Rest,
                Order::Park => {
                    order.set(ordered());
                    continue;
                }
            },
            received = stream.read_buf(&mut read) => received,
        };
        if !received.is_ok_and(|bytes| bytes > 0) {
            return Next::Close;
        }
        activity.read_some();
        let mut left = &*read;
        while !left.is_empty() {
            let plain = Plain::read(left);
            met_plain |= plain.is_some() || is_begun(left);
            let answer = plain
                .and_then(|plain| Some((plain.length, answer(connection, &plain, &mut head)?)));
            let Some((length, body)) = answer else {
                stream.unread(Bytes::copy_from_slice(left));
                return Next::Library { met_plain };
            };
            left = left.get(length..).unwrap_or_default();
            match send(stream, order.as_mut(), &ordered, Buf::chain(&*head, body)).await {
                Sent::All => {}
                Sent::Drained => {
                    stream.unread(Bytes::copy_from_slice(left));
                    activity.repeat_order();
                    return Next::Library { met_plain };
                }
                Sent::Lost => return Next::Close,
                Sent::Cut => return Next::Cut,
            }
        }
        read.clear();
    }
}

/// Whether this is the beginning of a head that may be short enough.
fn is_begun(bytes: &[u8]) -> bool {
    bytes.len() < READ_BYTES && memchr::memmem::find(bytes, b"\r\n\r\n").is_none()
}

/// Whether any request of this connection could be answered here.
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
    /// All of it; nothing new shall be taken.
    Drained,
    /// The client is gone.
    Lost,
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
            done = &mut writing => return if done.is_ok() { sent } else { Sent::Lost },
            told = &mut order => match told {
                Order::Cut => return Sent::Cut,
                Order::Drain => sent = Sent::Drained,
                Order::Park => {}
            },
        }
        order.set(ordered());
    }
}

/// An answer as it is written.
struct Answer<'a> {
    lines: Lines<'a>,
    written: &'a Written,
    body: Bytes,
    route: &'a Route,
}

/// Writes the head of the answer and returns its body; `None` where anything but a file in memory has a say.
fn answer(connection: &Connection, plain: &Plain<'_>, head: &mut Vec<u8>) -> Option<Bytes> {
    let began = Instant::now();
    let Connection { worker, peer, activity, .. } = connection;
    let sites = worker.shared.sites.load();
    let site = sites.find(Some(plain.host)).ok()?;
    let files = find_files(connection, site, (plain.host, plain.path))?;
    let ready = folder::find_ready(site, files, plain.path, worker.coarse.now())?;
    let answer = match &ready {
        Ready::Content(content, route) => choose(content, route.unwrap_or(&content.route), plain)?,
        Ready::Page(_) if plain.is_programs() => return None,
        Ready::Page(page) => Answer::page(page, &site.unmatched),
    };
    let Answer { lines, written, body, route } = answer;
    let asking = Asking::untold(worker, *peer, plain.user_agent, began);
    // Nothing is waited for: it is in hand for no longer than this function runs.
    let _in_hand = Arc::clone(activity).begin_request();
    head.clear();
    head.extend_from_slice(written.get(asking.https, &lines));
    head.extend_from_slice(&hex_id(asking.id));
    head.extend_from_slice(b"\r\ndate: ");
    worker.write_date(asking.received, head);
    head.extend_from_slice(b"\r\n\r\n");
    let body = if plain.is_head { Bytes::new() } else { body };
    note(worker, &asking, &plain.told(lines.status, body.len() as u64), route);
    Some(body)
}

/// The best coding first, then the preconditions: each variant has its own tag.
fn choose<'a>(content: &'a Content, route: &'a Route, plain: &Plain<'_>) -> Option<Answer<'a>> {
    if matches!(content.source, Source::Disk { .. }) {
        return None;
    }
    let coded = match coding::best(plain.accept_encoding) {
        Some(coding) => content.ready(coding)?,
        None => None,
    };
    let variant = coded.map_or(&content.identity, Arc::as_ref);
    let over_tls = &content.over_tls;
    match folder::judge(content, variant, &plain.conditions()) {
        Outcome::Send => {
            let status = StatusCode::from_u16(content.status).ok()?;
            let (headers, body) = (&variant.headers, variant.body.clone());
            let lines = Lines { status, headers, over_tls, length: Some(body.len()) };
            Some(Answer { lines, written: &variant.written, body, route })
        }
        Outcome::NotModified => {
            let (status, headers) = (StatusCode::NOT_MODIFIED, &variant.headers_not_modified);
            let lines = Lines { status, headers, over_tls, length: None };
            let written = &variant.written_not_modified;
            Some(Answer { lines, written, body: Bytes::new(), route })
        }
        Outcome::Failed => None,
    }
}

impl<'a> Answer<'a> {
    fn page(page: &'a Page, route: &'a Route) -> Self {
        let Page { status, headers, over_tls, body, written } = page;
        let lines = Lines { status: *status, headers, over_tls, length: Some(body.len()) };
        Self { lines, written, body: body.clone(), route }
    }
}

impl<'a> Plain<'a> {
    /// Whether an error is told as data: that is written elsewhere ([`crate::problem`]).
    fn is_programs(&self) -> bool {
        accept::wish_of(self.accept.into_iter()) == Wish::Data
    }

    fn conditions(&self) -> Conditions<'a> {
        Conditions {
            if_none_match: self.if_none_match,
            if_modified_since: self.if_modified_since,
            ..Conditions::default()
        }
    }

    fn told(&self, status: StatusCode, bytes: u64) -> Told<'a> {
        Told {
            method: if self.is_head { "HEAD" } else { "GET" },
            host: self.host,
            path: self.path,
            protocol: "http/1.1",
            referrer: self.referrer,
            status,
            bytes,
            ours: false,
        }
    }
}
