//! A request as it waits for a connection: path, headers, framing, and whether it may be sent twice. Opens nothing.

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use http_body::Body;

use crate::place::{Place, ToldHost};
use crate::{Error, RequestBody};

/// A request, ready for whichever upstream.
pub(crate) struct Cargo {
    method: Method,
    uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
}

/// The `Host` a request came with, before an upstream's own took its place.
pub(crate) struct ClientsHost(Option<HeaderValue>);

/// Path, query, headers and framing of what will be sent.
pub(crate) fn load(request: Request<RequestBody>) -> Result<Cargo, Error> {
    let (parts, body) = request.into_parts();
    if parts.method == Method::CONNECT {
        return Err(Error::Method);
    }
    let path = parts.uri.into_parts().path_and_query;
    let uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    let mut headers = parts.headers;
    frame(&mut headers, &parts.method, &body);
    Ok(Cargo { method: parts.method, uri, headers, body })
}

/// The body alone decides how its length is told (RFC 9112 §6): one of both, or none.
fn frame(headers: &mut HeaderMap, method: &Method, body: &RequestBody) {
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    if body.is_empty() {
        if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        return;
    }
    match body.size_hint().exact() {
        Some(length) => headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length)),
        None => headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
    };
}

impl Cargo {
    /// A second one, where sending it twice does what sending it once does (RFC 9110 §9.2.2).
    pub(crate) fn copy(&self) -> Option<Self> {
        (self.method.is_idempotent() && self.body.is_empty()).then(|| Self {
            method: self.method.clone(),
            uri: self.uri.clone(),
            headers: self.headers.clone(),
            body: RequestBody::empty(),
        })
    }

    /// Sets the `Host` this upstream is told; what stood there before, where that changed.
    pub(crate) fn address_to(&mut self, place: &Place) -> Option<ClientsHost> {
        if place.told == ToldHost::Clients && self.headers.contains_key(header::HOST) {
            return None;
        }
        Some(ClientsHost(self.headers.insert(header::HOST, place.host.clone())))
    }

    pub(crate) fn from_request(
        request: Request<RequestBody>,
        clients_host: Option<ClientsHost>,
    ) -> Self {
        let (parts, body) = request.into_parts();
        let mut headers = parts.headers;
        headers.remove(header::EXPECT);
        match clients_host {
            Some(ClientsHost(Some(host))) => drop(headers.insert(header::HOST, host)),
            Some(ClientsHost(None)) => drop(headers.remove(header::HOST)),
            None => {}
        }
        Self { method: parts.method, uri: parts.uri, headers, body }
    }

    pub(crate) fn into_request(self) -> Request<RequestBody> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}
