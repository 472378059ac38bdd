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

/// The kinds of content that browsers say they like best.
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

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
    /// Requests or time were spent.
    #[error("the scan's own bound on requests or time is reached")]
    Spent,
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

    /// A page, as a browser asks for it. A redirect is an answer.
    pub(crate) async fn get(&mut self, url: &Url) -> Result<Answer, Missing> {
        let accept = [(header::ACCEPT, HeaderValue::from_static(ACCEPT))];
        self.ask(Method::GET, url, HeaderMap::from_iter(accept)).await
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
        self.ask(Method::OPTIONS, url, HeaderMap::from_iter(headers)).await
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
    ) -> Result<Answer, Missing> {
        let limits = self.take_turn().await?;
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
        Ok(Limits {
            total: self.settings.request_timeout.0,
            connect: self.settings.request_timeout.0,
            body_bytes_max: self.settings.body_bytes_max.bytes(),
            excess: Excess::Refused,
            redirects_max: 0,
        })
    }
}
