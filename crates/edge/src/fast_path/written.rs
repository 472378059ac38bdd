//! The head of an answer as HTTP/1.1 writes it, kept ready: all of it but the request's id and the date.

use std::io::Write as _;
use std::sync::OnceLock;

use http::{HeaderMap, StatusCode, header};

use crate::content::{OverTls, set_all};
use crate::phases::REQUEST_ID;

/// What a head is written from.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) over_tls: &'a OverTls,
    /// Of the body; none where the status has none (RFC 9110 §15.4.5).
    pub(super) length: Option<usize>,
}

/// A head for plain http and for TLS, each written when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Written {
    plain: OnceLock<Box<[u8]>>,
    over_tls: OnceLock<Box<[u8]>>,
}

impl Written {
    /// The head up to where the request's id goes. Always the same lines, for the answer that owns it.
    pub(super) fn get(&self, https: bool, lines: &Lines<'_>) -> &[u8] {
        let kept = if https { &self.over_tls } else { &self.plain };
        kept.get_or_init(|| lines.write(https))
    }
}

impl Lines<'_> {
    fn write(&self, https: bool) -> Box<[u8]> {
        let mut headers = self.headers.clone();
        if https {
            set_all(&mut headers, self.over_tls);
        }
        // Its own comes last.
        headers.remove(REQUEST_ID);
        if let Some(length) = self.length {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        let mut out = Vec::with_capacity(2 << 10);
        // Writing to memory does not fail.
        let reason = self.status.canonical_reason().unwrap_or_default();
        let _ = write!(out, "HTTP/1.1 {} {reason}\r\n", self.status.as_str());
        for (name, value) in &headers {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        let _ = write!(out, "{REQUEST_ID}: ");
        out.into()
    }
}
