//! The upstreams of one site, shared by all workers: their list, its changes, what to tell about them. Sends no request.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mainstay_base::task::Group;
use mainstay_base::{Clock, Timestamp};
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::names;
use rustls::RootCertStore;

use crate::health::{Health, State};
use crate::member::Member;
use crate::meters::{Meters, Refusals};
use crate::place::{Place, Reach};
use crate::tls::{self, Tls, TlsError};
use crate::{Connections, Leaving, Scheme, Settings, Target, checks};

/// Most upstreams of one site.
pub const UPSTREAMS_MAX: usize = 64;

/// What the upstreams of a site are made from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The site's name, a label of metrics.
    pub site: Arc<str>,
    /// A name that its clients ask for; checks use it where the app is told the client's host.
    pub host: Option<Arc<str>>,
    /// Where they are; at least one.
    pub targets: Vec<Target>,
    /// `[upstream]`.
    pub settings: Settings,
}

/// Why a list of upstreams cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nobody to ask.
    #[error("a site needs at least one upstream")]
    None,
    /// A bound.
    #[error("a site has at most {UPSTREAMS_MAX} upstreams")]
    TooMany,
    /// One of them twice.
    #[error("upstream {0} is named twice")]
    Twice(Target),
    /// https upstreams cannot be verified.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How one upstream stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// `http://host:port`.
    pub url: String,
    /// Asked or not.
    pub state: State,
    /// Exchanges and tunnels in hand, over all workers.
    pub in_flight: u32,
    /// Requests since the start.
    pub requests: u64,
    /// Those without an answer.
    pub errors: u64,
    /// Running mean of the time to the head of an answer; zero before the first.
    pub latency: Duration,
    /// When it came into this state.
    pub since: Timestamp,
}

/// The upstreams of one site. Clones share them.
#[derive(Clone)]
pub struct Upstreams(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) places: Vec<Place>,
    pub(crate) refusals: Refusals,
    /// Whom https upstreams were vouched for by when the list was made; none: there is no such upstream.
    authorities: Option<Arc<RootCertStore>>,
    retired: AtomicBool,
    registry: Registry,
    clock: Clock,
}

impl Upstreams {
    /// The upstreams of a plan, all taken for healthy.
    ///
    /// # Errors
    /// [`OpenError`], before anything is connected.
    pub fn open(plan: Plan, registry: &Registry, clock: &Clock) -> Result<Self, OpenError> {
        Self::make(plan, registry, clock, &[])
    }

    /// The upstreams of another plan: those named again keep their state and counts, new ones start slowly. Call
    /// [`Upstreams::spawn_checks`] and [`Upstreams::connections`] on what is returned, and [`Upstreams::give_way_to`] it
    /// on `self` once it is in force: until then `self` serves as before.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn replaced(&self, plan: Plan) -> Result<Self, OpenError> {
        let old = &self.0;
        Self::make(plan, &old.registry, &old.clock, &old.places)
    }

    /// Others are in force, or none any more: checks end, connections close as soon as they are unused. Requests in hand
    /// end as they began, one more attempt included; those that are not among the others drain, and are returned.
    #[must_use]
    pub fn give_way_to(&self, others: Option<&Self>) -> Vec<Leaving> {
        self.0.retired.store(true, Relaxed);
        let others = others.map_or(&[][..], |others| &others.0.places);
        let is_same = |a: &Place, b: &Place| Arc::ptr_eq(&a.member, &b.member);
        let leaves = |place: &&Place| !others.iter().any(|other| is_same(other, place));
        self.0.places.iter().filter(leaves).map(Leaving::drain).collect()
    }

    /// Whether https upstreams would be vouched for by the same authorities if the list were made now. Reads
    /// `upstream.ca_file`, or the system's store; blocking.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let Some(roots) = &self.0.authorities else { return true };
        let now = tls::authorities(self.0.settings.ca_file.as_deref());
        now.is_ok_and(|now| tls::are_same(&now, roots))
    }

    /// Whether others took over.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.0.is_retired()
    }

    /// Starts one checking task per upstream in `group`, on the current runtime. They end with the group's soft stop,
    /// and when these upstreams are replaced or dropped.
    pub fn spawn_checks(&self, group: &Group) {
        for at in 0..self.0.places.len() {
            let work = checks::run(Arc::downgrade(&self.0), at, group.clone());
            group.spawn_child("upstream-check", work);
        }
    }

    /// What one worker keeps: call once per worker, on its runtime. Connections live in `group` and close at its
    /// soft stop once they carry nothing.
    #[must_use]
    pub fn connections(&self, group: &Group) -> Connections {
        Connections::new(Arc::clone(&self.0), group)
    }

    /// How each stands, in the order of the list.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let slow_start = self.0.settings.slow_start.0;
        let tell = |place: &Place| place.member.status(place.target.to_string(), slow_start);
        self.0.places.iter().map(tell).collect()
    }

    fn make(
        plan: Plan,
        registry: &Registry,
        clock: &Clock,
        before: &[Place],
    ) -> Result<Self, OpenError> {
        let Plan { site, host, targets, settings } = plan;
        check_list(&targets)?;
        let asks_tls = targets.iter().any(|target| target.scheme() == Scheme::Https);
        let authorities =
            asks_tls.then(|| tls::authorities(settings.ca_file.as_deref())).transpose()?;
        let connector = authorities.clone().map(tls::connector).transpose()?;
        let mut places = Vec::with_capacity(targets.len());
        for target in targets {
            let reach = match &connector {
                Some(connector) if target.scheme() == Scheme::Https => {
                    Reach::Tls(Tls::new(connector.clone(), &target)?)
                }
                _ => Reach::Clear,
            };
            let member = find(before, &target).unwrap_or_else(|| {
                let member = new_member(&site, &target, registry, clock);
                if !before.is_empty() {
                    member.health.start_slowly(&settings);
                }
                member
            });
            places.push(Place::new(target, reach, settings.host_header, host.as_deref(), member));
        }
        let refusals = Refusals::new(registry, &site);
        let (registry, clock) = (registry.clone(), clock.clone());
        let retired = AtomicBool::new(false);
        let shared = Shared { settings, places, refusals, authorities, retired, registry, clock };
        Ok(Self(Arc::new(shared)))
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upstreams").field(&self.status()).finish()
    }
}

impl Shared {
    /// Whether others took over.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }
}

fn check_list(targets: &[Target]) -> Result<(), OpenError> {
    if targets.is_empty() {
        return Err(OpenError::None);
    }
    if targets.len() > UPSTREAMS_MAX {
        return Err(OpenError::TooMany);
    }
    let twice = (1..targets.len()).find(|at| targets[..*at].contains(&targets[*at]));
    twice.map_or(Ok(()), |at| Err(OpenError::Twice(targets[at].clone())))
}

/// The record of an upstream that is named again.
fn find(before: &[Place], target: &Target) -> Option<Arc<Member>> {
    let place = before.iter().find(|place| place.target == *target)?;
    Some(Arc::clone(&place.member))
}

fn new_member(site: &str, target: &Target, registry: &Registry, clock: &Clock) -> Arc<Member> {
    let authority = target.authority();
    let meters = Meters::new(registry, site, authority);
    let member = Arc::new(Member::new(authority, Health::new(clock.clone()), meters));
    let labels = [site, authority];
    let gauge = |metric, read: fn(&Member) -> f64| {
        let member: Weak<Member> = Arc::downgrade(&member);
        registry.gauge_fn(metric, &labels, move || member.upgrade().map_or(f64::NAN, |m| read(&m)));
    };
    gauge(&names::UPSTREAM_IN_FLIGHT, |member| f64::from(member.in_hand()));
    gauge(&names::UPSTREAM_HEALTHY, |member| {
        f64::from(u8::from(member.health.is_asked() && !member.health.is_draining()))
    });
    member
}
