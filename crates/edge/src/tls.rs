//! TLS on the public listener: certificates, their reload, the handshake's terms. Knows no request.
//!
//! TLS 1.2 and 1.3 with the suites of Mozilla's intermediate profile; the client chooses among them. Sessions are
//! resumed by tickets, whose keys all workers share and which change every six hours, or by a bounded memory for
//! clients of TLS 1.2 without tickets. No early data: a request in it can be replayed (RFC 8446 §8).

mod check;
mod error;
mod held;
mod keys;
mod meters;
mod pair;
mod self_signed;
pub mod settings;
mod validity;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_base::task::Group;
use mainstay_base::{Clock, Timestamp};
use mainstay_telemetry::metrics::Registry;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::ServerSessionMemoryCache;
use rustls::{ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;

pub use check::{Problem, check};
pub use error::Error;
pub(crate) use keys::Certificate;
pub use pair::Files;
pub use settings::Settings;

use crate::site::Plan;
use crate::sites::ByHost;
use held::{Held, InUse, Opening, Source, Uncovered};
use keys::Keys;
use meters::Meters;
use pair::bare;

/// What a client may ask for by ALPN (RFC 7301), the better first.
const PROTOCOLS: [&[u8]; 2] = [H2, b"http/1.1"];
/// HTTP/2's name in ALPN.
const H2: &[u8] = b"h2";

/// What TLS is made from besides its settings.
#[derive(Debug)]
pub struct Material<'a> {
    /// Private folder in which a self-signed certificate is kept.
    pub keys_dir: &'a Path,
    /// The sites, in their order.
    pub sites: Vec<Site>,
    /// The time, for a certificate's end.
    pub clock: Clock,
    /// Where handshakes and the certificates' ends are counted.
    pub registry: &'a Registry,
}

/// A site, as far as certificates go.
#[derive(Clone, Debug)]
pub struct Site {
    name: Arc<str>,
    /// In lower case, without ports.
    hosts: Vec<String>,
    files: Option<Files>,
}

/// TLS of the public listener. Clones share everything.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Shared>);

struct Shared {
    settings: Settings,
    acceptor: TlsAcceptor,
    provider: Arc<CryptoProvider>,
    keys: Arc<Keys>,
    in_use: Mutex<InUse>,
    meters: Meters,
    clock: Clock,
}

/// Certificates that were opened and are not in use yet.
#[derive(Debug)]
pub(crate) struct Renewal {
    sites: Vec<Site>,
    opened: Vec<Held>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Site {
    /// The names a site is reached by, and its own certificate.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self::new(&plan.name, &plan.hosts, &plan.known, plan.certificate.clone())
    }

    /// A site by its name, the hosts it answers to (`example.org`, `*.example.org`, `example.org:8443`; none = every one),
    /// the names that are known of it, and its own certificate. A known name that it does not answer to is one that
    /// something in front of us makes another of: whoever asks for it is not shown a certificate by us.
    #[must_use]
    pub fn new(name: &str, hosts: &[String], known: &[String], files: Option<Files>) -> Self {
        let mut answers = ByHost::default();
        answers.add(hosts, Arc::new(()));
        let known = known.iter().filter(|known| answers.find(Some(known)).is_some());
        let names = hosts.iter().chain(known);
        let mut hosts: Vec<_> = names.map(|host| bare(host).to_ascii_lowercase()).collect();
        hosts.sort();
        hosts.dedup();
        Self { name: name.into(), hosts, files }
    }
}

impl Material<'_> {
    /// Reads and checks the certificates, or makes a self-signed one.
    ///
    /// # Errors
    /// [`Error`]: which file cannot be used, why, and what to do.
    pub fn open(self, settings: &Settings) -> Result<Tls, Error> {
        let Self { keys_dir, sites, clock, registry } = self;
        let provider = Arc::new(default_provider());
        let everybodys = match (&settings.cert, &settings.key) {
            (Some(cert), Some(key)) => {
                Some(Source::Files(Files { cert: cert.clone(), key: key.clone() }))
            }
            (None, None) if settings.self_signed => {
                Some(Source::SelfSigned(self_signed::files(keys_dir)))
            }
            (None, None) => None,
            _ => return Err(Error::Unset),
        };
        let opening = Opening { sites: &sites, provider: &provider, now: clock.now() };
        let held = everybodys.map(|source| opening.open(Arc::default(), source)).transpose()?;
        let mut held: Vec<_> = held.into_iter().collect();
        held.extend(opening.open_own(&[])?);
        let in_use = InUse { held, sites, told: Vec::new() };
        let keys = Arc::new(Keys::new(in_use.select().ok_or(Error::Unset)?));
        let config = config(settings, Arc::clone(&provider), Arc::clone(&keys))?;
        let tls = Tls(Arc::new(Shared {
            settings: settings.clone(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            provider,
            keys,
            in_use: Mutex::new(in_use),
            meters: Meters::new(registry),
            clock,
        }));
        let mut in_use = tls.0.in_use();
        in_use.held.iter_mut().for_each(|held| tls.0.announce(held));
        tls.0.present(&mut in_use);
        drop(in_use);
        Ok(tls)
    }
}

fn config(
    settings: &Settings,
    provider: Arc<CryptoProvider>,
    keys: Arc<Keys>,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(Error::Library)?
        .with_no_client_auth()
        .with_cert_resolver(keys);
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    config.ticketer = Ticketer::new().map_err(Error::Library)?;
    config.session_storage = ServerSessionMemoryCache::new(settings.sessions_max);
    Ok(config)
}

impl Tls {
    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Opens the certificates of these sites that are not in use yet.
    ///
    /// # Errors
    /// [`Error`]; nothing has changed then.
    pub(crate) fn open_for(&self, sites: Vec<Site>) -> Result<Renewal, Error> {
        let Shared { provider, clock, .. } = &*self.0;
        let opening = Opening { sites: &sites, provider, now: clock.now() };
        let opened = opening.open_own(&self.0.in_use().held)?;
        Ok(Renewal { sites, opened })
    }

    /// Takes certificates into use, lets go of those that no site names any more, and reads the others again, changed or
    /// not. One of these that cannot be used any more is logged and counted; what was read of it before stays.
    pub(crate) fn renew(&self, Renewal { sites, mut opened }: Renewal) {
        let shared = &self.0;
        let mut in_use = shared.in_use();
        in_use.sites = sites;
        let InUse { held, sites, .. } = &mut *in_use;
        let stays = |held: &Held| held.site.is_empty() || sites.iter().any(|site| held.is_of(site));
        // TLS goes on until the restart, also where no certificate is named any more.
        if !opened.is_empty() || held.iter().any(stays) {
            held.retain(stays);
        }
        for held in held.iter_mut() {
            shared.read(held, sites);
        }
        opened.iter_mut().for_each(|opened| shared.announce(opened));
        held.append(&mut opened);
        // As after a restart: without one of `[tls]`, the first site's is everybody's.
        held.sort_by_key(|held| sites.iter().position(|site| site.name == held.site));
        shared.present(&mut in_use);
    }

    /// Looks at the files again and again and takes a changed pair into use, until the group stops.
    pub fn watch(&self, group: &Group) {
        let tls = self.clone();
        group.spawn("tls-certificates", move |stop| async move {
            while stop.rested(tls.0.settings.reload_every.0).await {
                tls.look();
            }
            Ok::<_, std::convert::Infallible>(())
        });
    }

    /// Carries out handshakes.
    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.0.acceptor
    }

    /// Counts a completed handshake and says whether HTTP/2 was agreed on.
    pub(crate) fn agreed_on_h2(&self, session: &ServerConnection) -> bool {
        self.0.meters.shook_hands(session);
        session.alpn_protocol() == Some(H2)
    }

    /// The certificate that the client of a completed handshake was shown; none where it asked for no name, and so
    /// cannot have looked for one. It is chosen anew by that name: where certificates were exchanged since the handshake
    /// began it is the one that came after, for what was shown is told by nobody. A session is resumed only by the name
    /// that it was made by (RFC 6066 §3), though maybe under an older certificate.
    pub(crate) fn presented(&self, session: &ServerConnection) -> Option<Arc<Certificate>> {
        session.server_name().map(|name| self.0.keys.choose(Some(name)))
    }

    /// Whether the certificate that a client was shown is not for a host while another one is.
    pub(crate) fn is_for_another(&self, presented: &Arc<Certificate>, host: &str) -> bool {
        self.0.keys.is_for_another(presented, host)
    }

    /// Counts a request by plain http that was sent to https.
    pub(crate) fn redirected(&self) {
        self.0.meters.redirects.inc();
    }

    fn look(&self) {
        let shared = &self.0;
        let mut in_use = shared.in_use();
        let InUse { held, sites, .. } = &mut *in_use;
        let (now, mut changed) = (shared.clock.now(), false);
        for held in held {
            if held.is_due(now) {
                changed |= shared.read(held, sites);
            } else {
                held.warn_of_end(now);
            }
        }
        if changed {
            shared.present(&mut in_use);
        }
    }
}

impl Shared {
    fn in_use(&self) -> MutexGuard<'_, InUse> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a pair again. False: it cannot be used, and the one before stays.
    fn read(&self, held: &mut Held, sites: &[Site]) -> bool {
        let opening = Opening { sites, provider: &self.provider, now: self.clock.now() };
        let [done, failed] = self.meters.reloads(&held.site);
        // Taken before the files are read: a change meanwhile is seen next time.
        held.stamp = held.source.files().stamp();
        match opening.load(&held.source) {
            Ok(pair) => {
                done.inc();
                held.stamp = held.source.stamp_after(held.stamp);
                held.pair = pair;
                self.announce(held);
                true
            }
            Err(error) => {
                failed.inc();
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    site = %held.site,
                    certificate = %held.source.files().cert.display(),
                    error,
                    "the changed certificate cannot be used; the one before stays in use"
                );
                false
            }
        }
    }

    /// Says what of a pair will be in use, and what is odd about it.
    fn announce(&self, held: &mut Held) {
        let (files, until) = (held.source.files(), held.pair.until());
        let at = until.map(Timestamp::to_rfc3339).unwrap_or_default();
        tracing::info!(site = %held.site, certificate = %files.cert.display(), until = at, "TLS certificate in use");
        if files.is_key_open() {
            tracing::warn!(key = %files.key.display(), "every user of this machine may read the key; `chmod o= FILE` keeps it private");
        }
        let _declared = self.meters.reloads(&held.site);
        held._told = Some(self.meters.tell(&held.site, until));
        held.warn_of_end(self.clock.now());
    }

    /// Presents the pairs in use from the next handshake on, and tells of hosts that no certificate is for, once.
    fn present(&self, in_use: &mut InUse) {
        let Some(selection) = in_use.select() else { return };
        let uncovered = in_use.list_uncovered(&selection);
        for found in uncovered.iter().filter(|found| !in_use.told.contains(found)) {
            let Uncovered { site, hosts, certificate } = found;
            tracing::warn!(%site, hosts, certificate = %certificate.display(),
                "the certificate is not for these names: browsers will refuse them");
        }
        in_use.told = uncovered;
        self.keys.exchange(selection);
    }
}

#[cfg(test)]
mod tests;
