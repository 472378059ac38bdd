//! The certificate that every side serves over TLS, and a client that trusts it alone. Verification is never off, and no session is ever resumed.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::wire::{self, Answer};

/// The name that the certificate is made for.
const NAME: &str = "localhost";

/// Files of a certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// An open connection.
pub(super) type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Pair {
    /// Makes an ECDSA P-256 key and a certificate signed by itself, in `dir`.
    pub(super) fn write(dir: &Path) -> anyhow::Result<Self> {
        let names = vec![NAME.to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).context("a certificate")?;
        let pair = Self { cert: dir.join("cert.pem"), key: dir.join("key.pem") };
        std::fs::write(&pair.cert, made.cert.pem())?;
        std::fs::write(&pair.key, made.signing_key.serialize_pem())?;
        Ok(pair)
    }
}

/// A client of TLS 1.3 and HTTP/1.1 that trusts one certificate and keeps no session.
///
/// It offers X25519 alone: what every peer speaks. With the hybrid that newer libraries prefer, the two sides would do
/// different work.
pub(super) fn client(cert: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).context("the certificate")?)?;
    let mut provider = default_provider();
    provider.kx_groups = vec![kx_group::X25519];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// A session that has not begun.
pub(super) fn session(client: &Arc<ClientConfig>) -> anyhow::Result<ClientConnection> {
    Ok(ClientConnection::new(Arc::clone(client), ServerName::try_from(NAME)?)?)
}

/// Connects; hands are shaken with the first bytes.
pub(super) fn open(address: SocketAddr, client: &Arc<ClientConfig>) -> anyhow::Result<Stream> {
    Ok(StreamOwned::new(session(client)?, wire::connect(address)?))
}

/// One request on a connection of its own.
pub(super) fn fetch(address: SocketAddr, path: &str, pair: &Pair) -> anyhow::Result<Answer> {
    let mut stream = open(address, &client(&pair.cert)?)?;
    let headers = [format!("Host: {address}"), "Connection: close".to_owned()];
    wire::ask(&mut stream, &wire::request("GET", path, &headers, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_trusts_the_certificate_it_is_given() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let pair = Pair::write(dir.path())?;
        let client = client(&pair.cert)?;
        assert!(session(&client)?.is_handshaking());
        let key = rustls::pki_types::PrivateKeyDer::from_pem_file(&pair.key)?;
        let key = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&key)?;
        let scheme = rustls::SignatureScheme::ECDSA_NISTP256_SHA256;
        assert!(key.choose_scheme(&[scheme]).is_some());
        Ok(())
    }
}
