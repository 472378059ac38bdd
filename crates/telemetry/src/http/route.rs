//! One route's cells, made at first use and then found by index. Templates are chosen by the caller.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mainstay_base::agent::AgentClass;

use super::method::Method;
use super::site::Counts;
use super::{Shared, status};
use crate::metrics::{Counter, Histogram};

/// Counts the requests of one route template.
#[derive(Debug)]
pub struct Route {
    template: Box<str>,
    methods: [OnceLock<Statuses>; Method::ALL.len()],
    shared: Arc<Shared>,
    site: Arc<Counts>,
}

/// A method's cells by status slot. Boxed late, as most routes see one method and three statuses.
type Statuses = Box<[OnceLock<Box<Cells>>]>;

#[derive(Debug)]
struct Cells {
    requests: [OnceLock<Counter>; AgentClass::ALL.len()],
    duration: Histogram,
}

impl Route {
    pub(super) fn new(template: &str, shared: Arc<Shared>, site: Arc<Counts>) -> Self {
        Self { template: template.into(), methods: Default::default(), shared, site }
    }

    /// The template, as the `route` label has it.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Exports this combination from the start, at zero, for every kind of client: what strangers provoke at will
    /// then makes no series later, and its first occurrence is an increase that a rate can see.
    pub fn declare(&self, method: Method, status: u16) {
        let slot = status::slot_of(status);
        let cells = self.cells(method, slot);
        for agent in AgentClass::ALL {
            cells.requests[agent.index()].get_or_init(|| self.new_requests(method, slot, agent));
        }
    }

    /// Counts one answered request of the site: `elapsed` from head to end of answer, `bytes` of body sent.
    pub fn record(
        &self,
        method: Method,
        status: u16,
        agent: AgentClass,
        elapsed: Duration,
        bytes: u64,
        trace_id: u128,
    ) {
        self.count(method, status, agent, elapsed, trace_id);
        self.site.latency.record(elapsed);
        self.site.bytes.add(bytes);
        if status >= 500 {
            self.site.errors.inc();
        }
    }

    /// Counts one answered request of our own paths: exported like any other, but no part of the site's traffic.
    pub fn record_ours(
        &self,
        method: Method,
        status: u16,
        agent: AgentClass,
        elapsed: Duration,
        bytes: u64,
        trace_id: u128,
    ) {
        self.count(method, status, agent, elapsed, trace_id);
        self.shared.own_bytes.add(bytes);
    }

    fn count(
        &self,
        method: Method,
        status: u16,
        agent: AgentClass,
        elapsed: Duration,
        trace_id: u128,
    ) {
        let cells = self.cells(method, status::slot_of(status));
        cells.requests[agent.index()]
            .get_or_init(|| self.new_requests(method, status::slot_of(status), agent))
            .inc();
        cells.duration.observe_duration_with_exemplar(elapsed, trace_id);
    }

    fn cells(&self, method: Method, slot: usize) -> &Cells {
        let statuses = self.methods[method.index()]
            .get_or_init(|| (0..status::SLOTS).map(|_| OnceLock::new()).collect());
        statuses[slot].get_or_init(|| {
            let labels = [method.as_str(), &self.template, &status::label_of(slot)];
            let duration = self.shared.duration.with(&labels);
            Box::new(Cells { requests: Default::default(), duration })
        })
    }

    #[cold]
    fn new_requests(&self, method: Method, slot: usize, agent: AgentClass) -> Counter {
        let status = status::label_of(slot);
        self.shared.requests.with(&[method.as_str(), &self.template, &status, agent.as_str()])
    }
}
