//! A line in the log for each request to others, for whoever looks closely. Tells no path and no query: they may hold secrets.

use std::time::Duration;

use url::Url;

use super::error::Error;
use super::{Answer, Purpose};

/// Says how a request ended.
pub(super) fn tell(purpose: Purpose, first: &str, answer: Result<&Answer, &Error>, took: Duration) {
    match answer {
        Ok(answer) => tracing::debug!(
            purpose = purpose.as_str(),
            host = host(first),
            status = answer.status.as_u16(),
            hops = answer.hops.len(),
            took_ms = millis(took),
            "asked another",
        ),
        Err(error) => tell_probe(purpose, first, Some(error), took),
    }
}

/// Says how a question below HTTP ended.
pub(super) fn tell_probe(purpose: Purpose, url: &str, error: Option<&Error>, took: Duration) {
    let (purpose, host, took_ms) = (purpose.as_str(), host(url), millis(took));
    match error {
        Some(error) => {
            tracing::debug!(purpose, host, took_ms, %error, "another gave no answer");
        }
        None => tracing::debug!(purpose, host, took_ms, "asked another"),
    }
}

/// Whom it was meant for; nobody, where the URL is none.
fn host(url: &str) -> String {
    let url = Url::parse(url).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
