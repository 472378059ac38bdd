//! Which certificate is presented for a name, exchanged while handshakes go on. Reads no file.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustc_hash::FxHashMap;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::sites::{lower, split_port};

/// A certificate with its key. One that was exchanged lives for as long as a connection that was made with it.
#[derive(Debug)]
pub(crate) struct Certificate {
    certified: Arc<CertifiedKey>,
    /// In lower case; `*.example.org` stands for one label (RFC 9525 §6.3).
    names: Vec<Box<str>>,
}

impl Certificate {
    pub(super) fn new(certified: CertifiedKey) -> Self {
        let own = certified.cert.first().map(webpki::EndEntityCert::try_from);
        let names = own.and_then(Result::ok).map(|own| {
            own.valid_dns_names().map(|name| name.to_ascii_lowercase().into()).collect()
        });
        Self { certified: Arc::new(certified), names: names.unwrap_or_default() }
    }

    /// Whether a name in lower case is one of its own; `*.example.org` only where it is for every label there.
    fn is_for(&self, name: &str) -> bool {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|own| match own.strip_prefix("*.") {
            Some(below) => parent == Some(below),
            None => **own == *name,
        })
    }

    /// Whether browsers take it for a host (`example.org`, an address), which has no port. A certificate's own wildcard
    /// covers one label, a site's every depth: of `*.example.org` it says whether the names one label below are covered.
    pub(super) fn covers(&self, host: &str) -> bool {
        if host.starts_with("*.") {
            return self.is_for(host);
        }
        let Some(Ok(own)) = self.certified.cert.first().map(ParsedCertificate::try_from) else {
            return true;
        };
        let name = ServerName::try_from(host);
        name.is_ok_and(|name| verify_server_name(&own, &name).is_ok())
    }

    #[cfg(test)]
    pub(super) fn chain(&self) -> &[rustls::pki_types::CertificateDer<'static>] {
        &self.certified.cert
    }
}

/// Hosts, in lower case and without a port, and the certificate they shall have.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) hosts: &'a [String],
    pub(super) certificate: &'a Arc<Certificate>,
}

/// Every certificate in use, by the names it is presented for.
#[derive(Debug)]
pub(super) struct Selection {
    /// For clients that ask for no name, or for one that is not here.
    default: Arc<Certificate>,
    is_only_one: bool,
    exact: FxHashMap<Box<str>, Arc<Certificate>>,
    /// Wildcards, by what comes behind `*.`, one label deep as certificates mean them.
    below: FxHashMap<Box<str>, Arc<Certificate>>,
    /// Sites' wildcards, which mean every depth: what comes behind `*`, the longest first.
    deep: Vec<(Box<str>, Arc<Certificate>)>,
}

impl Selection {
    /// Of all certificates, the default first. A host gets the one it shall have; where that is not for it, one that is;
    /// and where there is none, the one it shall have after all, so that a browser says whose it is.
    pub(super) fn new(
        default: &Arc<Certificate>,
        others: &[&Arc<Certificate>],
        wishes: &[Wish<'_>],
    ) -> Self {
        let mut made = Self {
            default: Arc::clone(default),
            is_only_one: others.is_empty(),
            exact: FxHashMap::default(),
            below: FxHashMap::default(),
            deep: Vec::new(),
        };
        let wished = || {
            wishes.iter().flat_map(|wish| {
                wish.hosts.iter().map(move |host| (host.as_str(), wish.certificate))
            })
        };
        for (host, one) in wished().filter(|(host, one)| one.is_for(host)) {
            made.put(host, one);
        }
        let deep = wished().filter_map(|(host, one)| Some((host.strip_prefix('*')?, one)));
        made.deep = deep.map(|(suffix, one)| (suffix.into(), Arc::clone(one))).collect();
        made.deep.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        // A site's own certificate is not displaced by another's that happens to name one of its hosts.
        let is_taken = |name: &str| made.find(name).is_some_and(|own| own.is_for(name));
        let free: Vec<_> = [&default]
            .into_iter()
            .chain(others)
            .flat_map(|one| one.names.iter().map(move |name| (name, *one)))
            .filter(|(name, _)| !is_taken(name))
            .collect();
        free.into_iter().for_each(|(name, one)| made.put(name, one));
        for (host, one) in wished() {
            if !made.find(host).is_some_and(|found| found.is_for(host)) {
                made.put(host, one);
            }
        }
        made
    }

    /// Who came first stays.
    fn put(&mut self, name: &str, certificate: &Arc<Certificate>) {
        let (names, name) = match name.strip_prefix("*.") {
            Some(below) => (&mut self.below, below),
            None => (&mut self.exact, name),
        };
        names.entry(name.into()).or_insert_with(|| Arc::clone(certificate));
    }

    /// What stands for a name, or for `*.example.org`.
    fn find(&self, name: &str) -> Option<&Arc<Certificate>> {
        let wild = || name.split_once('.').and_then(|(_, parent)| self.below.get(parent));
        self.exact.get(name).or_else(wild).or_else(|| self.find_deep(name))
    }

    /// That of the site that answers for a name several labels below its wildcard: it is not for the name, but says whose
    /// it is.
    fn find_deep(&self, name: &str) -> Option<&Arc<Certificate>> {
        let fits = |suffix: &str| name.len() > suffix.len() && name.ends_with(suffix);
        self.deep.iter().find(|(suffix, _)| fits(suffix)).map(|(_, one)| one)
    }

    /// The one for a name as the library gives it: in lower case, without the final dot that some clients send.
    pub(super) fn choose(&self, name: Option<&str>) -> &Arc<Certificate> {
        name.and_then(|name| self.find(name)).unwrap_or(&self.default)
    }

    /// Whether `presented` is not for a host while another one is.
    fn is_for_another(&self, presented: &Arc<Certificate>, host: &str) -> bool {
        if self.is_only_one {
            return false;
        }
        let host = lower(host);
        let (name, _) = split_port(&host);
        self.find(name).is_some_and(|right| {
            !Arc::ptr_eq(right, presented) && !presented.is_for(name) && right.is_for(name)
        })
    }
}

/// The selection in use. Handshakes that began keep the certificate they began with.
#[derive(Debug)]
pub(super) struct Keys(ArcSwap<Selection>);

impl Keys {
    pub(super) fn new(selection: Selection) -> Self {
        Self(ArcSwap::from_pointee(selection))
    }

    pub(super) fn exchange(&self, selection: Selection) {
        self.0.store(Arc::new(selection));
    }

    /// The one presented to a client that asks for this name.
    pub(super) fn choose(&self, name: Option<&str>) -> Arc<Certificate> {
        Arc::clone(self.0.load().choose(name))
    }

    /// See [`Selection::is_for_another`].
    pub(super) fn is_for_another(&self, presented: &Arc<Certificate>, host: &str) -> bool {
        self.0.load().is_for_another(presented, host)
    }
}

impl ResolvesServerCert for Keys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.choose(hello.server_name()).certified))
    }
}
