//! TLS on the public listener: certificates, their reload, the handshake's terms. Knows no request.
//!
//! TLS 1.2 and 1.3 with the suites of Mozilla's intermediate profile; the client chooses among them. Sessions are
//! resumed by tickets, whose keys all workers share and which change every six hours, or by a bounded memory for
//! clients of TLS 1.2 without tickets. No early data: a request in it can be replayed (RFC 8446 §8).

mod error;
mod keys;
mod meters;
mod pair;
mod self_signed;
pub mod settings;
mod validity;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_base::task::Group;
use mainstay_base::{Clock, Timestamp};
use mainstay_telemetry::metrics::Registry;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::ServerSessionMemoryCache;
use rustls::{ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;

pub use error::Error;
pub use settings::Settings;

use keys::Keys;
use meters::Meters;
use pair::{Files, Pair, Stamp};

/// What a client may ask for by ALPN (RFC 7301), the better first.
const PROTOCOLS: [&[u8]; 2] = [H2, b"http/1.1"];
/// HTTP/2's name in ALPN.
const H2: &[u8] = b"h2";

/// What TLS is made from besides its settings.
#[derive(Debug)]
pub struct Material<'a> {
    /// Private folder in which a self-signed certificate is kept.
    pub keys_dir: &'a Path,
    /// Names visitors use: `example.org`, `*.example.org`, `example.org:8443`.
    pub hosts: &'a [String],
    /// The time, for a certificate's end.
    pub clock: Clock,
    /// Where handshakes and the certificate's end are counted.
    pub registry: &'a Registry,
}

/// TLS of the public listener. Clones share everything.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Shared>);

struct Shared {
    settings: Settings,
    hosts: Vec<String>,
    source: Source,
    acceptor: TlsAcceptor,
    provider: Arc<CryptoProvider>,
    keys: Arc<Keys>,
    seen: Mutex<Seen>,
    meters: Meters,
    clock: Clock,
}

/// Where the pair comes from.
#[derive(Debug)]
enum Source {
    Files(Files),
    SelfSigned(Files),
}

/// The state of the files when they were last looked at, and the pair in use, which may be an older one.
#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    pair: Pair,
    /// That the certificate ends soon or has ended was said.
    warned: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Material<'_> {
    /// Reads and checks the certificate, or makes a self-signed one.
    ///
    /// # Errors
    /// [`Error`]: which file cannot be used, why, and what to do.
    pub fn open(self, settings: &Settings) -> Result<Tls, Error> {
        let provider = Arc::new(default_provider());
        let source = match (&settings.cert, &settings.key) {
            (Some(cert), Some(key)) => {
                Source::Files(Files { cert: cert.clone(), key: key.clone() })
            }
            (None, None) if settings.self_signed => {
                Source::SelfSigned(self_signed::files(self.keys_dir))
            }
            _ => return Err(Error::Unset),
        };
        let before = source.files().stamp();
        let pair = source.load(self.hosts, self.clock.now(), &provider)?;
        let stamp = source.stamp_after(before);
        let keys = Arc::new(Keys::new(Arc::clone(&pair.certified)));
        let config = config(settings, Arc::clone(&provider), Arc::clone(&keys))?;
        let seen = Mutex::new(Seen { stamp, pair, warned: false });
        let tls = Tls(Arc::new(Shared {
            settings: settings.clone(),
            hosts: self.hosts.to_vec(),
            source,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            provider,
            keys,
            seen,
            meters: Meters::new(self.registry),
            clock: self.clock,
        }));
        tls.0.announce(&mut tls.0.seen());
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

    /// Reads the certificate again now, changed or not. One that cannot be used is logged and counted; the one in use
    /// stays.
    pub fn reload(&self) {
        let mut seen = self.0.seen();
        let stamp = self.0.source.files().stamp();
        self.0.take(&mut seen, stamp);
    }

    /// When the certificate in use ends; `None` when it does not say so in a way we can read.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        self.0.seen().pair.until()
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

    /// Counts a request by plain http that was sent to https.
    pub(crate) fn redirected(&self) {
        self.0.meters.redirects.inc();
    }

    fn look(&self) {
        let mut seen = self.0.seen();
        let stamp = self.0.source.files().stamp();
        let aged = match &self.0.source {
            Source::Files(_) => false,
            Source::SelfSigned(_) => self_signed::is_near_end(&seen.pair, self.0.clock.now()),
        };
        if aged || stamp != seen.stamp {
            self.0.take(&mut seen, stamp);
        } else {
            self.0.warn_of_end(&mut seen);
        }
    }
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the files hold into use. `stamp` was taken before they are read: a change meanwhile is seen next time.
    fn take(&self, seen: &mut Seen, stamp: Stamp) {
        seen.stamp = stamp;
        match self.source.load(&self.hosts, self.clock.now(), &self.provider) {
            Ok(pair) => {
                self.keys.exchange(Arc::clone(&pair.certified));
                self.meters.reloaded.inc();
                *seen = Seen { stamp: self.source.stamp_after(stamp), pair, warned: false };
                self.announce(seen);
            }
            Err(error) => {
                self.meters.reload_failed.inc();
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    error,
                    "the changed certificate cannot be used; the one before stays in use"
                );
            }
        }
    }

    /// Says what is now in use, and what is odd about it.
    fn announce(&self, seen: &mut Seen) {
        let files = self.source.files();
        let until = seen.pair.until().map(Timestamp::to_rfc3339).unwrap_or_default();
        tracing::info!(certificate = %files.cert.display(), until, "TLS certificate in use");
        self.meters.expiry.set(seen.pair.until().map_or(0.0, |until| until.as_seconds() as f64));
        let uncovered = seen.pair.list_uncovered(&self.hosts);
        if !uncovered.is_empty() {
            tracing::warn!(hosts = uncovered.join(", "), certificate = %files.cert.display(),
                "the certificate is not for these names: browsers will refuse them");
        }
        if files.is_key_open() {
            tracing::warn!(key = %files.key.display(), "every user of this machine may read the key; `chmod o= FILE` keeps it private");
        }
        self.warn_of_end(seen);
    }

    fn warn_of_end(&self, seen: &mut Seen) {
        let now = self.clock.now();
        let Some(validity) = seen.pair.validity.filter(|_| !seen.warned) else { return };
        let certificate = self.source.files().cert.display();
        if validity.until < now {
            tracing::warn!(%certificate, until = %validity.until, "the certificate has ended: browsers refuse it; renew it");
        } else if validity.from > now {
            tracing::warn!(%certificate, from = %validity.from, "the certificate is not valid yet: is this machine's clock right?");
        } else {
            return;
        }
        seen.warned = true;
    }
}

impl Source {
    fn files(&self) -> &Files {
        match self {
            Self::Files(files) | Self::SelfSigned(files) => files,
        }
    }

    /// The state to compare with later. Files of others count as they were before they were read: a change meanwhile
    /// is then seen next time. Our own may just have been written.
    fn stamp_after(&self, before: Stamp) -> Stamp {
        match self {
            Self::Files(_) => before,
            Self::SelfSigned(files) => files.stamp(),
        }
    }

    fn load(
        &self,
        hosts: &[String],
        now: Timestamp,
        provider: &CryptoProvider,
    ) -> Result<Pair, Error> {
        match self {
            Self::Files(files) => files.load(provider),
            Self::SelfSigned(files) => self_signed::open(files, hosts, now, provider),
        }
    }
}

#[cfg(test)]
mod tests;
