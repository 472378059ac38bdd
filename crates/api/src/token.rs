//! Read your writes over HTTP: the token of what was acknowledged, as a header of answers and requests, and as a cookie of
//! the console. The site's visitors get no cookie: the browser script promises none.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::access::find_cookie;

/// Sent back on a read, it makes the answer include what was acknowledged with it.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-mainstay-token");
/// The same for a browser that has signed in. Upstreams never see it: the data plane keeps names of this kind to itself.
pub(crate) const COOKIE: &str = "__Host-mainstay_seen";
/// As long as a token is taken.
const MAX_AGE_S: u64 = 900;

/// Puts a token into an answer; there is none while what was acknowledged waits for the database.
pub(crate) fn show(token: Option<String>, headers: &mut HeaderMap) {
    if let Some(token) = token.and_then(|token| HeaderValue::try_from(token).ok()) {
        headers.insert(TOKEN, token);
    }
}

/// Puts a token into an answer of the console: its browser sends it back by itself.
pub(crate) fn show_to_browser(token: Option<String>, headers: &mut HeaderMap) {
    let cookie = token.as_ref().and_then(|token| {
        let flags = format!("Path=/; Max-Age={MAX_AGE_S}; Secure; HttpOnly; SameSite=Strict");
        HeaderValue::try_from(format!("{COOKIE}={token}; {flags}")).ok()
    });
    if let Some(cookie) = cookie {
        headers.append(header::SET_COOKIE, cookie);
    }
    show(token, headers);
}

/// The tokens of a request: the header's, the cookie's.
pub(crate) fn list(headers: &HeaderMap) -> Vec<&str> {
    let header = headers.get(TOKEN).and_then(|token| token.to_str().ok());
    header.into_iter().chain(find_cookie(headers, COOKIE)).collect()
}
