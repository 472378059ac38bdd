//! What the data plane says of its sites, told to the control plane in the control plane's words: neither knows the other.

use std::sync::Arc;

use mainstay_api::sites::{ListSites, Served, Site, State, Upstream};
use mainstay_edge::{Edge, SiteStatus};
use mainstay_upstream as upstream;

/// What `edge` serves at each call.
pub(crate) fn list_sites(edge: &Edge) -> ListSites {
    let edge = edge.clone();
    let leaving = |(site, status)| (site, copy(status));
    Arc::new(move || Served {
        sites: edge.list_sites().into_iter().map(site).collect(),
        leaving: edge.list_leaving().into_iter().map(leaving).collect(),
    })
}

fn site(status: SiteStatus) -> Site {
    let copies = |app: mainstay_edge::AppStatus| app.upstreams.into_iter().map(copy).collect();
    Site { name: status.name, hosts: status.hosts, upstreams: status.app.map(copies) }
}

fn copy(status: upstream::Status) -> Upstream {
    Upstream {
        url: status.url,
        state: match status.state {
            upstream::State::Healthy => State::Healthy,
            upstream::State::Starting => State::Starting,
            upstream::State::Failing => State::Failing,
            upstream::State::Draining => State::Draining,
        },
        in_flight: status.in_flight,
        requests: status.requests,
        errors: status.errors,
        latency: Some(status.latency).filter(|latency| !latency.is_zero()),
        since: status.since,
    }
}
