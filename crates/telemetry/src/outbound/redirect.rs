//! Where an answer sends, and what of the request goes along (RFC 9110 §15.4, Fetch "HTTP-redirect fetch"). Follows nothing itself.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::response::Parts;
use http::{Method, StatusCode};
use url::Url;

use super::check::Target;
use super::error::{Error, Rule};
use super::limits::Limits;
use super::{Answer, Request};

/// All that goes to another origin: whatever else the caller says may be its secret, or the proof of one.
const HARMLESS: [HeaderName; 3] = [header::ACCEPT, header::ACCEPT_LANGUAGE, header::USER_AGENT];

/// The URL an answer sends to; none when it is the last one.
pub(super) fn next(
    limits: &Limits,
    target: &Target,
    answer: &Parts,
    hops: usize,
) -> Result<Option<Url>, Error> {
    let is_redirect = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = answer.headers.get(header::LOCATION).filter(|_| is_redirect);
    let Some(location) = location.filter(|_| limits.redirects_max > 0) else { return Ok(None) };
    if hops >= limits.redirects_max {
        return Err(Error::TooManyRedirects { max: limits.redirects_max });
    }
    let text = location.to_str().ok();
    let url = text.and_then(|text| target.url.join(text).ok());
    let url = url.ok_or(Error::Refused(Rule::Location))?;
    if target.url.scheme() == "https" && url.scheme() == "http" {
        return Err(Error::Refused(Rule::Downgrade));
    }
    Ok(Some(url))
}

/// Makes the request what may be sent on.
pub(super) fn prepare(request: &mut Request, answer: &Answer, next: &Url) -> Result<(), Error> {
    let forgets = match answer.status {
        StatusCode::SEE_OTHER => request.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
        _ => false,
    };
    if forgets {
        request.method = Method::GET;
        request.body = Bytes::new();
        retain(&mut request.headers, |name| !is_of_body(name));
    }
    if answer.url.origin() != next.origin() {
        retain(&mut request.headers, |name| HARMLESS.contains(name));
        // A body was meant for the one it was sent to.
        if !request.body.is_empty() {
            return Err(Error::Refused(Rule::BodyElsewhere));
        }
    }
    Ok(())
}

fn retain(headers: &mut HeaderMap, keeps: impl Fn(&HeaderName) -> bool) {
    let gone: Vec<_> = headers.keys().filter(|name| !keeps(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Whether a header is about the body that is no more: its kind, its coding, a sum or a signature over it (RFC 9530,
/// RFC 9421, and what webhooks call theirs).
fn is_of_body(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("content-")
        || ["digest", "signature", "hmac"].iter().any(|word| name.contains(word))
}
