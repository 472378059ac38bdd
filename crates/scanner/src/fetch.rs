//! Asking the site: only its own origins, so often, so many, so long. Judges no answer.

use std::time::Duration;

use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use mainstay_telemetry::outbound::{
    Answer, Client, Error, Excess, Limits, Origin, Policy, Purpose, Request,
};
use tokio::time::{Instant, sleep_until};
use url::Url;

use crate::Settings;
use crate::finding::plain;

/// The kinds of content that browsers say they like best.
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Bytes of a file that should not be there.
const FILE_BYTES_MAX: usize = 64 << 10;

/// The site that is looked at, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The name that is asked for.
    pub host: String,
    /// Port of plain http.
    pub http_port: u16,
    /// Port of https.
    pub https_port: u16,
    /// Other names of the site, that it may redirect to.
    pub others: Vec<String>,
}

impl Site {
    /// The site of a URL. One with a port of its own has no other: whoever leaves the `s` out asks there, too.
    #[must_use]
    pub fn of(url: &Url, others: Vec<String>) -> Option<Self> {
        let host = url.host_str()?;
        let host = host.strip_suffix('.').unwrap_or(host).to_owned();
        let own = url.port();
        matches!(url.scheme(), "http" | "https").then(|| Self {
            host,
            http_port: own.unwrap_or(80),
            https_port: own.unwrap_or(443),
            others,
        })
    }

    /// Its front page, by http or https.
    pub(crate) fn url(&self, scheme: &str) -> Option<Url> {
        let port = if scheme == "https" { self.https_port } else { self.http_port };
        Url::parse(&format!("{scheme}://{}:{port}/", self.host)).ok()
    }

    fn policy(&self) -> Policy {
        let hosts = std::iter::once(&self.host).chain(&self.others);
        let urls = hosts.flat_map(|host| {
            let place = |(scheme, port)| Url::parse(&format!("{scheme}://{host}:{port}/")).ok();
            [("http", self.http_port), ("https", self.https_port)].map(place)
        });
        Policy::ours(urls.flatten().filter_map(|url| Origin::of(&url)))
    }
}

/// Why something was not asked, or not answered.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// There was no answer.
    #[error(transparent)]
    Outbound(#[from] Error),
    /// It sends to a name that may not be asked: what it says itself is not the site.
    #[error(
        "it sends to {}, which is none of its names in the settings. Is it the same site? [[site]] hosts = [\"{}\"], or scan that one",
        plain(.0), .0.host_str().unwrap_or_default()
    )]
    Elsewhere(Url),
    /// Requests or time were spent.
    #[error("the scan's own bound on requests or time is reached")]
    Spent,
}

impl Missing {
    /// Whether that is all there is to know: nothing else would have come of asking longer.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self, Self::Outbound(Error::Refused(_)) | Self::Elsewhere(_))
    }
}

/// Asks, within bounds.
#[derive(Debug)]
pub(crate) struct Fetcher<'a> {
    client: &'a Client,
    policy: Policy,
    settings: Settings,
    next: Instant,
    end: Instant,
    asked: usize,
}

impl<'a> Fetcher<'a> {
    pub(crate) fn new(client: &'a Client, site: &Site, settings: &Settings) -> Self {
        let now = Instant::now();
        Self {
            client,
            policy: site.policy(),
            settings: settings.clone(),
            next: now,
            end: now + settings.total_timeout.0,
            asked: 0,
        }
    }

    /// A page, as a browser asks for it; of a long one the beginning. A redirect is an answer.
    pub(crate) async fn get(&mut self, url: &Url) -> Result<Answer, Missing> {
        self.get_up_to(url, usize::MAX).await
    }

    /// The beginning of a file: it is known by that.
    pub(crate) async fn get_file(&mut self, url: &Url) -> Result<Answer, Missing> {
        self.get_up_to(url, FILE_BYTES_MAX).await
    }

    async fn get_up_to(&mut self, url: &Url, bytes_max: usize) -> Result<Answer, Missing> {
        let accept = [(header::ACCEPT, HeaderValue::from_static(ACCEPT))];
        self.ask(Method::GET, url, HeaderMap::from_iter(accept), bytes_max).await
    }

    /// Whether another origin may read it.
    pub(crate) async fn preflight(
        &mut self,
        url: &Url,
        origin: &'static str,
    ) -> Result<Answer, Missing> {
        let headers = [
            (header::ORIGIN, HeaderValue::from_static(origin)),
            (header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("GET")),
        ];
        self.ask(Method::OPTIONS, url, HeaderMap::from_iter(headers), usize::MAX).await
    }

    /// The first bytes that come back for these.
    pub(crate) async fn probe(&mut self, url: &Url, bytes: Vec<u8>) -> Result<Vec<u8>, Missing> {
        let limits = self.take_turn().await?;
        let request = Request::get(Purpose::Scan, self.policy.clone(), url.as_str());
        Ok(self.client.probe(&Request { limits, body: bytes.into(), ..request }).await?)
    }

    async fn ask(
        &mut self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        bytes_max: usize,
    ) -> Result<Answer, Missing> {
        let mut limits = self.take_turn().await?;
        limits.body_bytes_max = limits.body_bytes_max.min(bytes_max);
        let request = Request::get(Purpose::Scan, self.policy.clone(), url.as_str());
        Ok(self.client.send(Request { method, headers, limits, ..request }).await?)
    }

    /// Waits until one more may be sent, and says what it may cost.
    async fn take_turn(&mut self) -> Result<Limits, Missing> {
        let start = self.next.max(Instant::now());
        if self.asked >= self.settings.requests_max || start >= self.end {
            return Err(Missing::Spent);
        }
        sleep_until(start).await;
        self.asked += 1;
        self.next = start + Duration::from_secs(1) / self.settings.requests_per_second.max(1);
        let patience = self.settings.request_timeout.0.min(self.end.duration_since(start));
        Ok(Limits {
            total: patience,
            connect: patience,
            body_bytes_max: self.settings.body_bytes_max.bytes(),
            excess: Excess::Cut,
            redirects_max: 0,
        })
    }
}
