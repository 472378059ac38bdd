//! The servers together: which one is the primary, and which one answers a read.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::budget::Budget;
use super::history::{Kept, Refused};
use super::migrate::TimeSeries;
use super::node::{Node, Place, Role};
use super::patience::Patience;
use super::position::Position;
use super::standbys::Received;

/// No server is the primary.
const NONE: usize = usize::MAX;

/// How the servers are asked.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Where this process runs.
    pub(crate) region: Option<String>,
    /// How long a question or a change may take.
    pub(crate) patience: Patience,
    /// A replica behind by more than this …
    pub(crate) lag_bytes_max: u64,
    /// … for longer than this is not asked.
    pub(crate) lag_max: Duration,
    /// How long a read waits for a replica that has nearly come far enough.
    pub(crate) catch_up: Duration,
    /// How often every server is probed.
    pub(crate) probe_every: Duration,
    /// How long a probe may take.
    pub(crate) probe_patience: Patience,
    /// How long making a connection for one may.
    pub(crate) probe_connect: Patience,
    /// Percentage of its connections that the primary gives to reads while no replica is fit.
    pub(crate) primary_share: usize,
    /// Nothing is sent while nobody asks, so that a serverless database may sleep.
    pub(crate) quiet: bool,
    /// It may have to wake up before it answers.
    pub(crate) may_sleep: bool,
}

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) rules: Rules,
    pub(super) primary: AtomicUsize,
    /// The history in force; grows with every promotion.
    timeline: watch::Sender<u32>,
    /// The newest one that this machine has seen.
    pub(crate) history: Kept,
    /// Reads that the primary answers because no replica is fit.
    stand_ins: Arc<AtomicUsize>,
    /// Breaks ties, so that equals take turns.
    turn: AtomicUsize,
    /// Who answered reads.
    pub(crate) reads: Answered,
    /// Rows in default partitions, as they were last counted.
    pub(crate) strays: AtomicU64,
    /// How the days of events are kept, once the schema was brought up to date.
    pub(crate) time_series: OnceLock<TimeSeries>,
    /// Somebody asked since the last probe.
    pub(crate) used: AtomicBool,
    /// Somebody waits to know how far the replicas have come.
    pub(crate) awaits: AtomicBool,
    /// A standby follows the primary, or did so before, named in the settings or not.
    pub(crate) followed: AtomicBool,
    /// What of the log the standbys have.
    pub(crate) received: watch::Sender<Received>,
    /// How many of those rounds were held against what waits to be confirmed.
    pub(crate) rounds: AtomicU64,
    /// This process's part in the connections that all may have.
    budget: Mutex<Budget>,
    /// Rounds of upkeep that are over, whatever became of them.
    pub(crate) upkept: AtomicU64,
    /// Wakes who probes.
    pub(crate) alarm: Notify,
    /// Every server that answers is to be asked.
    pub(crate) ask_all: AtomicBool,
    /// Held by who draws conclusions: two at a time would mix what they saw.
    settling: tokio::sync::Mutex<()>,
}

/// Who answered reads, and why not a replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered {
    pub(crate) replica: Arc<AtomicU64>,
    pub(crate) single: Arc<AtomicU64>,
    pub(crate) latest: Arc<AtomicU64>,
    pub(crate) token: Arc<AtomicU64>,
    pub(crate) no_replica: Arc<AtomicU64>,
}

impl Answered {
    /// Each with its name in the metrics.
    pub(crate) fn list(&self) -> [(&'static str, Arc<AtomicU64>); 5] {
        let Self { replica, single, latest, token, no_replica } = self.clone();
        [
            ("replica", replica),
            ("single", single),
            ("latest", latest),
            ("token", token),
            ("no_replica", no_replica),
        ]
    }
}

/// Why nobody can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nobody {
    /// No server is known to be the primary.
    Primary,
    /// No replica is fit, and the primary has as many reads as it may take.
    Share,
}

impl Nobody {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "no primary is known",
            Self::Share => "no replica is fit and the primary's share of reads is used up",
        }
    }
}

/// Who answers, and what that costs.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) place: Place,
    pub(crate) share: Option<Share>,
}

/// A read of the primary's share.
#[derive(Debug)]
pub(crate) struct Share(Arc<AtomicUsize>);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Cluster {
    pub(crate) fn new(nodes: Vec<Arc<Node>>, rules: Rules) -> Self {
        Self {
            nodes,
            rules,
            primary: AtomicUsize::new(NONE),
            timeline: watch::Sender::new(0),
            history: Kept::default(),
            stand_ins: Arc::default(),
            turn: AtomicUsize::new(0),
            reads: Answered::default(),
            strays: AtomicU64::new(0),
            time_series: OnceLock::new(),
            used: AtomicBool::new(false),
            awaits: AtomicBool::new(false),
            followed: AtomicBool::new(false),
            received: watch::Sender::default(),
            rounds: AtomicU64::new(0),
            budget: Mutex::default(),
            upkept: AtomicU64::new(0),
            alarm: Notify::new(),
            ask_all: AtomicBool::new(false),
            settling: tokio::sync::Mutex::default(),
        }
    }

    /// The same, knowing what was seen before.
    pub(crate) fn knowing(self, history: Kept) -> Self {
        Self { history, ..self }
    }

    /// The primary, when one is known and answers.
    pub(crate) fn primary(&self) -> Option<&Arc<Node>> {
        let node = self.nodes.get(self.primary.load(Ordering::Acquire))?;
        let state = node.state();
        (state.role == Role::Primary && state.ejected.is_none()).then_some(node)
    }

    /// The history in force, and news of it.
    pub(crate) fn timeline(&self) -> watch::Receiver<u32> {
        self.timeline.subscribe()
    }

    /// Where the primary's log was last seen to end.
    pub(crate) fn written(&self) -> Position {
        let primary = self.nodes.get(self.primary.load(Ordering::Acquire));
        primary.map_or_else(Position::default, |node| node.state().position)
    }

    /// Draws the conclusion of what the probes found: of all who take changes the one of the newest history is the
    /// primary (the first named, of equals); the others are stale. So is whoever has an older history than one that was
    /// seen, in this process or before: better none than that.
    pub(crate) async fn settle_roles(&self) {
        let _one_at_a_time = self.settling.lock().await;
        let states: Vec<_> = self.nodes.iter().map(|node| node.state()).collect();
        let takes_changes = |i: &usize| matches!(states[*i].role, Role::Primary | Role::Stale);
        let of = |i: usize| states[i].history();
        let known = self.history.newest();
        let is_known = |i: usize| known.is_some_and(|known| known.system == of(i).system);
        let newest = (0..states.len())
            .filter(takes_changes)
            .max_by_key(|i| (is_known(*i), of(*i).timeline, std::cmp::Reverse(*i)));
        let Some(newest) = newest else { return };
        let found = of(newest);
        let is_known_here =
            (0..states.len()).any(|i| states[i].role != Role::Unknown && is_known(i));
        let refused = self.history.judge(found, is_known_here);
        if refused.is_none() {
            self.history.settle(found).await;
        }
        for i in (0..states.len()).filter(takes_changes) {
            let is_primary = i == newest && refused.is_none();
            let role = if is_primary { Role::Primary } else { Role::Stale };
            self.nodes[i].change(|state| {
                // Unless a probe has found it following another since.
                if matches!(state.role, Role::Primary | Role::Stale) {
                    state.role = role;
                }
            });
        }
        if let Some(why) = refused {
            self.history.refuse(&self.nodes[newest].target.name, found, why);
            return;
        }
        let timeline = found.timeline;
        if self.primary.swap(newest, Ordering::AcqRel) != newest {
            tracing::info!(
                node = self.nodes[newest].target.name,
                timeline,
                "this server is the primary"
            );
        }
        self.timeline.send_if_modified(|known| std::mem::replace(known, timeline) != timeline);
    }

    /// Why a server that takes changes is not the primary, when there is no other.
    pub(crate) fn why_refused(&self) -> Option<Refused> {
        let states = self.nodes.iter().map(|node| node.state());
        let stale = states.filter(|state| state.role == Role::Stale && state.ejected.is_none());
        stale.filter_map(|state| self.history.judge(state.history(), true)).next()
    }

    /// A fit replica: one of the own region if there is any, of those the one with the least under way.
    pub(crate) fn choose_replica(&self, not: &[Arc<Node>]) -> Option<Place> {
        self.choose_replica_where(not, |_| true)
    }

    /// The same among those that pass. Of equals each has its turn.
    pub(crate) fn choose_replica_where(
        &self,
        not: &[Arc<Node>],
        passes: impl Fn(&Node) -> bool,
    ) -> Option<Place> {
        let away =
            |node: &Node| self.rules.region.is_some() && node.target.region != self.rules.region;
        let may = |node: &&Arc<Node>| {
            node.is_fit() && passes(node) && !not.iter().any(|not| Arc::ptr_eq(node, not))
        };
        let ranked = || {
            let rank = |node: &Node| (node.is_suspect(), away(node), node.in_flight());
            self.nodes.iter().filter(may).map(move |node| (rank(node), node))
        };
        let mut least = None::<(_, &Arc<Node>)>;
        let mut equals = 0;
        for (rank, node) in ranked() {
            match least.map_or(Less, |(least, _)| rank.cmp(&least)) {
                Less => (least, equals) = (Some((rank, node)), 1),
                Equal => equals += 1,
                Greater => {}
            }
        }
        let (least, first) = least?;
        let turn = if equals > 1 { self.turn.fetch_add(1, Ordering::Relaxed) % equals } else { 0 };
        // Somebody may have asked one of them since they were counted.
        let others = || ranked().filter(|(rank, _)| *rank == least).nth(turn).map(|(_, node)| node);
        let chosen = if turn == 0 { first } else { others().unwrap_or(first) };
        Some(Place::on(chosen))
    }

    /// The fit replica that had come furthest when it was last asked.
    pub(crate) fn choose_furthest(&self, not: &[Arc<Node>]) -> Option<Place> {
        let may = |node: &&Arc<Node>| node.is_fit() && !not.iter().any(|n| Arc::ptr_eq(node, n));
        self.nodes.iter().filter(may).max_by_key(|node| node.state().position.lsn).map(Place::on)
    }

    /// What a failed answer says about its server; true when it speaks against it. Then a probe follows at once.
    pub(crate) fn note(&self, node: &Node, error: &sqlx::Error) -> bool {
        let against = node.note(error);
        if against {
            self.alarm.notify_one();
        }
        against
    }

    /// The same of a connection that could not be had.
    pub(crate) fn note_refused(&self, node: &Node, error: &sqlx::Error) -> bool {
        let against = node.note_refused(error);
        if against {
            self.alarm.notify_one();
        }
        against
    }

    /// This process's part in the connections.
    pub(crate) fn lock_budget(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Everybody who answers is to be asked at once who is the primary now. One that is ejected is tried in its turn.
    pub(crate) fn ask_everybody(&self) {
        self.ask_all.store(true, Ordering::Relaxed);
        self.alarm.notify_one();
    }

    /// The same of those that are ejected: a primary may have been replaced by one whose next trial is far off.
    pub(crate) fn try_everybody(&self) {
        for node in &self.nodes {
            node.try_now();
        }
        self.ask_everybody();
    }

    /// Takes note of whether a server that takes changes says that somebody follows it. One that is followed no more may have
    /// been replaced: those who followed it go with the new primary, and nothing else tells the old one.
    pub(crate) fn note_followed(&self, node: &Node, is_followed: bool) {
        self.followed.fetch_or(is_followed, Ordering::Relaxed);
        if node.was_followed(is_followed) && !is_followed {
            self.try_everybody();
        }
    }

    /// A read's place among those that the primary takes over, if there is one.
    fn take_share(&self, primary: &Node) -> Option<Share> {
        let most = (primary.pool.max() * self.rules.primary_share / 100).max(1);
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        let taken = self.stand_ins.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok().then(|| Share(Arc::clone(&self.stand_ins)))
    }

    /// Whoever may answer a read: a fit replica, else the primary within its share.
    pub(crate) fn choose_reader(&self, not: &[Arc<Node>]) -> Result<Choice, Nobody> {
        if let Some(place) = self.choose_replica(not) {
            self.reads.replica.fetch_add(1, Ordering::Relaxed);
            return Ok(Choice { place, share: None });
        }
        self.choose_stand_in()
    }

    /// The primary for a read of anybody's, within its share.
    pub(crate) fn choose_stand_in(&self) -> Result<Choice, Nobody> {
        let primary = self.choose_primary()?;
        if self.nodes.len() == 1 {
            self.reads.single.fetch_add(1, Ordering::Relaxed);
            return Ok(Choice { place: primary, share: None });
        }
        let share = self.take_share(primary.node()).ok_or(Nobody::Share)?;
        self.reads.no_replica.fetch_add(1, Ordering::Relaxed);
        Ok(Choice { place: primary, share: Some(share) })
    }

    /// The replica that answered before, for another read of the same answer; none when it is none any more. Falling behind
    /// meanwhile, it still has what it had.
    pub(crate) fn choose_again(&self, pinned: &Arc<Node>) -> Option<Place> {
        let state = pinned.state();
        (state.role == Role::Replica && state.ejected.is_none()).then(|| {
            self.reads.replica.fetch_add(1, Ordering::Relaxed);
            Place::on(pinned)
        })
    }

    /// Whether this is the primary.
    pub(crate) fn is_primary(&self, node: &Arc<Node>) -> bool {
        self.primary().is_some_and(|primary| Arc::ptr_eq(primary, node))
    }

    /// The primary. When it is away, who probes is woken.
    pub(crate) fn choose_primary(&self) -> Result<Place, Nobody> {
        self.used.store(true, Ordering::Relaxed);
        self.primary().map(Place::on).ok_or_else(|| {
            self.alarm.notify_one();
            Nobody::Primary
        })
    }
}

#[cfg(test)]
mod tests;
