//! How one upstream is reached under the settings in force, and the record it shares with those before. Opens nothing.

use std::sync::Arc;

use http::HeaderValue;

use crate::member::Member;
use crate::tls::Tls;
use crate::{HostHeader, Scheme, Target};

/// One upstream in a site's list.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) target: Target,
    pub(crate) reach: Reach,
    /// Its own `Host`.
    pub(crate) host: HeaderValue,
    /// The `Host` of its checks.
    pub(crate) check_host: HeaderValue,
    pub(crate) told: ToldHost,
    pub(crate) member: Arc<Member>,
}

/// What a connection to it is.
#[derive(Debug)]
pub(crate) enum Reach {
    Clear,
    Tls(Tls),
}

/// Which `Host` it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToldHost {
    Clients,
    Own,
}

impl Place {
    /// `sites_host`: a name that clients ask for, where one is known.
    pub(crate) fn new(
        target: Target,
        reach: Reach,
        host_header: HostHeader,
        sites_host: Option<&str>,
        member: Arc<Member>,
    ) -> Self {
        let told = match (host_header, target.scheme()) {
            (HostHeader::Client, _) | (HostHeader::Auto, Scheme::Http) => ToldHost::Clients,
            (HostHeader::Upstream, _) | (HostHeader::Auto, Scheme::Https) => ToldHost::Own,
        };
        // It was read as an authority, so it is a header value.
        let host = HeaderValue::from_str(target.authority());
        let host = host.unwrap_or_else(|_| HeaderValue::from_static("upstream"));
        // An app that answers for its own names alone would refuse a check by another, and serve every client.
        let sites_host = sites_host.filter(|_| told == ToldHost::Clients);
        let sites_host = sites_host.and_then(|name| HeaderValue::from_str(name).ok());
        let check_host = sites_host.unwrap_or_else(|| host.clone());
        Self { target, reach, host, check_host, told, member }
    }
}
