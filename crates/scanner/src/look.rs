//! The first look: the front page by http and by https, the way there, and what another origin may read. Judges nothing.

use http::header;
use mainstay_telemetry::outbound::{Answer, Client, Error, Secured};
use url::Url;

use crate::Settings;
use crate::fetch::{Fetcher, Missing, Site};
use crate::observatory::{Answered, Jar, Seen, joined};
use crate::page::{Page, is_html};

/// Redirects of one chain.
const REDIRECTS_MAX: usize = 10;
/// Another origin, which no site has reason to trust.
pub(crate) const STRANGER: &str = "https://stranger.invalid";

/// What was seen, and how it was reached.
#[derive(Debug)]
pub struct Looked {
    /// What the Observatory judges.
    pub seen: Seen,
    /// Where the page is.
    pub url: Url,
    /// The page's body.
    pub body: Vec<u8>,
    /// What TLS agreed on, where https answers.
    pub secured: Option<Secured>,
    /// Why https does not answer.
    pub https_error: Option<Error>,
}

/// Looks at the front page.
///
/// # Errors
/// When neither http nor https answers, or the front page is at a name that may not be asked.
pub async fn look(client: &Client, site: &Site, settings: &Settings) -> Result<Looked, Missing> {
    let mut fetcher = Fetcher::new(client, site, settings);
    first(&mut fetcher, site).await
}

/// One way to the page.
struct Way {
    last: Answer,
    route: Vec<Url>,
    jar: Jar,
    /// Where the last answer sends to, when that may not be asked.
    away: Option<Url>,
}

pub(crate) async fn first(fetcher: &mut Fetcher<'_>, site: &Site) -> Result<Looked, Missing> {
    let http = follow(fetcher, site.url("http")).await;
    let https = follow(fetcher, site.url("https")).await;
    let route = http.as_ref().map(|way| way.route.clone()).unwrap_or_default();
    let answered = |way: &Way| Answered {
        status: way.last.status.as_u16(),
        headers: way.last.headers.clone(),
    };
    let (seen_http, seen_https) =
        (http.as_ref().ok().map(answered), https.as_ref().ok().map(answered));
    let (way, is_https, https_error) = match (https, http) {
        (Ok(way), _) => (way, true, None),
        (Err(error), Ok(way)) => (way, false, outbound(error)),
        (Err(error), Err(_)) => return Err(error),
    };
    if let Some(away) = way.away {
        return Err(Missing::Elsewhere(away));
    }
    let url = way.last.url.clone();
    let cors = fetcher.preflight(&url, STRANGER).await.ok().map(|answer| answer.headers);
    let kind = joined(&way.last.headers, &header::CONTENT_TYPE).unwrap_or_default();
    let markup = if is_html(&kind) { Page::read(&way.last.body) } else { Page::default() };
    let page = answered(&way);
    let seen = Seen {
        host: site.host.clone(),
        page,
        is_https,
        markup,
        jar: way.jar,
        https: seen_https,
        http: seen_http,
        route,
        cors,
    };
    let secured = way.last.secured;
    Ok(Looked { seen, url, body: way.last.body.to_vec(), secured, https_error })
}

fn outbound(missing: Missing) -> Option<Error> {
    match missing {
        Missing::Outbound(error) => Some(error),
        Missing::Spent | Missing::Elsewhere(_) => None,
    }
}

/// Whether nobody may be asked where it was sent: another's site, or one whose certificate nobody believes, which is a
/// finding of its own.
fn ends_way(error: &Error) -> bool {
    matches!(error, Error::Refused(_))
        || matches!(error, Error::Tls { chain, .. } if !chain.is_empty())
}

/// Asks on as long as it is sent on.
async fn follow(fetcher: &mut Fetcher<'_>, url: Option<Url>) -> Result<Way, Missing> {
    let mut url = url.ok_or(Missing::Spent)?;
    let (mut route, mut jar) = (vec![url.clone()], Jar::default());
    let mut last: Option<Answer> = None;
    loop {
        jar.send(&url);
        let answer = match (fetcher.get(&url).await, last) {
            (Ok(answer), _) => answer,
            (Err(Missing::Outbound(error)), Some(last)) if ends_way(&error) => {
                let away = matches!(error, Error::Refused(_)).then_some(url);
                return Ok(Way { last, route, jar, away });
            }
            (Err(error), _) => return Err(error),
        };
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            jar.keep(&String::from_utf8_lossy(cookie.as_bytes()), &url);
        }
        let is_redirect = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let location = answer.headers.get(header::LOCATION).filter(|_| is_redirect);
        let location = location.and_then(|value| value.to_str().ok());
        match location.and_then(|location| url.join(location).ok()) {
            Some(next) if route.len() <= REDIRECTS_MAX => {
                route.push(next.clone());
                url = next;
                last = Some(answer);
            }
            _ => return Ok(Way { last: answer, route, jar, away: None }),
        }
    }
}
