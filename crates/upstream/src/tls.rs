//! TLS to https upstreams: which authorities are believed, which name is asked for. Verification has no switch.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Target;

/// Why https upstreams cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of authorities cannot be read, or is no PEM.
    #[error("cannot read the authorities in {path}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The file holds no certificate, or the system has none.
    #[error("no certificate of an authority in {0}")]
    NoAuthority(String),
    /// The host can be no certificate's name.
    #[error("\"{0}\" is no name a certificate can carry")]
    Name(String),
    /// The library's own.
    #[error("cannot set up TLS")]
    Setup(#[from] rustls::Error),
}

/// Whom https upstreams are vouched for by: those in the file, or the system's.
pub(crate) fn authorities(ca_file: Option<&Path>) -> Result<Arc<RootCertStore>, TlsError> {
    let roots = match ca_file {
        Some(path) => authorities_in(path)?,
        None => authorities_of_system()?,
    };
    Ok(Arc::new(roots))
}

/// Whether two sets hold the same authorities, in whichever order.
pub(crate) fn are_same(one: &RootCertStore, other: &RootCertStore) -> bool {
    one.len() == other.len() && one.roots.iter().all(|root| other.roots.contains(root))
}

/// What asks for a verified connection.
pub(crate) fn connector(roots: Arc<RootCertStore>) -> Result<TlsConnector, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// TLS to one upstream: whom to believe, and which name its certificate must carry.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    pub(crate) fn new(connector: TlsConnector, target: &Target) -> Result<Self, TlsError> {
        let host = target.host().to_owned();
        let name = ServerName::try_from(host).map_err(|_| TlsError::Name(target.host().into()))?;
        Ok(Self { connector, name })
    }

    pub(crate) async fn connect(&self, tcp: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), tcp).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.name).finish()
    }
}

fn authorities_in(path: &Path) -> Result<RootCertStore, TlsError> {
    let fault = |source| TlsError::CaFile { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(fault)?;
    for certificate in certificates {
        roots.add(certificate.map_err(fault)?)?;
    }
    if roots.is_empty() {
        Err(TlsError::NoAuthority(path.display().to_string()))
    } else {
        Ok(roots)
    }
}

/// Single certificates of a system's store may be beyond us; having none is a fault.
fn authorities_of_system() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TlsError::NoAuthority(
            "the system's store (upstream.ca_file names another)".into(),
        ));
    }
    Ok(roots)
}
