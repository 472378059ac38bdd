//! One connection's worth of events: sends, remembers what was acknowledged, and sends again what was not.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::rows::{self, Counts};
use crate::wire;

const PATH: &str = "/_mainstay/events";
/// A browser, so that the views count as a person's.
const AGENT: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
/// Page views of one request, 1 up to this.
const VIEWS_MAX: u64 = 3;
const VITAL: &str = "LCP";
const ERROR: (&str, &str) = ("TypeError", "nothing is not a function");
const NAMED: (&str, &str) = ("signup", "EUR");
const SCROLL: u64 = 50;

/// How a life of the server ended for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// A request was sent whole and no answer came.
    Unanswered,
    /// Nothing was sent whole.
    Unsent,
}

/// Sends one request at a time, each for a page of its own and with events of every kind.
#[derive(Debug)]
pub(super) struct Sender {
    lane: usize,
    next: u64,
    /// The next request may have reached the server in an earlier life.
    is_repeat: bool,
    /// Events of requests that were answered 204.
    pub(super) acknowledged: Counts,
    /// Requests that were sent more than once.
    pub(super) resent: u64,
}

impl Sender {
    pub(super) fn new(lane: usize) -> Self {
        Self { lane, next: 0, is_repeat: false, acknowledged: Counts::new(), resent: 0 }
    }

    /// Sends until the connection is cut.
    ///
    /// # Errors
    /// When the server refuses an event.
    pub(super) fn send_until_cut(
        &mut self,
        server: SocketAddr,
        acknowledged: &AtomicU64,
    ) -> anyhow::Result<Ended> {
        let Ok(mut stream) = wire::connect(server) else { return Ok(Ended::Unsent) };
        loop {
            if stream.write_all(&self.request(server)).is_err() {
                return Ok(Ended::Unsent);
            }
            self.resent += u64::from(self.is_repeat);
            let Ok(status) = wire::read_status(&mut stream) else {
                self.is_repeat = true;
                return Ok(Ended::Unanswered);
            };
            self.settle(status)?;
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends what the last death left unanswered, so that everything is acknowledged.
    ///
    /// # Errors
    /// When the server refuses it.
    pub(super) fn finish(&mut self, server: SocketAddr) -> anyhow::Result<()> {
        if !self.is_repeat {
            return Ok(());
        }
        let mut stream = wire::connect(server)?;
        let status = wire::exchange(&mut stream, &self.request(server)).context("sending again")?;
        self.resent += 1;
        self.settle(status)
    }

    fn settle(&mut self, status: u16) -> anyhow::Result<()> {
        if status != 204 {
            bail!("an event was answered {status}");
        }
        self.acknowledged.extend(self.counts());
        self.next += 1;
        self.is_repeat = false;
        Ok(())
    }

    fn page(&self) -> String {
        format!("/kill/{}/{}", self.lane, self.next)
    }

    fn views(&self) -> u64 {
        1 + self.next % VIEWS_MAX
    }

    /// A number of this request's own among its neighbours, for what its events say.
    fn amount(&self) -> u64 {
        1 + self.next % 1_000
    }

    fn props(&self) -> Value {
        json!({ "request": self.next })
    }

    /// What the next request shall have left behind.
    fn counts(&self) -> Counts {
        let (page, amount) = (self.page(), self.amount());
        Counts::from([
            (rows::view(&page), self.views()),
            (rows::vital(&page, VITAL, amount), 1),
            (rows::error(&page, ERROR.0, ERROR.1), 1),
            (rows::named(&page, NAMED.0, amount, NAMED.1, &self.props().to_string()), 1),
            (rows::engagement(&page, amount, SCROLL), 1),
        ])
    }

    /// The same bytes for the same number, whichever life it is.
    fn request(&self, server: SocketAddr) -> Vec<u8> {
        let id = |kind: &str| format!("{kind}{:08x}{:012x}", self.lane, self.next);
        let amount = self.amount();
        let views = (0..self.views())
            .map(|view| json!({"id": id(&format!("e{view}")), "type": "pageview", "t": 0}));
        let events = views.chain([
            json!({"id": id("v"), "type": "vital", "t": 9, "name": VITAL, "value": amount, "nav": "navigate"}),
            json!({"id": id("x"), "type": "error", "t": 9, "name": ERROR.0, "message": ERROR.1}),
            json!({"id": id("c"), "type": "custom", "t": 9, "name": NAMED.0, "props": self.props(),
                "revenue": {"amount": amount, "currency": NAMED.1}}),
            json!({"id": id("g"), "type": "engagement", "t": 9, "ms": amount, "scroll": SCROLL}),
        ]);
        let body = json!({
            "v": 1, "site": "default", "page": id("p"), "w": 1280,
            "url": format!("http://127.0.0.1{}", self.page()),
            "events": events.collect::<Vec<_>>(),
        });
        let headers =
            [format!("Host: {server}"), AGENT.into(), "Content-Type: application/json".into()];
        wire::request("POST", PATH, &headers, &body.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_request_is_the_same_and_the_next_is_not() -> anyhow::Result<()> {
        let server = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut sender = Sender::new(3);
        let first = sender.request(server);
        assert_eq!(first, sender.request(server));
        sender.settle(204)?;
        assert_ne!(first, sender.request(server));
        let kinds: Vec<_> =
            sender.acknowledged.keys().filter_map(|e| e.split(' ').next()).collect();
        assert_eq!(kinds, ["engagement", "error", "named", "view", "vital"]);
        assert_eq!(sender.acknowledged.get("view /kill/3/0"), Some(&1));
        assert!(sender.settle(503).is_err());
        Ok(())
    }
}
