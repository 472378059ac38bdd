//! The sites as the data plane serves them now, in our own words: the binary asks it and hands us the answer. Keeps nothing.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Timestamp;

/// Asks for what is served, as it is at this moment.
pub type ListSites = Arc<dyn Fn() -> Served + Send + Sync>;

/// What is served.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// The sites in the order of the settings.
    pub sites: Vec<Site>,
    /// Copies of apps that no site names any more, as they finish what they have in hand; with the name of the site, which
    /// may be gone as well.
    pub leaving: Vec<(Arc<str>, Upstream)>,
}

/// A site.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Its name.
    pub name: Arc<str>,
    /// Host names it answers to; none = every name that no other site has.
    pub hosts: Vec<String>,
    /// The copies of the app behind it; none = it is a folder.
    pub upstreams: Option<Vec<Upstream>>,
}

/// One copy of an app.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// `http://host:port`.
    pub url: String,
    /// Whether it is asked.
    pub state: State,
    /// Requests it has in hand.
    pub in_flight: u32,
    /// Requests since the start.
    pub requests: u64,
    /// Those it did not answer.
    pub errors: u64,
    /// Running mean of the wait for the head of its answers; none before the first.
    pub latency: Option<Duration>,
    /// When it came into this state.
    pub since: Timestamp,
}

/// Whether a copy of an app is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked.
    Healthy,
    /// Not asked, as it does not answer or says that it cannot.
    Failing,
    /// Asked with a growing share, as it came back.
    Starting,
    /// Finishes what it has in hand.
    Draining,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Failing => "failing",
            Self::Starting => "starting",
            Self::Draining => "draining",
        }
    }

    /// Whether it gets requests.
    pub(crate) fn is_asked(self) -> bool {
        matches!(self, Self::Healthy | Self::Starting)
    }
}
