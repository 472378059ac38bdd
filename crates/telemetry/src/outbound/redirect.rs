//! Where an answer sends, and what of the request goes along (RFC 9110 §15.4, Fetch "HTTP-redirect fetch"). Follows nothing itself.

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{Method, StatusCode};
use url::Url;

use super::error::{Error, Rule};
use super::limits::Limits;
use super::{Answer, Request};

/// What says who asks: nothing of it goes to another origin.
const SECRET: [HeaderName; 3] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// The URL an answer sends to; none when it is the last one.
pub(super) fn next(limits: &Limits, answer: &Answer, hops: usize) -> Result<Option<Url>, Error> {
    let is_redirect = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = answer.headers.get(header::LOCATION).filter(|_| is_redirect);
    let Some(location) = location.filter(|_| limits.redirects_max > 0) else { return Ok(None) };
    if hops >= limits.redirects_max {
        return Err(Error::TooManyRedirects { max: limits.redirects_max });
    }
    let text = location.to_str().ok();
    let url = text.and_then(|text| answer.url.join(text).ok());
    let url = url.ok_or(Error::Refused(Rule::Location))?;
    if answer.url.scheme() == "https" && url.scheme() == "http" {
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
        request.headers.remove(header::CONTENT_TYPE);
    }
    if answer.url.origin() != next.origin() {
        for name in SECRET {
            request.headers.remove(name);
        }
        // A body was meant for the one it was sent to.
        if !request.body.is_empty() {
            return Err(Error::Refused(Rule::BodyElsewhere));
        }
    }
    Ok(())
}
