//! One connection's worth of requests at a steady rate: pages, reads of the API, events.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::server::pause;
use crate::soak::product::Product;
use crate::wire;

/// A browser, so that the views count as a person's.
const AGENT: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
/// Failures whose words are kept.
const WORDS_MAX: usize = 5;

/// What was sent and what came of it.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) failed_reads: u64,
    /// Paths of events that were answered 204; each has one of its own.
    pub(super) acknowledged: Vec<String>,
    pub(super) words: BTreeSet<String>,
}

impl Sent {
    pub(super) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.failed_reads += other.failed_reads;
        self.acknowledged.extend(other.acknowledged);
        self.words.extend(other.words.into_iter().take(WORDS_MAX));
    }
}

/// Sends one request at a time.
#[derive(Debug)]
pub(super) struct Lane {
    public: SocketAddr,
    admin: SocketAddr,
    authorization: String,
    number: u64,
    /// Open connections to either.
    streams: [Option<TcpStream>; 2],
    sent: Sent,
}

impl Lane {
    pub(super) fn new(product: &Product, number: u64) -> Self {
        let (public, admin) = (product.public, product.admin());
        let (authorization, sent) = (Product::authorization(), Sent::default());
        Self { public, admin, authorization, number, streams: [None, None], sent }
    }

    /// So many requests, one each `gap`; those that fall behind follow at once.
    pub(super) fn send(mut self, first: Instant, gap: Duration, count: u64) -> Sent {
        let mut due = first;
        for n in 0..count {
            pause(due.saturating_duration_since(Instant::now()));
            due += gap;
            self.sent.requests += 1;
            // Of four requests two are reads and one is an event.
            let outcome = match (n + self.number) % 4 {
                0 | 1 => self.read(),
                2 => self.event(n),
                _ => self.page(),
            };
            if let Err(error) = outcome {
                self.sent.failed += 1;
                if self.sent.words.len() < WORDS_MAX {
                    self.sent.words.insert(format!("{error:#}"));
                }
            }
        }
        self.sent
    }

    fn page(&mut self) -> anyhow::Result<()> {
        let headers = [format!("Host: {}", self.public), AGENT.into()];
        self.expect(0, 200, &wire::request("GET", "/", &headers, ""))
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let headers = [format!("Host: {}", self.admin), self.authorization.clone()];
        let request = wire::request("GET", "/api/v1/pages?bots=include&limit=5", &headers, "");
        let outcome = self.expect(1, 200, &request);
        self.sent.failed_reads += u64::from(outcome.is_err());
        outcome
    }

    fn event(&mut self, n: u64) -> anyhow::Result<()> {
        let (path, id) =
            (format!("/f/{}/{n}", self.number), format!("{:08x}{n:012x}", self.number));
        let body = format!(
            "{{\"v\":1,\"site\":\"default\",\"page\":\"p{id}\",\"url\":\"http://127.0.0.1{path}\",\"w\":1280,\"events\":[{{\"id\":\"e{id}\",\"type\":\"pageview\",\"t\":0}}]}}"
        );
        let headers = [
            format!("Host: {}", self.public),
            AGENT.into(),
            "Content-Type: application/json".into(),
        ];
        self.expect(0, 204, &wire::request("POST", "/_mainstay/events", &headers, &body))?;
        self.sent.acknowledged.push(path);
        Ok(())
    }

    fn expect(&mut self, which: usize, status: u16, request: &[u8]) -> anyhow::Result<()> {
        let mut stream = match self.streams[which].take() {
            Some(stream) => stream,
            None => wire::connect([self.public, self.admin][which])?,
        };
        let answer = wire::ask(&mut stream, request)?;
        if answer.header("connection").is_none_or(|said| said != "close") {
            self.streams[which] = Some(stream);
        }
        let text = String::from_utf8_lossy(&answer.body);
        anyhow::ensure!(
            answer.head.status == status,
            "answered {} for {status}: {text}",
            answer.head.status
        );
        Ok(())
    }
}
