//! The chain of proxies as headers tell it: X-Forwarded-*, and Forwarded (RFC 7239). Decides who is the client, trusts only whom it is told to.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, header::FORWARDED};

use super::{Dialect, Told, Trust};

/// What the chain says.
pub(super) struct Found {
    pub(super) address: IpAddr,
    pub(super) https: Option<bool>,
    pub(super) host: Option<Box<str>>,
    /// The headers that were believed.
    pub(super) dialect: Dialect,
}

/// One hop as a header tells it. Without an address: `unknown`, an obfuscated name (RFC 7239 §6.3), or rubbish.
#[derive(Default)]
struct Hop {
    address: Option<IpAddr>,
    https: Option<bool>,
    host: Option<Box<str>>,
}

/// Reads what the trusted peer at `peer` says about the client.
pub(super) fn find(peer: IpAddr, headers: &HeaderMap, trust: &Trust) -> Found {
    let speaks_forwarded =
        || headers.contains_key(FORWARDED) && !headers.contains_key("x-forwarded-for");
    let dialect = match trust.header {
        Told::Forwarded => Dialect::Forwarded,
        Told::Auto if speaks_forwarded() => Dialect::Forwarded,
        Told::Auto | Told::XForwardedFor => Dialect::XForwarded,
    };
    let hops = match dialect {
        Dialect::Forwarded => read_forwarded(headers),
        Dialect::XForwarded => read_x_forwarded(headers),
    };
    let (address, at) = right_most_untrusted(peer, &hops, trust);
    // The hop that names the client carries what that client asked for. Where nobody was named (a proxy that tells the
    // protocol and no address), the nearest hop speaks.
    let hop = at.and_then(|at| hops.get(at)).or(hops.last());
    Found {
        address,
        https: hop.and_then(|hop| hop.https),
        host: hop.and_then(|hop| hop.host.clone()),
        dialect,
    }
}

/// The client and the place of the hop that names it.
fn right_most_untrusted(peer: IpAddr, hops: &[Hop], trust: &Trust) -> (IpAddr, Option<usize>) {
    let mut nearest = (peer, None);
    for (at, hop) in hops.iter().enumerate().rev() {
        // Whoever stands left of somebody nameless was not told to us by anybody we trust.
        let Some(address) = hop.address else { return nearest };
        nearest = (address, Some(at));
        if !trust.contains(address) {
            return nearest;
        }
    }
    nearest
}

fn read_x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let mut hops: Vec<Hop> = list(headers, "x-forwarded-for")
        .map(|entry| Hop { address: read_node(entry), ..Hop::default() })
        .collect();
    if hops.is_empty() {
        hops.push(Hop::default());
    }
    let protos: Vec<_> = list(headers, "x-forwarded-proto").map(is_https).collect();
    let hosts: Vec<_> = list(headers, "x-forwarded-host").collect();
    let count = hops.len();
    for (at, hop) in hops.iter_mut().enumerate() {
        hop.https = beside(&protos, at, count).copied().flatten();
        hop.host = beside(&hosts, at, count).map(|host| Box::from(*host));
    }
    hops
}

/// The entry that belongs to the hop at `at`: in lists of equal length the one beside it, else the last, which the peer
/// vouches for.
fn beside<T>(list: &[T], at: usize, hops: usize) -> Option<&T> {
    if list.len() == hops { list.get(at) } else { list.last() }
}

/// The entries of all lines of a header, in order.
fn list<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).into_iter();
    // A line that is no text still counts as one hop.
    lines.flat_map(|line| line.to_str().unwrap_or("?").split(',')).map(str::trim)
}

fn read_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let mut hops = Vec::new();
    for line in headers.get_all(FORWARDED) {
        match line.to_str() {
            Ok(text) => hops.extend(split_outside_quotes(text, ',').map(read_element)),
            Err(_) => hops.push(Hop::default()),
        }
    }
    hops
}

fn read_element(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in split_outside_quotes(element, ';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        // Broken quoting may hide what belongs to somebody else.
        let (name, Some(value)) = (name.trim(), unquote(value.trim())) else {
            return Hop::default();
        };
        if name.eq_ignore_ascii_case("for") {
            hop.address = read_node(&value);
        } else if name.eq_ignore_ascii_case("proto") {
            hop.https = is_https(&value);
        } else if name.eq_ignore_ascii_case("host") {
            hop.host = Some(value.into());
        }
    }
    hop
}

fn split_outside_quotes(text: &str, at: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        c == at && !quoted
    })
}

/// The value of a token or a quoted string; none where the quoting is broken.
fn unquote(value: &str) -> Option<String> {
    if !value.contains('"') {
        return Some(value.to_owned());
    }
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next()? } else { c });
    }
    Some(out)
}

/// An address with or without port or brackets: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn read_node(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bracketed {
        Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
        None => text.parse().ok().or_else(|| text.parse().ok().map(|a: SocketAddr| a.ip())),
    };
    address.map(|address| address.to_canonical())
}

fn is_https(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}
