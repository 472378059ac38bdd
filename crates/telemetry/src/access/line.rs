//! One access log line, written by hand because it is on every request's path. Where the line goes is not known here.

use std::net::IpAddr;

use mainstay_base::agent::AgentClass;
use mainstay_base::{Timestamp, net, path};

use crate::json;
use crate::redact::named::hide_assigned;

/// Bytes kept of a path.
const PATH_BYTES_MAX: usize = 512;
/// Bytes kept of a host, ours or a referrer's (RFC 1035, 2.3.4), and of a route.
const NAME_BYTES_MAX: usize = 255;
/// Bytes kept of an id that somebody else gave.
const ID_BYTES_MAX: usize = 128;
/// Bytes kept of a method and of a protocol.
const WORD_BYTES_MAX: usize = 32;
/// No line is longer: everything kept, escaped at six bytes each, and the rest.
pub(super) const BYTES_MAX: usize =
    6 * (PATH_BYTES_MAX + 3 * NAME_BYTES_MAX + 2 * WORD_BYTES_MAX + ID_BYTES_MAX) + 512;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// What the access log tells of one request.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// When the request's head was there.
    pub at: Timestamp,
    /// The request's id, which is also its trace id; written as 32 hex digits.
    pub request_id: u128,
    /// The id that a trusted proxy gave the request; written in the place of ours.
    pub told_id: Option<&'a str>,
    /// The client's address. Only its network is written.
    pub client: IpAddr,
    /// The method as sent.
    pub method: &'a str,
    /// The host as sent.
    pub host: &'a str,
    /// The path as sent, without the query, percent-encoded or not. At most 512 bytes are kept.
    pub path: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// Body bytes sent.
    pub bytes: u64,
    /// Microseconds from the request's head to the end of the answer.
    pub micros: u64,
    /// The kind of client.
    pub agent: AgentClass,
    /// The route's template.
    pub route: &'a str,
    /// The protocol, such as `HTTP/1.1`.
    pub protocol: &'a str,
    /// The host of the page that led here.
    pub referrer_host: Option<&'a str>,
}

/// Writes lines, and remembers the second it wrote last: a date is costly to work out.
#[derive(Debug)]
pub(super) struct Formatter {
    second: i64,
    /// `2026-11-22T16:01:07`, without fraction and zone.
    date: String,
}

impl Default for Formatter {
    fn default() -> Self {
        Self { second: i64::MIN, date: String::new() }
    }
}

impl Formatter {
    /// Appends `line` as one JSON object and a newline, at most [`BYTES_MAX`] bytes.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, line: &Line<'_>) {
        out.extend_from_slice(b"{\"time\":\"");
        self.time(out, line.at);
        out.extend_from_slice(b"\",\"request_id\":\"");
        match line.told_id {
            Some(told) => escape(out, told, ID_BYTES_MAX),
            None => hex(out, line.request_id),
        }
        out.extend_from_slice(b"\",\"client\":\"");
        address(out, line.client);
        out.extend_from_slice(b"\",\"method\":\"");
        escape(out, line.method, WORD_BYTES_MAX);
        out.extend_from_slice(b"\",\"host\":\"");
        escape(out, line.host, NAME_BYTES_MAX);
        out.extend_from_slice(b"\",\"path\":\"");
        escape(out, &hide_assigned(path::before_query(line.path)), PATH_BYTES_MAX);
        out.extend_from_slice(b"\",\"route\":\"");
        escape(out, line.route, NAME_BYTES_MAX);
        out.extend_from_slice(b"\",\"status_code\":");
        decimal(out, line.status);
        out.extend_from_slice(b",\"bytes\":");
        decimal(out, line.bytes);
        out.extend_from_slice(b",\"duration_us\":");
        decimal(out, line.micros);
        out.extend_from_slice(b",\"user_agent_type\":\"");
        out.extend_from_slice(line.agent.as_str().as_bytes());
        out.extend_from_slice(b"\",\"protocol\":\"");
        escape(out, line.protocol, WORD_BYTES_MAX);
        if let Some(host) = line.referrer_host {
            out.extend_from_slice(b"\",\"referrer_host\":\"");
            escape(out, host, NAME_BYTES_MAX);
        }
        out.extend_from_slice(b"\"}\n");
    }

    fn time(&mut self, out: &mut Vec<u8>, at: Timestamp) {
        let second = at.as_seconds();
        if second != self.second {
            self.date = Timestamp::from_seconds(second).to_rfc3339();
            self.date.truncate(self.date.trim_end_matches('Z').len());
            self.second = second;
        }
        out.extend_from_slice(self.date.as_bytes());
        let mut fraction = *b".000000Z";
        let mut rest = at.as_micros().rem_euclid(1_000_000);
        for digit in fraction[1..7].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&fraction);
    }
}

/// The address's network: `203.0.113.0`, `2001:db8:1::`.
fn address(out: &mut Vec<u8>, address: IpAddr) {
    match net::truncate(address) {
        IpAddr::V4(v4) => {
            for (at, octet) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                decimal(out, octet);
            }
        }
        IpAddr::V6(v6) => {
            // At most three groups are left; the zeros behind them are the longest run (RFC 5952, 4.2.3).
            let groups = v6.segments();
            let last = groups.iter().rposition(|group| *group != 0);
            for group in groups.iter().take(last.map_or(0, |last| last + 1)) {
                if out.last() != Some(&b'"') {
                    out.push(b':');
                }
                short_hex(out, *group);
            }
            out.extend_from_slice(b"::");
        }
    }
}

fn decimal(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn hex(out: &mut Vec<u8>, number: u128) {
    let mut digits = [0_u8; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    out.extend_from_slice(&digits);
}

fn short_hex(out: &mut Vec<u8>, group: u16) {
    let digits = 4 - (group.leading_zeros() / 4).min(3);
    for digit in (0..digits).rev() {
        out.push(HEX[usize::from(group >> (4 * digit) & 15)]);
    }
}

/// Appends the inside of a JSON string, cut to `max` bytes of the original at a character's end.
fn escape(out: &mut Vec<u8>, text: &str, max: usize) {
    let kept = if text.len() <= max { text } else { &text[..text.floor_char_boundary(max)] };
    json::escape(out, kept);
}

#[cfg(test)]
mod tests;
