//! Pairs in use: where each comes from, when it is read again, who gets it. Counts nothing, takes nothing into use.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_base::Timestamp;
use rustls::crypto::CryptoProvider;

use super::keys::{Selection, Wish};
use super::pair::{Files, Pair, Stamp};
use super::validity::Validity;
use super::{Error, Site, self_signed};

/// The pairs that are presented, and for whom.
pub(super) struct InUse {
    /// The first is for all whom no other one is for.
    pub(super) held: Vec<Held>,
    pub(super) sites: Vec<Site>,
    /// What the log has been told that no certificate is for.
    pub(super) told: Vec<Uncovered>,
}

/// Where a pair comes from.
#[derive(Debug)]
pub(super) enum Source {
    Files(Files),
    SelfSigned(Files),
}

/// A pair in use. The files may be newer, and worse.
#[derive(Debug)]
pub(super) struct Held {
    /// Whose it is; empty = that of `[tls]`.
    pub(super) site: Arc<str>,
    pub(super) source: Source,
    /// The state of the files when they were last looked at.
    pub(super) stamp: Stamp,
    pub(super) pair: Pair,
    /// The dates of which the log has been told that the certificate has ended, or is not valid yet.
    pub(super) told_of: Option<Validity>,
    /// Its end, in the metrics.
    pub(super) _told: Option<Arc<f64>>,
}

/// What pairs are opened with.
pub(super) struct Opening<'a> {
    pub(super) sites: &'a [Site],
    pub(super) provider: &'a CryptoProvider,
    pub(super) now: Timestamp,
}

/// Hosts of a site that no certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Uncovered {
    pub(super) site: Arc<str>,
    pub(super) hosts: String,
    /// The one that they get.
    pub(super) certificate: PathBuf,
}

impl InUse {
    /// None where there is no certificate.
    pub(super) fn select(&self) -> Option<Selection> {
        let (first, others) = self.held.split_first()?;
        let others: Vec<_> = others.iter().map(|held| &held.pair.certificate).collect();
        let wishes = self.sites.iter().filter_map(|site| {
            let certificate = &self.held_for(site)?.pair.certificate;
            Some(Wish { hosts: &site.hosts, certificate })
        });
        let wishes: Vec<_> = wishes.collect();
        Some(Selection::new(&first.pair.certificate, &others, &wishes))
    }

    /// A site's own pair, or everybody's.
    fn held_for(&self, site: &Site) -> Option<&Held> {
        self.held.iter().find(|held| held.is_of(site)).or(self.held.first())
    }

    pub(super) fn list_uncovered(&self, selection: &Selection) -> Vec<Uncovered> {
        let covered = |host: &str| {
            // Nobody asks for an address by SNI (RFC 6066 §3).
            let name = host.parse::<IpAddr>().is_err().then_some(host);
            selection.choose(name).covers(host)
        };
        let uncovered = self.sites.iter().filter_map(|site| {
            let hosts = site.hosts.iter().map(String::as_str).filter(|host| !covered(host));
            let hosts = hosts.collect::<Vec<_>>().join(", ");
            let certificate = self.held_for(site)?.source.files().cert.clone();
            let site = Arc::clone(&site.name);
            (!hosts.is_empty()).then_some(Uncovered { site, hosts, certificate })
        });
        uncovered.collect()
    }
}

impl Held {
    pub(super) fn is_of(&self, site: &Site) -> bool {
        self.site == site.name && site.files.as_ref() == Some(self.source.files())
    }

    /// Whether it is time to read it again.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let aged = match &self.source {
            Source::Files(_) => false,
            Source::SelfSigned(_) => self_signed::is_near_end(&self.pair, now),
        };
        aged || self.source.files().stamp() != self.stamp
    }

    pub(super) fn warn_of_end(&mut self, now: Timestamp) {
        let Some(validity) = self.pair.validity else { return };
        let Some(fault) = validity.fault(now) else {
            // It may have been told that it is not valid yet: that it has ended is another thing to tell.
            self.told_of = None;
            return;
        };
        if self.told_of != Some(validity) {
            tracing::warn!(site = %self.site, certificate = %self.source.files().cert.display(), "the certificate is of no use now: {fault}");
            self.told_of = Some(validity);
        }
    }
}

impl Opening<'_> {
    pub(super) fn open(&self, site: Arc<str>, source: Source) -> Result<Held, Error> {
        let before = source.files().stamp();
        let pair = self.load(&source)?;
        let stamp = source.stamp_after(before);
        Ok(Held { site, source, stamp, pair, told_of: None, _told: None })
    }

    /// The sites' own, but for those that are known.
    pub(super) fn open_own(&self, known: &[Held]) -> Result<Vec<Held>, Error> {
        let new = self.sites.iter().filter(|site| !known.iter().any(|held| held.is_of(site)));
        let own = new.filter_map(|site| Some((site, site.files.clone()?)));
        own.map(|(site, files)| self.open(Arc::clone(&site.name), Source::Files(files))).collect()
    }

    pub(super) fn load(&self, source: &Source) -> Result<Pair, Error> {
        match source {
            Source::Files(files) => files.load(self.provider),
            Source::SelfSigned(files) => {
                let hosts: Vec<_> = self.sites.iter().flat_map(|site| site.hosts.clone()).collect();
                self_signed::open(files, &hosts, self.now, self.provider)
            }
        }
    }
}

impl Source {
    pub(super) fn files(&self) -> &Files {
        match self {
            Self::Files(files) | Self::SelfSigned(files) => files,
        }
    }

    /// The state to compare with later. Files of others count as they were before they were read: a change meanwhile
    /// is then seen next time. Our own may just have been written.
    pub(super) fn stamp_after(&self, before: Stamp) -> Stamp {
        match self {
            Self::Files(_) => before,
            Self::SelfSigned(files) => files.stamp(),
        }
    }
}
