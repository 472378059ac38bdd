//! A scan from its first question to its last: the front page, what the site says of itself, the pages it links to, files that should not be there.

use std::collections::{BTreeSet, VecDeque};

use http::header;
use mainstay_base::{Clock, Entropy};
use mainstay_telemetry::outbound::{Answer, Client};
use serde::Serialize;
use url::Url;

use crate::Settings;
use crate::fetch::{Fetcher, Missing, Site};
use crate::finding::Finding;
use crate::look::{Looked, first};
use crate::observatory::{self, joined};
use crate::page::{Page, is_html};
use crate::rules::hello::Old;
use crate::rules::{cookies, exposed, graded, markup, open, transport};

/// Folders that are often listed, beside those that pages name.
const FOLDERS: [&str; 4] = ["/uploads/", "/images/", "/backup/", "/static/"];
/// Scripts whose source maps are looked for.
const SCRIPTS_MAX: usize = 20;

/// What came of a scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scan {
    /// The Observatory's grade, `A+` to `F`.
    pub grade: &'static str,
    /// Its points.
    pub score: i32,
    /// Whether everything was asked that was to be asked.
    pub complete: bool,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

/// Scans a site.
///
/// # Errors
/// When it is reached neither by http nor by https.
pub async fn scan(
    client: &Client,
    site: &Site,
    settings: &Settings,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Scan, Missing> {
    let mut fetcher = Fetcher::new(client, site, settings);
    let looked = first(&mut fetcher, site).await?;
    let verdict = observatory::judge(&looked.seen);
    let now = clock.now();
    let mut findings = graded::list(&looked, &verdict);
    findings.extend(cookies::list(&looked));
    findings.extend(transport::list(&looked, now));
    findings.extend(open::list(&looked));
    let mut walk = Walk { fetcher, site, findings, anything: Vec::new(), is_complete: true };
    walk.probe_anything(&looked, entropy).await;
    walk.ask_old_tls(&looked, entropy).await;
    walk.ask_contact(&looked, now).await;
    walk.read_pages(&looked, settings.pages_max).await;
    walk.ask_files(&looked).await;
    let Walk { mut findings, is_complete, .. } = walk;
    let mut seen = BTreeSet::new();
    findings
        .retain(|finding| seen.insert((finding.id, finding.url.clone(), finding.evidence.clone())));
    findings.sort_by(|one, other| {
        other
            .severity
            .cmp(&one.severity)
            .then_with(|| (one.id, &one.url).cmp(&(other.id, &other.url)))
    });
    Ok(Scan { grade: verdict.grade, score: verdict.score, complete: is_complete, findings })
}

struct Walk<'a> {
    fetcher: Fetcher<'a>,
    site: &'a Site,
    findings: Vec<Finding>,
    /// What the site answers to a path that is not there.
    anything: Vec<u8>,
    is_complete: bool,
}

impl Walk<'_> {
    /// The answer, when it is one of status 200.
    async fn get(&mut self, url: &Url) -> Option<Answer> {
        match self.fetcher.get(url).await {
            Ok(answer) => Some(answer).filter(|answer| answer.status.as_u16() == 200),
            Err(missing) => {
                self.is_complete &= !matches!(missing, Missing::Spent);
                None
            }
        }
    }

    /// A site that answers everything alike would have every file there is.
    async fn probe_anything(&mut self, looked: &Looked, entropy: &Entropy) {
        let Ok(random) = entropy.bytes::<8>() else { return };
        let name = format!("/{:016x}", u64::from_be_bytes(random));
        let Ok(url) = looked.url.join(&name) else { return };
        if let Ok(answer) = self.fetcher.get(&url).await {
            self.findings.extend(markup::list(&url, &Page::default(), &answer.body));
            if answer.status.as_u16() == 200 {
                self.anything = answer.body.to_vec();
            }
        }
    }

    /// Whether versions of TLS that were given up are still taken.
    async fn ask_old_tls(&mut self, looked: &Looked, entropy: &Entropy) {
        if looked.secured.is_none() {
            return;
        }
        for version in Old::ALL {
            let (Some(url), Ok(random)) = (self.site.url("https"), entropy.bytes()) else { return };
            let hello = version.hello(&self.site.host, random);
            // Who closes, or says why not, does not take it.
            if let Ok(answer) = self.fetcher.probe(&url, hello).await
                && version.is_taken(&answer)
            {
                self.findings.push(transport::tell_given_up(url.as_str(), version.as_str()));
            }
        }
    }

    async fn ask_contact(&mut self, looked: &Looked, now: mainstay_base::Timestamp) {
        let Ok(url) = looked.url.join("/.well-known/security.txt") else { return };
        let answer = self.get(&url).await;
        let text = answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
        let text = text.filter(|text| text.as_bytes() != self.anything);
        self.findings.extend(open::read_contact(url.as_str(), text.as_deref(), now));
    }

    /// The front page, and those that pages link to, nearest first.
    async fn read_pages(&mut self, looked: &Looked, pages_max: usize) {
        let mut known = BTreeSet::from([looked.url.clone()]);
        let (mut waiting, mut scripts) = (VecDeque::new(), BTreeSet::new());
        let front = &looked.seen.markup;
        self.findings.extend(markup::list(&looked.url, front, &looked.body));
        self.note(&looked.url, front, &mut known, &mut waiting, &mut scripts);
        let mut read = 1;
        while let Some(url) = waiting.pop_front() {
            if read >= pages_max {
                self.is_complete = false;
                break;
            }
            let Some(answer) = self.get(&url).await else { continue };
            let kind = joined(&answer.headers, &header::CONTENT_TYPE).unwrap_or_default();
            if !is_html(&kind) {
                continue;
            }
            read += 1;
            let page = Page::read(&answer.body);
            self.findings.extend(markup::list(&url, &page, &answer.body));
            self.note(&url, &page, &mut known, &mut waiting, &mut scripts);
        }
        self.ask_maps(scripts).await;
    }

    /// Where a page leads, within the site.
    fn note(
        &self,
        url: &Url,
        page: &Page,
        known: &mut BTreeSet<Url>,
        waiting: &mut VecDeque<Url>,
        scripts: &mut BTreeSet<Url>,
    ) {
        let is_own = |target: &Url| {
            target.host_str() == Some(self.site.host.as_str())
                && target.scheme() == url.scheme()
                && target.port_or_known_default() == url.port_or_known_default()
        };
        for link in &page.links {
            let Ok(mut target) = url.join(link) else { continue };
            target.set_fragment(None);
            // A query may do something; pages are known by their paths.
            target.set_query(None);
            if is_own(&target) && known.insert(target.clone()) {
                waiting.push_back(target);
            }
        }
        let own = page.scripts.iter().filter_map(|script| url.join(script.src.as_deref()?).ok());
        scripts.extend(own.filter(is_own));
    }

    async fn ask_maps(&mut self, scripts: BTreeSet<Url>) {
        for url in scripts.into_iter().take(SCRIPTS_MAX) {
            let Some(script) = self.get(&url).await else { continue };
            let Some(map) = markup::find_map(&url, &script.body) else { continue };
            if let Some(answer) = self.get(&map).await {
                self.findings.extend(markup::judge_map(&map, &answer.body));
            }
        }
    }

    async fn ask_files(&mut self, looked: &Looked) {
        for file in exposed::ALL {
            let Ok(url) = looked.url.join(file.path) else { continue };
            if let Some(answer) = self.get(&url).await {
                let found = file.judge(url.as_str(), &answer.body, &self.anything);
                self.findings.extend(found);
            }
        }
        for folder in FOLDERS {
            let Ok(url) = looked.url.join(folder) else { continue };
            if let Some(answer) = self.get(&url).await
                && answer.body != self.anything
            {
                self.findings.extend(markup::list(&url, &Page::default(), &answer.body));
            }
        }
    }
}
