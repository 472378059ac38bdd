//! The verdict about this process: what works, what is degraded, whether it may take traffic. Never asks a third party.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use mainstay_base::task::Group;
use mainstay_base::{Clock, Timestamp};
use mainstay_kv::Kv;
use mainstay_store::recorder::{self, Recorder};
use mainstay_store::{NodeView, Store};

use crate::sites::{ListSites, Site, State};

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const DRAINING: u8 = 2;

/// How well something is (draft-inadarei-api-health-check-06 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As it should be.
    Pass,
    /// This process serves, something behind it does not.
    Warn,
    /// Traffic should go elsewhere.
    Fail,
}

impl Status {
    /// The word of the health+json format.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// `component:measurement`.
    pub name: &'static str,
    /// Which of several, when there are several: for the owner alone.
    pub component: Option<String>,
    /// `datastore`, `component` or `system`.
    pub kind: &'static str,
    /// How it is.
    pub status: Status,
    /// A sentence when it is not well; empty otherwise. Carries no address, path or secret.
    pub output: String,
    /// When this was looked at.
    pub time: Timestamp,
}

/// The verdict, asked of what runs in this process: memory reads only, so a probe costs nothing.
#[derive(Clone)]
pub struct Health {
    phase: Arc<AtomicU8>,
    store: Store,
    recorder: Recorder,
    kv: Kv,
    groups: Vec<Group>,
    sites: Arc<OnceLock<ListSites>>,
    clock: Clock,
}

impl Health {
    /// Starting until [`Health::serving`] is called.
    #[must_use]
    pub fn new(store: Store, recorder: Recorder, kv: Kv, groups: Vec<Group>, clock: Clock) -> Self {
        let (phase, sites) = (Arc::new(AtomicU8::new(STARTING)), Arc::default());
        Self { phase, store, recorder, kv, groups, sites, clock }
    }

    /// From now on the apps behind sites are looked at, too.
    pub fn watch_apps(&self, sites: ListSites) {
        let _first = self.sites.set(sites);
    }

    /// Start-up is complete.
    pub fn serving(&self) {
        self.phase.store(SERVING, Ordering::Relaxed);
    }

    /// No new traffic, please: the process is about to stop.
    pub fn draining(&self) {
        self.phase.store(DRAINING, Ordering::Relaxed);
    }

    /// Whether start-up is complete.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.phase.load(Ordering::Relaxed) != STARTING
    }

    /// Whether this node may take traffic: started, not draining, nothing crashed. A store that is away does not
    /// count: the site is served without it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == SERVING
            && self.groups.iter().all(|group| group.crashes().is_empty())
    }

    /// Everything that was looked at, and the worst of it.
    #[must_use]
    pub fn report(&self) -> (Status, Vec<Check>) {
        let mut checks = vec![self.check_store()];
        checks.extend(self.check_servers());
        checks.extend(self.check_partitions());
        checks.extend(self.check_spool());
        checks.extend([self.check_recorder(), self.check_tasks()]);
        checks.extend(self.check_apps());
        checks.extend(self.kv.is_shared().then(|| self.check_kv()));
        let worst = checks.iter().map(|check| check.status).max().unwrap_or(Status::Pass);
        let draining = self.phase.load(Ordering::Relaxed) == DRAINING;
        (if draining { Status::Fail } else { worst }, checks)
    }

    /// Whether rows are taken: by the files, or by the database's primary.
    fn check_store(&self) -> Check {
        let away = self.store.list_away();
        let status = if away.is_empty() { Status::Pass } else { Status::Warn };
        let output = away
            .iter()
            .map(|away| format!("{} is away since {}: {}", away.part, away.since, away.reason))
            .collect::<Vec<_>>()
            .join("; ");
        let name = if self.store.is_shared() { "store:primary" } else { "store:files" };
        self.datastore(name, status, output)
    }

    /// One for each database server. Whatever becomes of them, the site is served.
    fn check_servers(&self) -> Vec<Check> {
        let check = |server: NodeView| {
            let silent = || (!server.healthy).then(|| "has not answered yet".to_owned());
            let output = server.reason.clone().or_else(silent);
            let status = if output.is_none() { Status::Pass } else { Status::Warn };
            Check {
                component: Some(server.name),
                ..self.datastore("store:database", status, output.unwrap_or_default())
            }
        };
        self.store.list_servers().into_iter().map(check).collect()
    }

    /// Whether a shared database has a partition for every day it keeps rows of.
    fn check_partitions(&self) -> Option<Check> {
        let (status, output) = match (self.store.is_shared(), self.store.strays()) {
            (false, _) => return None,
            (true, 0) => (Status::Pass, String::new()),
            (true, strays) => (
                Status::Warn,
                format!(
                    "{strays} rows lie in no partition of their day: they are kept, and slower to find and to delete"
                ),
            ),
        };
        Some(self.datastore("store:partitions", status, output))
    }

    /// Whether what waited on this machine's disk could be read (warns until somebody has taken the damaged files away), and
    /// whether the copies are kept there that a lost primary is made up for with.
    fn check_spool(&self) -> Option<Check> {
        if !self.store.is_shared() {
            return None;
        }
        let mut troubles = Vec::new();
        let files = self.recorder.damaged_files();
        if files > 0 {
            troubles.push(format!(
                "{files} damaged files of events that waited lie in the spool, under names that end in .damaged: what could not be read of them is lost"
            ));
        }
        if let Some(reason) = self.recorder.why_unprotected() {
            troubles.push(format!(
                "a primary that is lost now takes acknowledged events along: {reason}"
            ));
        }
        let status = if troubles.is_empty() { Status::Pass } else { Status::Warn };
        Some(self.datastore("store:spool", status, troubles.join("; ")))
    }

    fn datastore(&self, name: &'static str, status: Status, output: String) -> Check {
        let time = self.clock.now();
        Check { name, component: None, kind: "datastore", status, output, time }
    }

    fn check_recorder(&self) -> Check {
        let (status, output) = match self.recorder.health() {
            recorder::Health::Ok => (Status::Pass, String::new()),
            recorder::Health::Degraded { since, reason } => {
                let spooled = self.recorder.spooled();
                let output = if spooled > 0 {
                    format!(
                        "{spooled} bytes of visitor events wait on this machine's disk since {since}: {reason}"
                    )
                } else {
                    format!("visitor events are not recorded since {since}: {reason}")
                };
                (Status::Warn, output)
            }
        };
        self.datastore("store:recorder", status, output)
    }

    /// Away, shared state is this process's alone: the site is served all the same.
    fn check_kv(&self) -> Check {
        let (status, output) = match self.kv.why_away() {
            None => (Status::Pass, String::new()),
            Some((since, reason)) => {
                let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
                (Status::Warn, format!("Redis is away{since}, memory answers: {reason}"))
            }
        };
        self.datastore("kv:redis", status, output)
    }

    /// One for each app. An app that is away is no reason to send visitors elsewhere: there it is away as well.
    fn check_apps(&self) -> Vec<Check> {
        let served = self.sites.get().map(|list| list().sites).unwrap_or_default();
        let check = |site: Site| {
            let copies = site.upstreams?;
            let away = copies.iter().filter(|copy| copy.state == State::Failing).count();
            let output = match (away, copies.len()) {
                (0, _) => String::new(),
                (1, 1) => "the app does not answer".to_owned(),
                (away, all) if away == all => format!("none of {all} copies of the app answers"),
                (away, all) => format!("{away} of {all} copies of the app do not answer"),
            };
            let status = if output.is_empty() { Status::Pass } else { Status::Warn };
            let component = Some(site.name.to_string());
            let kind = "component";
            Some(Check { component, kind, ..self.datastore("upstream:copies", status, output) })
        };
        served.into_iter().filter_map(check).collect()
    }

    fn check_tasks(&self) -> Check {
        let crashes: Vec<_> = self.groups.iter().flat_map(Group::crashes).collect();
        let panics = self.groups.iter().map(Group::child_panics).sum::<u64>();
        let (status, output) = match (crashes.first(), panics) {
            (Some(crash), _) => (Status::Fail, format!("task {} crashed", crash.task)),
            (None, 0) => (Status::Pass, String::new()),
            (None, panics) => {
                (Status::Warn, format!("{panics} connections or streams ended by a panic"))
            }
        };
        Check { kind: "component", ..self.datastore("tasks:running", status, output) }
    }
}
