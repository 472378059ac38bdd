//! Visitor events as a browser sends them, each with a fresh id. Sends nothing by itself.

use std::hash::{BuildHasher, RandomState};

use serde_json::{Value, json};

use crate::http::Request;

/// A desktop browser's user agent.
pub const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/// An id nobody used before: 22 URL-safe characters.
#[must_use]
pub fn fresh_id() -> String {
    // The standard library seeds each of these with random keys.
    let word = || RandomState::new().hash_one(0);
    format!("{:016x}{:06x}", word(), word() >> 40)
}

/// The events of one page view.
#[derive(Clone, Debug)]
pub struct Batch {
    body: Value,
    headers: Vec<(String, String)>,
    agent: String,
}

impl Batch {
    /// A batch of a fresh page view of this address, without events yet.
    #[must_use]
    pub fn of(url: &str) -> Self {
        let body = json!({"v": 1, "site": "default", "page": fresh_id(), "url": url, "w": 1280, "events": []});
        Self { body, headers: Vec::new(), agent: CHROME.to_owned() }
    }

    /// A fresh page view with its `pageview` event.
    #[must_use]
    pub fn page_view(url: &str) -> Self {
        Self::of(url).event(json!({"type": "pageview", "t": 0}))
    }

    /// Where the visitor came from.
    #[must_use]
    pub fn from(self, referrer: &str) -> Self {
        self.field("ref", json!(referrer))
    }

    /// Sent by this user agent.
    #[must_use]
    pub fn by(mut self, agent: &str) -> Self {
        agent.clone_into(&mut self.agent);
        self
    }

    /// Sets any field of the body.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.body[name] = value;
        self
    }

    /// Sends this header too.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an event; without an `id` it gets a fresh one.
    ///
    /// # Panics
    /// When `events` was set to something that is no list.
    #[must_use]
    pub fn event(mut self, mut event: Value) -> Self {
        if event.get("id").is_none() {
            event["id"] = json!(fresh_id());
        }
        self.body["events"].as_array_mut().expect("a list").push(event);
        self
    }

    /// Adds a web vital.
    #[must_use]
    pub fn vital(self, name: &str, value: f64) -> Self {
        self.event(
            json!({"type": "vital", "t": 100, "name": name, "value": value, "nav": "navigate"}),
        )
    }

    /// Adds a script error.
    #[must_use]
    pub fn error(self, name: &str, message: &str, stack: &str) -> Self {
        self.event(
            json!({"type": "error", "t": 900, "name": name, "message": message, "stack": stack,
            "line": 3, "col": 14, "src": "/app.js"}),
        )
    }

    /// Adds time of attention.
    #[must_use]
    pub fn engagement(self, ms: u64, scroll: u64) -> Self {
        self.event(json!({"type": "engagement", "t": ms, "ms": ms, "scroll": scroll}))
    }

    /// Adds a named event.
    #[must_use]
    pub fn custom(self, name: &str, props: &Value) -> Self {
        self.event(json!({"type": "custom", "t": 30, "name": name, "props": props}))
    }

    /// The body as JSON.
    #[must_use]
    pub fn body(&self) -> String {
        self.body.to_string()
    }

    /// As the request of a browser's beacon.
    #[must_use]
    pub fn request(&self) -> Request {
        let mut request = Request::post("/_mainstay/events")
            .header("user-agent", &self.agent)
            .header("content-type", "text/plain;charset=UTF-8");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(self.body())
    }
}
