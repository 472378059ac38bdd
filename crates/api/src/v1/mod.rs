//! The console's reads, one file per resource: `{"data":[…],"next":…,"as_of":…}` everywhere.

pub(crate) mod breakdown;
pub(crate) mod databases;
pub(crate) mod errors;
pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod live;
pub(crate) mod nodes;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod reports;
pub(crate) mod scope;
pub(crate) mod session;
pub(crate) mod sites;
pub(crate) mod traffic;
pub(crate) mod upstreams;
pub(crate) mod visitors;
pub(crate) mod vitals;
