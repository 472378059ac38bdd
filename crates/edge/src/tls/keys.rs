//! The certificate that the next handshake presents, exchanged while handshakes go on. Reads no file.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The pair in use. The lock is held for as long as it takes to copy a pointer.
#[derive(Debug)]
pub(super) struct Keys(RwLock<Arc<CertifiedKey>>);

impl Keys {
    pub(super) fn new(pair: Arc<CertifiedKey>) -> Self {
        Self(RwLock::new(pair))
    }

    /// Handshakes that began keep the pair they began with.
    pub(super) fn exchange(&self, pair: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
    }
}

impl ResolvesServerCert for Keys {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
