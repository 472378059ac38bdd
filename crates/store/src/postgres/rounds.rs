//! Who is probed when: each server now and then, one that failed soon and then less and less often. Each probe is for
//! itself: a server that does not answer keeps nobody else from being asked, and nobody's answer brings its next trial
//! forward but that of a primary that may have been replaced.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use mainstay_base::task::Stop;

use super::cluster::Cluster;
use super::node::Node;
use super::probe::{draw_conclusions, probe};

/// Looks are at least so far apart.
const BREATH: Duration = Duration::from_millis(20);
/// Without a primary, whoever follows is asked so often whether it has been promoted.
const PROMOTED_EVERY: Duration = Duration::from_millis(500);

/// Probes until the soft stop.
pub(super) async fn run(cluster: Arc<Cluster>, stop: Stop) -> Result<(), Infallible> {
    let mut rounds = Rounds::new(&cluster);
    loop {
        let wait = rounds.find_next().saturating_duration_since(Instant::now());
        tokio::select! {
            biased;
            () = stop.soft() => return Ok(()),
            Some(place) = rounds.under_way.next() => rounds.end(place).await,
            // Many may miss the primary at once: they share the next look.
            () = cluster.alarm.notified(), if rounds.called.is_none() => {
                rounds.called = Some(Instant::now() + BREATH);
            }
            () = tokio::time::sleep(wait) => rounds.look(),
        }
    }
}

struct Rounds<'a> {
    cluster: &'a Cluster,
    /// Probes that were begun. Each ends with the place of its server.
    under_way: FuturesUnordered<BoxFuture<'a, usize>>,
    servers: Vec<Asked>,
    next_round: Instant,
    /// The last look at who is to be asked.
    looked: Instant,
    /// Somebody wants another one then.
    called: Option<Instant>,
}

/// One server's probes.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    /// One is under way.
    is_asked: bool,
    /// One was wanted meanwhile, which is to begin later than that. Of an ejected server trials alone count.
    is_owed: bool,
    /// One has ended.
    is_heard: bool,
}

impl<'a> Rounds<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let now = Instant::now();
        Self {
            cluster,
            under_way: FuturesUnordered::new(),
            servers: vec![Asked::default(); cluster.nodes.len()],
            next_round: now + cluster.rules.probe_every,
            looked: now,
            called: None,
        }
    }

    /// When somebody is to be asked. Of a quiet cluster only while somebody uses it, but for its rounds.
    fn find_next(&self) -> Instant {
        let awake = !self.cluster.rules.quiet || self.cluster.used.load(Ordering::Relaxed);
        let free =
            self.cluster.nodes.iter().zip(&self.servers).filter(|(_, asked)| !asked.is_asked);
        let trials = free.filter_map(|(node, asked)| self.find_trial(node, *asked));
        let trial = trials.min().filter(|_| awake);
        let next = [Some(self.next_round), trial].into_iter().flatten().min();
        let next = next.unwrap_or(self.next_round).max(self.looked + BREATH);
        self.called.map_or(next, |called| called.min(next))
    }

    /// When a server is tried again that is ejected, and another one asked whether it is well, or the primary now.
    fn find_trial(&self, node: &Node, asked: Asked) -> Option<Instant> {
        let state = node.state();
        match state.ejected {
            Some(ejection) => Some(ejection.retry_at),
            None if state.suspect || asked.is_owed => Some(self.looked),
            None => self.cluster.primary().is_none().then(|| self.looked + PROMOTED_EVERY),
        }
    }

    /// Asks whose turn it is.
    fn look(&mut self) {
        let (cluster, now) = (self.cluster, Instant::now());
        let is_round = now >= self.next_round && is_wanted(cluster);
        if now >= self.next_round {
            self.next_round = now + cluster.rules.probe_every;
        }
        (self.looked, self.called) = (now, None);
        // Without a primary everybody is asked whether it has become one, as often as an ejected server is tried.
        let is_lost = cluster.primary().is_none();
        let is_everybody = cluster.ask_all.swap(false, Ordering::Relaxed);
        for (place, (node, asked)) in cluster.nodes.iter().zip(&mut self.servers).enumerate() {
            if asked.is_asked {
                asked.is_owed |= is_everybody;
                continue;
            }
            let is_owed = std::mem::take(&mut asked.is_owed) || is_everybody;
            let state = node.state();
            let is_due =
                state.ejected.map_or(is_round || is_lost || is_owed || state.suspect, |ejection| {
                    ejection.retry_at <= now
                });
            if is_due {
                asked.is_asked = true;
                self.under_way.push(Box::pin(async move {
                    probe(cluster, node).await;
                    place
                }));
            }
        }
    }

    /// A server has answered, or has not. Once a history is known nobody waits for another one's answer; before that all are
    /// heard, because the first to answer may be one whose history is over.
    async fn end(&mut self, place: usize) {
        if let Some(asked) = self.servers.get_mut(place) {
            (asked.is_asked, asked.is_heard) = (false, true);
        }
        let is_known = *self.cluster.timeline().borrow() > 0;
        if is_known || self.servers.iter().all(|asked| asked.is_heard || !asked.is_asked) {
            draw_conclusions(self.cluster).await;
        }
    }
}

/// A quiet cluster is left alone until somebody asks.
fn is_wanted(cluster: &Cluster) -> bool {
    cluster.used.swap(false, Ordering::Relaxed) || !cluster.rules.quiet
}
