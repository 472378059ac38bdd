//! A scan from its first question to its last: the front page, what the site says of itself, the pages it links to, files that should not be there.

use std::collections::{BTreeSet, VecDeque};

use http::header;
use mainstay_base::{Clock, Entropy};
use mainstay_telemetry::outbound::{Answer, Client, Error};
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
/// How files are called that are no pages, whatever links to them.
const NO_PAGES: [&str; 18] = [
    "avif", "css", "gif", "gz", "ico", "jpeg", "jpg", "js", "mp3", "mp4", "pdf", "png", "svg",
    "webm", "webp", "woff2", "xml", "zip",
];

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
/// When it is reached neither by http nor by https, or sends to a name that is not its own.
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
    // Before the pages, which may be so many that nothing is left.
    walk.ask_files(&looked).await;
    walk.read_pages(&looked, settings.pages_max).await;
    let rest = graded::rest(&looked, &verdict, &walk.findings);
    walk.findings.extend(rest);
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
    /// How the site's answer with status 200 to a path that is not there begins.
    anything: Vec<u8>,
    is_complete: bool,
}

impl Walk<'_> {
    /// The answer, whatever its status.
    fn note_missing(&mut self, got: Result<Answer, Missing>) -> Option<Answer> {
        if let Err(missing) = &got {
            self.is_complete &= missing.is_settled();
        }
        got.ok()
    }

    /// A page or a script, as long as it may be. What is longer was not looked at to its end.
    async fn get(&mut self, url: &Url) -> Option<Answer> {
        let got = self.fetcher.get(url).await;
        let answer = self.note_missing(got)?;
        self.is_complete &= !answer.is_cut;
        Some(answer)
    }

    /// The beginning of a file that is there, as the status says.
    async fn get_file(&mut self, url: &Url) -> Option<Answer> {
        let got = self.fetcher.get_file(url).await;
        self.note_missing(got).filter(is_there)
    }

    /// A site that answers everything alike would have every file there is.
    async fn probe_anything(&mut self, looked: &Looked, entropy: &Entropy) {
        let Ok(random) = entropy.bytes::<8>() else { return };
        let name = format!("/{:016x}", u64::from_be_bytes(random));
        let Ok(url) = looked.url.join(&name) else { return };
        let got = self.fetcher.get_file(&url).await;
        if let Some(answer) = self.note_missing(got) {
            self.findings.extend(markup::list(&url, &Page::default(), &answer.body));
            if is_there(&answer) {
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
            match self.fetcher.probe(&url, hello).await {
                Ok(answer) if version.is_taken(&answer) => {
                    self.findings.push(transport::tell_given_up(url.as_str(), version.as_str()));
                }
                Err(Missing::Spent | Missing::Outbound(Error::Timeout(_))) => {
                    self.is_complete = false;
                }
                // Who closes, or says why not, does not take it.
                _ => {}
            }
        }
    }

    async fn ask_contact(&mut self, looked: &Looked, now: mainstay_base::Timestamp) {
        let Ok(url) = looked.url.join("/.well-known/security.txt") else { return };
        let got = self.fetcher.get_file(&url).await;
        // Whether it is there is not known.
        if got.is_err() {
            self.note_missing(got);
            return;
        }
        let answer = got.ok().filter(is_there);
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
        Self::note(&looked.url, front, &mut known, &mut waiting, &mut scripts);
        let mut read = 1;
        while let Some(url) = waiting.pop_front() {
            if read >= pages_max {
                self.is_complete = false;
                break;
            }
            // Each counts, whatever comes: links may lead to what is no page.
            read += 1;
            let Some(answer) = self.get(&url).await else { continue };
            if let Some(next) = find_next(&answer) {
                wait_for(&url, next, &mut known, &mut waiting);
            }
            let kind = joined(&answer.headers, &header::CONTENT_TYPE).unwrap_or_default();
            if !is_there(&answer) || !is_html(&kind) {
                continue;
            }
            let page = Page::read(&answer.body);
            self.findings.extend(markup::list(&url, &page, &answer.body));
            Self::note(&url, &page, &mut known, &mut waiting, &mut scripts);
        }
        self.ask_maps(scripts).await;
    }

    /// Where a page leads, within the site.
    fn note(
        url: &Url,
        page: &Page,
        known: &mut BTreeSet<Url>,
        waiting: &mut VecDeque<Url>,
        scripts: &mut BTreeSet<Url>,
    ) {
        for target in page.links.iter().filter_map(|link| url.join(link).ok()) {
            wait_for(url, target, known, waiting);
        }
        let own = page.scripts.iter().filter_map(|script| url.join(script.src.as_deref()?).ok());
        scripts.extend(own.filter(|target| is_own(url, target)));
    }

    async fn ask_maps(&mut self, scripts: BTreeSet<Url>) {
        for url in scripts.into_iter().take(SCRIPTS_MAX) {
            let Some(script) = self.get(&url).await.filter(is_there) else { continue };
            let Some(map) = markup::find_map(&url, &script.body) else { continue };
            if let Some(answer) = self.get_file(&map).await {
                self.findings.extend(markup::judge_map(&map, &answer.body, answer.is_cut));
            }
        }
    }

    async fn ask_files(&mut self, looked: &Looked) {
        for file in exposed::ALL {
            let Ok(url) = looked.url.join(file.path) else { continue };
            if let Some(answer) = self.get_file(&url).await {
                let kind = joined(&answer.headers, &header::CONTENT_TYPE).unwrap_or_default();
                let got = exposed::Got { kind: &kind, body: &answer.body, is_cut: answer.is_cut };
                self.findings.extend(file.judge(url.as_str(), &got, &self.anything));
            }
        }
        for folder in FOLDERS {
            let Ok(url) = looked.url.join(folder) else { continue };
            if let Some(answer) = self.get_file(&url).await
                && answer.body != self.anything
            {
                self.findings.extend(markup::list(&url, &Page::default(), &answer.body));
            }
        }
    }
}

fn is_there(answer: &Answer) -> bool {
    answer.status.as_u16() == 200
}

/// Where an answer sends to.
fn find_next(answer: &Answer) -> Option<Url> {
    let location = answer.headers.get(header::LOCATION).filter(|_| answer.status.is_redirection());
    answer.url.join(location?.to_str().ok()?).ok()
}

/// Puts a page of the site's own among those to be read, once.
fn wait_for(from: &Url, mut target: Url, known: &mut BTreeSet<Url>, waiting: &mut VecDeque<Url>) {
    target.set_fragment(None);
    // A query may do something; pages are known by their paths.
    target.set_query(None);
    let ending = target.path().rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let may_be_page = ending.is_none_or(|ending| !NO_PAGES.contains(&ending.as_str()));
    if may_be_page && is_own(from, &target) && known.insert(target.clone()) {
        waiting.push_back(target);
    }
}

fn is_own(from: &Url, target: &Url) -> bool {
    target.origin() == from.origin()
}
