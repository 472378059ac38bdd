//! What an upstream is told about a request, and what of its answer's head is passed on. Pure functions over headers; reads no body.

use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};

use crate::client::{Client, Dialect};

mod answer;
mod cookie;
mod strip;
mod text;

pub use answer::answer_headers;
pub(crate) use answer::{BadFraming, connection_headers};

use strip::Verdict;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// Whoever passed a request on (RFC 8586). Not `Via`: told by it that a proxy asks, some servers no longer compress.
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Headers we add.
const ADDED: usize = 11;

/// What a request asks of the connection it comes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An answer.
    Plain,
    /// An answer, or the connection turned into a WebSocket (RFC 6455).
    WebSocket,
}

/// What we tell an upstream of our own knowledge.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Who is asking.
    pub client: &'a Client,
    /// The request's own `Host`, or `:authority`.
    pub host: Option<&'a str>,
    /// Our id of the request, also its trace id.
    pub request_id: u128,
    /// From [`kind`].
    pub kind: Kind,
    /// Tells a request that comes back to us from any other: a token (RFC 9110 §5.6.2).
    pub mark: &'a HeaderValue,
}

/// What kind of request this is. A WebSocket is asked for by GET over HTTP/1.1 with both headers (RFC 6455 §4.1).
#[must_use]
pub fn kind(method: &Method, version: Version, headers: &HeaderMap) -> Kind {
    // Most requests end here.
    let Some(upgrade) = headers.get(header::UPGRADE) else { return Kind::Plain };
    let asks = method == Method::GET
        && version == Version::HTTP_11
        && upgrade.as_bytes().eq_ignore_ascii_case(b"websocket")
        && headers.get_all(header::UPGRADE).iter().count() == 1
        && strip::names_of(headers).any(|name| name.eq_ignore_ascii_case("upgrade"))
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
    if asks { Kind::WebSocket } else { Kind::Plain }
}

/// How every mark of ours begins.
pub const MARK: &str = "mainstay-";
/// Passes under one mark: an app may ask its own site for a part of an answer, in the visitor's name.
const PASSES_MAX: usize = 3;
/// Marks of ours, whosever they are: of many processes behind a balancer each leaves its own.
const MARKS_MAX: usize = 16;

/// Whether a request goes round: it was passed on under this mark, or under any of ours, too often.
#[must_use]
pub fn goes_round(headers: &HeaderMap, mark: &HeaderValue) -> bool {
    let lines = headers.get_all(CDN_LOOP).into_iter();
    let passed = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    // Behind a semicolon others may say more.
    let names = passed.filter_map(|one| one.split(|byte| *byte == b';').next());
    let (mut passes, mut marks) = (0, 0);
    for name in names.map(<[u8]>::trim_ascii) {
        passes += usize::from(name == mark.as_bytes());
        marks += usize::from(name.starts_with(MARK.as_bytes()));
    }
    passes >= PASSES_MAX || marks >= MARKS_MAX
}

/// The headers an upstream gets: the client's own, without what concerns the client's connection, without what only we
/// may say, and with what we say. Framing (`Content-Length`, `Transfer-Encoding`) is left to the body.
#[must_use]
pub fn request_headers(incoming: &HeaderMap, forward: &Forward<'_>) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(incoming.len() + ADDED);
    let named = strip::named_by_connection(incoming);
    let told = forward.client.told;
    for (name, value) in incoming {
        match strip::judge(name, told) {
            Verdict::Pass
                if *name != CDN_LOOP && named.as_ref().is_some_and(|n| n.contains(name)) => {}
            Verdict::Pass => drop(out.append(name.clone(), value.clone())),
            Verdict::Drop => {}
        }
    }
    cookie::keep_foreign(&mut out);
    strip::announce_trailers(&mut out, told);
    insert_text(&mut out, header::HOST, forward.host);
    if forward.kind == Kind::WebSocket {
        out.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        out.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    tell_client(&mut out, incoming, forward);
    tell_trace(&mut out, incoming, forward);
    // Whose marks are there already stay, whatever `Connection` says: each finds its own (RFC 8586 §2).
    out.append(CDN_LOOP, forward.mark.clone());
    out
}

/// `X-Forwarded-*`, `X-Real-IP`, `Forwarded`: a stranger's were dropped, those in which a trusted proxy told us of the
/// client are added to. The others are written anew: the proxy may have passed them on as some client sent them, and an
/// app that reads those must not be told what we did not believe.
fn tell_client(out: &mut HeaderMap, incoming: &HeaderMap, forward: &Forward<'_>) {
    let client = forward.client;
    let peer = text::of_address(forward.peer.to_canonical());
    // A trusted proxy that speaks Forwarded: the client it named stands where its own line would.
    let named =
        || (client.address != forward.peer.to_canonical()).then(|| client.address.to_string());
    let before = match client.told {
        Some(Dialect::XForwarded) => joined(incoming, &FOR).or_else(named),
        Some(Dialect::Forwarded) => named(),
        None => None,
    };
    let chain = before.and_then(|before| {
        let peer = peer.to_str().unwrap_or_default();
        HeaderValue::from_maybe_shared(Bytes::from(format!("{before}, {peer}"))).ok()
    });
    let real = if client.is_trusted() { text::of_address(client.address) } else { peer.clone() };
    out.insert(FOR, chain.unwrap_or(peer));
    out.insert(REAL_IP, real);
    out.insert(PROTO, HeaderValue::from_static(client.scheme()));
    insert_text(out, HOST, client.host.as_deref());
    let element = forwarded_element(incoming, forward);
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(element)) {
        out.insert(header::FORWARDED, value);
    }
}

/// Our hop as RFC 7239 has it, after the hops of a trusted proxy.
fn forwarded_element(incoming: &HeaderMap, forward: &Forward<'_>) -> String {
    let client = forward.client;
    let is_believed = client.told == Some(Dialect::Forwarded);
    let before = if is_believed { joined(incoming, &header::FORWARDED) } else { None };
    let mut out = String::with_capacity(96);
    // A trusted proxy that speaks X-Forwarded-For: the client it named stands where its own element would.
    let node = if before.is_some() { forward.peer.to_canonical() } else { client.address };
    if let Some(before) = before {
        out.push_str(&before);
        out.push_str(", ");
    }
    match node {
        IpAddr::V4(v4) => {
            out.push_str("for=");
            text::push_v4(&mut out, v4);
        }
        // Writing to a String cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "for=\"[{v6}]\"")),
    }
    if let Some(host) = client.host.as_deref().filter(|host| !host.contains(['"', '\\'])) {
        out.push_str(";host=\"");
        out.push_str(host);
        out.push('"');
    }
    out.push_str(";proto=");
    out.push_str(client.scheme());
    out
}

/// `X-Request-Id` and `traceparent`: a trusted proxy's are kept where they are well formed.
fn tell_trace(out: &mut HeaderMap, incoming: &HeaderMap, forward: &Forward<'_>) {
    let id = forward.request_id;
    // One line: further ones of a trusted proxy were not looked at.
    match &forward.client.request_id {
        Some(kept) => drop(out.insert(REQUEST_ID, kept.clone())),
        None => insert_bytes(out, REQUEST_ID, Bytes::copy_from_slice(&text::hex(id))),
    }
    if !forward.client.is_trusted() || !incoming.get(&TRACEPARENT).is_some_and(is_traceparent) {
        // Parent ids need to differ within one trace alone; neither id may be zero (W3C Trace Context §3.2.2).
        let (trace, span) = (id.max(1), u128::from((id as u64).max(1)));
        let (trace, span) = (text::hex(trace), text::hex(span));
        let text = [b"00-", &trace[..], b"-", &span[16..], b"-01"].concat();
        insert_bytes(out, TRACEPARENT, Bytes::from(text));
        out.remove(TRACESTATE);
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, lower case, no id zero (W3C Trace Context §3.2).
fn is_traceparent(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let parts: Vec<_> = text.split('-').collect();
    let is_hex = |part: &&str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let [version, trace, span, flags] = parts.as_slice() else { return false };
    *version == "00"
        && (trace.len(), span.len(), flags.len()) == (32, 16, 2)
        && parts.iter().all(is_hex)
        && [trace, span].iter().all(|id| id.bytes().any(|b| b != b'0'))
}

/// All lines of a header as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<_> =
        headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

fn insert_text(out: &mut HeaderMap, name: HeaderName, text: Option<&str>) {
    match text {
        Some(text) => insert_bytes(out, name, Bytes::copy_from_slice(text.as_bytes())),
        None => drop(out.remove(name)),
    }
}

/// What is no header's value takes away what stood there.
fn insert_bytes(out: &mut HeaderMap, name: HeaderName, bytes: Bytes) {
    match HeaderValue::from_maybe_shared(bytes) {
        Ok(value) => drop(out.insert(name, value)),
        Err(_) => drop(out.remove(name)),
    }
}

#[cfg(test)]
mod tests;
